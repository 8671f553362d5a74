// SPDX-License-Identifier: Apache-2.0
// What a rule is given to judge one request with, and what it says of one node.
#pragma once

#include "laws.cuh"
#include "steps.cuh"

namespace crt {

constexpr double ACCEPT = 16777216.0;  // accept coins run from 0 up to this
constexpr int64_t FINAL = int64_t(1) << 32;

// Coins that fell.
struct Fallen {
  const int64_t *accept, *final;

  CRT_CODE bool accepts(int node, double gain, double bar) const {
    return static_cast<double>(accept[node]) * bar < gain * ACCEPT;
  }

  template <class Group, class Weight>
  CRT_CODE int64_t draw(const Group& group, int node, int64_t vocabulary, int64_t sum, Weight weight) const {
    return pick(group, vocabulary, sum, final[node], weight);
  }
};

template <class Group_, class Laws_, class Coins_> struct Round {
  using Group = Group_;
  using Laws = Laws_;
  using Row = typename Laws::Row;

  const Group& group;
  Laws& laws;
  Coins_& coins;
  Node* nodes;
  int64_t vocabulary;

  CRT_CODE Row row(int node) const { return laws.row(group, nodes, node); }
};

// Where a walk goes on, or else where it ends and with which id.
struct Step {
  int next = 0, end = 0;
  int64_t id = -1;
};

// Draws the id of a walk that ends at a node: by `weight`, or by the target's law where that is nothing.
template <class Round, class Row, class Weight>
CRT_CODE Step ended(const Round& round, const Row& row, int node, Weight weight) {
  const auto whole = [&](int64_t x) { return row.p(x); };
  int64_t sum = total(round.group, round.vocabulary, weight);
  if (sum > 0) return {0, node, round.coins.draw(round.group, node, round.vocabulary, sum, weight)};
  sum = total(round.group, round.vocabulary, whole);
  return {0, node, round.coins.draw(round.group, node, round.vocabulary, sum, whole)};
}

template <class Round, class Row> CRT_CODE Step ended(const Round& round, const Row& row, int node) {
  return ended(round, row, node, [&](int64_t x) { return row.p(x); });
}

// Whether a child before `until` (0: any child) of the node has the id.
CRT_CODE bool tried(const Node* nodes, int node, int until, int64_t token) {
  for (int child = nodes[node].child; child && child != until; child = nodes[child].sibling) {
    if (nodes[child].token == token) return true;
  }
  return false;
}

// The sum of `weight` over the vocabulary, without the ids of the children before `until` (0: of all).
template <class Round, class Weight>
CRT_CODE int64_t total_off(const Round& round, int node, int until, Weight weight) {
  int64_t sum = total(round.group, round.vocabulary, weight);
  for (int child = round.nodes[node].child; child && child != until; child = round.nodes[child].sibling) {
    if (!tried(round.nodes, node, child, round.nodes[child].token)) sum -= steps(weight(round.nodes[child].token));
  }
  return sum;
}

}  // namespace crt

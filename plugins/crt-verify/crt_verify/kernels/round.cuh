// SPDX-License-Identifier: Apache-2.0
// What a rule is given to judge one request with, and what it says of one node.
#pragma once

#include "laws.cuh"

namespace crt {

constexpr double ACCEPT = 16777216.0;  // accept coins run from 0 up to this
constexpr int64_t FINAL = int64_t(1) << 32;

// Coins that fell.
struct Fallen {
  const int64_t *accept, *final;

  CRT_CODE bool accepts(int node, double gain, double bar) const {
    return static_cast<double>(accept[node]) * bar < gain * ACCEPT;
  }

  // An id at the end of a walk, or -1 if the weights sum to nothing.
  template <class Group, class Row, class Weight>
  CRT_CODE int64_t draw(const Group& group, const Tree& tree, const Row& row, int node, int off, Weight weight) const {
    return pick(group, tree, row, off, final[node], weight);
  }
};

template <class Group_, class Laws_, class Coins_> struct Round {
  using Laws = Laws_;
  using Row = typename Laws::Row;

  const Group_& group;
  Laws& laws;
  Coins_& coins;
  Tree tree;

  // The laws of a node; where it is `faulty` then, the walk ends.
  CRT_CODE Row row(int node) const { return laws.row(group, tree, node); }
  CRT_CODE bool faulty() const { return laws.fault != NEVER; }
};

// Draws the id of a walk that ends at a node, by the target's law.
template <class Round, class Row> CRT_APART Step ended(const Round& round, const Row& row, int node) {
  return {0, node, round.coins.draw(round.group, round.tree, row, node, 0, [](double p, double) { return p; })};
}

// The same by `weight`, without the ids of the children from `off` on; by the target's law where that is nothing.
template <class Round, class Row, class Weight>
CRT_CODE Step ended(const Round& round, const Row& row, int node, int off, Weight weight) {
  const int64_t id = round.coins.draw(round.group, round.tree, row, node, off, weight);
  return id < 0 ? ended(round, row, node) : Step{0, node, id};
}

}  // namespace crt

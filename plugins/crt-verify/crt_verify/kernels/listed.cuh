// SPDX-License-Identifier: Apache-2.0
// Children that no coin chose: the walk goes where a draw from the target falls. target-only, and greedy with one drawn.
// Reference: crt_verify.rules.listed, .target_only and .greedy.
#pragma once

#include "round.cuh"

namespace crt {

CRT_CODE int last_child(const Node* nodes, int node) {
  int last = 0;
  for (int child = nodes[node].child; child; child = nodes[child].sibling) last = child;
  return last;
}

CRT_CODE int elder(const Node* nodes, int node, int of) {
  int before = 0;
  for (int child = nodes[node].child; child != of; child = nodes[child].sibling) before = child;
  return before;
}

// The first accepted one of the children before `until` (0: of all), tried in order, where `rest` is the mass off all; or 0.
template <class Round, class Row>
CRT_CODE int landed(const Round& round, const Row& row, int node, int until, double rest) {
  int found = 0;
  for (int child = elder(round.nodes, node, until); child; child = elder(round.nodes, node, child)) {
    const int64_t token = round.nodes[child].token;
    const double gain = tried(round.nodes, node, child, token) ? 0 : row.p(token);
    rest += gain;
    if (round.coins.accepts(child, gain, rest)) found = child;
  }
  return found;
}

template <class Round> CRT_CODE Step target_only(const Round& round, int node) {
  const auto row = round.row(node);
  if (!round.nodes[node].child) return ended(round, row, node);
  const double rest = mass(total_off(round, node, 0, [&](int64_t x) { return row.p(x); }));
  if (const int child = landed(round, row, node, 0, rest)) return {child};
  return ended(round, row, node, [&](int64_t x) { return tried(round.nodes, node, 0, x) ? 0 : row.p(x); });
}

template <class Round> CRT_CODE Step greedy(const Round& round, int node) {
  const auto row = round.row(node);
  const int last = last_child(round.nodes, node);
  if (!last) return ended(round, row, node);
  const int64_t token = round.nodes[last].token;
  const double drawn = tried(round.nodes, node, last, token) ? 0 : row.q(token);
  const double left = Most()(mass(total_off(round, node, last, [&](int64_t x) { return row.q(x); })), drawn);
  const double scale = left > 0 ? 1 / left : 0;
  const auto rest = [&](int64_t x) { return positive(row.p(x) - scale * row.q(x)); };
  const double off = mass(total_off(round, node, 0, rest));
  if (round.coins.accepts(last, drawn > 0 ? row.p(token) * left : 0, drawn)) return {last};
  if (const int child = landed(round, row, node, last, off)) return {child};
  return ended(round, row, node, [&](int64_t x) { return tried(round.nodes, node, 0, x) ? 0 : rest(x); });
}

}  // namespace crt

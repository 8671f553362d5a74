// SPDX-License-Identifier: Apache-2.0
// Children that no coin chose: the walk goes where a draw from the target falls. target-only, and greedy with one drawn.
// Reference: crt_verify.rules.listed, .target_only and .greedy.
#pragma once

#include "round.cuh"

namespace crt {

CRT_CODE int last_child(const Tree& tree, int node) {
  int last = 0;
  for (int child = tree[node].child; child; child = tree[child].sibling) last = child;
  return last;
}

CRT_CODE int elder(const Tree& tree, int node, int of) {
  int before = 0;
  for (int child = tree[node].child; child != of; child = tree[child].sibling) before = child;
  return before;
}

// The first accepted one of the children before `until` (0: of all), tried in order, where `rest` is the mass off all; or 0.
template <class Round> CRT_CODE int landed(const Round& round, int node, int until, double rest) {
  const Tree& tree = round.tree;
  int found = 0;
  for (int child = elder(tree, node, until); child; child = elder(tree, node, child)) {
    const double gain = tree[child].repeats ? 0 : tree[child].wanted;
    rest += gain;
    if (round.coins.accepts(child, gain, rest)) found = child;
  }
  return found;
}

template <class Round> CRT_CODE Step target_only(const Round& round, int node) {
  const auto row = round.row(node);
  if (round.faulty()) return {};
  const int first = round.tree[node].child;
  if (!first) return ended(round, row, node);
  const auto wanted = [](double p, double) { return p; };
  const double rest = mass(total_off(round.group, round.tree, row, first, 0, wanted));
  if (const int child = landed(round, node, 0, rest)) return {child};
  return ended(round, row, node, first, wanted);
}

template <class Round> CRT_CODE Step greedy(const Round& round, int node) {
  const Tree& tree = round.tree;
  const auto row = round.row(node);
  if (round.faulty()) return {};
  const int first = tree[node].child, last = last_child(tree, node);
  if (!last) return ended(round, row, node);
  const double drawn = tree[last].repeats ? 0 : tree[last].drafted;
  const auto drafted = [](double, double q) { return q; };
  const int likely = first == last ? 0 : first;
  const double left = Most()(mass(total_off(round.group, tree, row, likely, last, drafted)), drawn);
  const double scale = left > 0 ? 1 / left : 0;
  const auto rest = [&](double p, double q) { return positive(p - scale * q); };
  const double off = mass(total_off(round.group, tree, row, first, 0, rest));
  if (round.coins.accepts(last, drawn > 0 ? tree[last].wanted * left : 0, drawn)) return {last};
  if (const int child = landed(round, node, last, off)) return {child};
  return ended(round, row, node, first, rest);
}

}  // namespace crt

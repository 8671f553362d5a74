// SPDX-License-Identifier: Apache-2.0
// Children chosen deterministically: target_only, and greedy, whose last child is sampled.
// Reference: crt_verify.rules.deterministic, .target_only and .greedy.
#pragma once

#include "round.cuh"

namespace crt {

CRT_CODE int last_child(const Tree& tree, int node) {
  int last = 0;
  for (int child = tree[node].child; child; child = tree[child].sibling) last = child;
  return last;
}

CRT_CODE int previous_child(const Tree& tree, int node, int of) {
  int before = 0;
  for (int child = tree[node].child; child != of; child = tree[child].sibling) before = child;
  return before;
}

// The first accepted child before `until` (0: of all), or 0; they are tested in order, and `rest` is the mass off all.
template <class Round> CRT_CODE int first_accepted(const Round& round, int node, int until, double rest) {
  const Tree& tree = round.tree;
  int accepted = 0;
  for (int child = previous_child(tree, node, until); child; child = previous_child(tree, node, child)) {
    const double gain = tree[child].repeats ? 0 : tree[child].p_token;
    rest += gain;
    if (round.uniforms.accepts(child, gain, rest)) accepted = child;
  }
  return accepted;
}

template <class Round> CRT_CODE Step target_only(const Round& round, int node) {
  const auto row = round.row(node);
  if (round.faulty()) return {};
  const int first = round.tree[node].child;
  if (!first) return end_walk(round, row, node);
  const auto target_weight = [](double p, double) { return p; };
  const double rest = mass(total_off(round.group, round.tree, row, first, 0, target_weight));
  if (const int child = first_accepted(round, node, 0, rest)) return {child};
  return end_walk(round, row, node, first, target_weight);
}

template <class Round> CRT_CODE Step greedy(const Round& round, int node) {
  const Tree& tree = round.tree;
  const auto row = round.row(node);
  if (round.faulty()) return {};
  const int first = tree[node].child, last = last_child(tree, node);
  if (!last) return end_walk(round, row, node);
  const double sampled = tree[last].repeats ? 0 : tree[last].q_token;
  const auto draft_weight = [](double, double q) { return q; };
  const int likely = first == last ? 0 : first;
  const double left = Most()(mass(total_off(round.group, tree, row, likely, last, draft_weight)), sampled);
  const double scale = left > 0 ? 1 / left : 0;
  const auto rest = [&](double p, double q) { return positive(p - scale * q); };
  const double off = mass(total_off(round.group, tree, row, first, 0, rest));
  if (round.uniforms.accepts(last, sampled > 0 ? tree[last].p_token * left : 0, sampled)) return {last};
  if (const int child = first_accepted(round, node, last, off)) return {child};
  return end_walk(round, row, node, first, rest);
}

}  // namespace crt

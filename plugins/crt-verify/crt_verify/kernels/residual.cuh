// SPDX-License-Identifier: Apache-2.0
// The residual of the target as drafted ids are rejected: three numbers a node, whatever the vocabulary.
#pragma once

#include "round.cuh"

namespace crt {

constexpr double HUGE_SCALE = 1e300;  // keeps 0 * scale a number where q is tiny

// The numbers that the test of a drafted node needs, as in crt_verify.rules.residual.Turn.
struct Turn {
  double rest, q_token, left, mass;
};

CRT_CODE Turn turn_of(const Tree& tree, const Residual& left, int child) {
  const double q_token = tree[child].q_token, taken = left.scale * q_token;
  const bool gone = !left.open || tree[child].repeats;
  return {gone ? 0 : positive(tree[child].p_token - taken), q_token, Most()(1 - left.spent, q_token), left.mass};
}

// The same for a node's first child, from the two probabilities of its id alone, if they are valid.
template <class Round> CRT_CODE bool peek(const Round& round, int node, Turn& turn) {
  double p, q;
  if (!round.reader.peek(round.tree, node, round.tree[node].child, p, q)) return false;
  turn = {p, q, Most()(1.0, q), 1};
  return true;
}

// Adds `step` to the scale and removes the child's id; returns the sum of the residual.
template <class Round, class Row>
CRT_CODE double reject(
    const Round& round, const Row& row, Residual& left, int node, int child, double step, bool replacement) {
  if (!left.open) return 0;
  const double scale = Least()(left.scale + step, HUGE_SCALE);
  if (!replacement) left.spent += round.tree[child].q_token;
  const auto weight = [&](double p, double q) { return positive(p - scale * q); };
  const int first = round.tree[node].child, until = round.tree[child].sibling;
  const double sum = mass(total_off(round.group, round.tree, row, first, until, weight));
  left.open = sum != 0;
  left.scale = left.open ? scale : 0;
  left.mass = left.open ? sum : 1;
  return sum;
}

// Ends a walk at a node whose children were all rejected.
template <class Round, class Row>
CRT_CODE Step end_walk_off(const Round& round, const Row& row, const Residual& left, int node) {
  const int first = round.tree[node].child;
  if (!first || !left.open) return end_walk(round, row, node);
  return end_walk(round, row, node, first, [&](double p, double q) { return positive(p - left.scale * q); });
}

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// What is left of the target's law as drafted ids are rejected: three numbers a node, whatever the vocabulary.
#pragma once

#include "round.cuh"

namespace crt {

constexpr double HUGE_SCALE = 1e300;  // keeps 0 * scale a number where the draft's law is next to nothing

// A drafted node as its turn comes; the names are those of crt_verify.rules.residual.Met.
struct Met {
  double rest, drafted, left, mass;
};

CRT_CODE Met meet(const Tree& tree, const Residual& left, int child) {
  const double drafted = tree[child].drafted, taken = left.scale * drafted;
  const bool gone = !left.open || tree[child].repeats;
  return {gone ? 0 : positive(tree[child].wanted - taken), drafted, Most()(1 - left.drawn, drafted), left.mass};
}

// The same of a node's first child, where the laws of its id alone tell it.
template <class Round> CRT_CODE bool glimpse(const Round& round, int node, Met& met) {
  double p, q;
  if (!round.laws.glimpse(round.tree, node, round.tree[node].child, p, q)) return false;
  met = {p, q, Most()(1.0, q), 1};
  return true;
}

// Takes `step` more of the draft's law off, and the child's id; returns the sum of what is left.
template <class Round, class Row>
CRT_CODE double reject(
    const Round& round, const Row& row, Residual& left, int node, int child, double step, bool replacement) {
  if (!left.open) return 0;
  const double scale = Least()(left.scale + step, HUGE_SCALE);
  if (!replacement) left.drawn += round.tree[child].drafted;
  const auto weight = [&](double p, double q) { return positive(p - scale * q); };
  const int first = round.tree[node].child, until = round.tree[child].sibling;
  const double sum = mass(total_off(round.group, round.tree, row, first, until, weight));
  left.open = sum != 0;
  left.scale = left.open ? scale : 0;
  left.mass = left.open ? sum : 1;
  return sum;
}

// The end of a walk at a node all of whose children were rejected.
template <class Round, class Row>
CRT_CODE Step ended_off(const Round& round, const Row& row, const Residual& left, int node) {
  const int first = round.tree[node].child;
  if (!first || !left.open) return ended(round, row, node);
  return ended(round, row, node, first, [&](double p, double q) { return positive(p - left.scale * q); });
}

}  // namespace crt

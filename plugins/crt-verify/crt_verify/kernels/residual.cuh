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

template <class Round, class Row>
CRT_CODE Met meet(const Round& round, const Row& row, const Residual& left, int node, int child) {
  const int64_t token = round.nodes[child].token;
  const double drafted = row.q(token), taken = left.scale * drafted;
  const bool gone = !left.open || tried(round.nodes, node, child, token);
  return {gone ? 0 : positive(row.p(token) - taken), drafted, Most()(1 - left.drawn, drafted), left.mass};
}

// Takes `step` more of the draft's law off, and the child's id; returns the sum of what is left.
template <class Round, class Row>
CRT_CODE double reject(
    const Round& round, const Row& row, Residual& left, int node, int child, double step, bool replacement) {
  if (!left.open) return 0;
  const double scale = Least()(left.scale + step, HUGE_SCALE);
  if (!replacement) left.drawn += row.q(round.nodes[child].token);
  const auto weight = [&](int64_t x) { return positive(row.p(x) - scale * row.q(x)); };
  const double sum = mass(total_off(round, node, round.nodes[child].sibling, weight));
  left.open = sum != 0;
  left.scale = left.open ? scale : 0;
  left.mass = left.open ? sum : 1;
  return sum;
}

// The end of a walk at a node all of whose children were rejected.
template <class Round, class Row>
CRT_CODE Step ended_off(const Round& round, const Row& row, const Residual& left, int node) {
  if (!round.nodes[node].child || !left.open) return ended(round, row, node);
  return ended(round, row, node, [&](int64_t x) {
    return tried(round.nodes, node, 0, x) ? 0 : positive(row.p(x) - left.scale * row.q(x));
  });
}

}  // namespace crt

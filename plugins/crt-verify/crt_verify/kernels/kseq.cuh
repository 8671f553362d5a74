// SPDX-License-Identifier: Apache-2.0
// K-sequential selection: independent drafts, each tested against the same scaled distribution.
// Reference: crt_verify.rules.kseq.
#pragma once

#include "round.cuh"

namespace crt {

constexpr int HALVINGS = 30;  // crt_verify.rules.kseq.HALVINGS

// Overlaps of the two rows at three scales.
struct Overlaps {
  int64_t sums[3];

  CRT_CODE Overlaps operator+(const Overlaps& other) const {
    return {{sums[0] + other.sums[0], sums[1] + other.sums[1], sums[2] + other.sums[2]}};
  }
};

// The sum of (1 - beta)^i over i < drafts, by doubling, where beta is the overlap.
CRT_APART double powers(int64_t overlap, int drafts) {
  const double miss = 1 - mass(overlap);
  double power = 1, sum = 0;
  int top = 0;
  while (drafts >> top > 1) ++top;
  CRT_ROLLED
  for (int bit = top; bit >= 0; --bit) {
    sum = sum * (1 + power);
    power = power * power;
    if (drafts >> bit & 1) {
      sum = sum * miss + 1;
      power = power * miss;
    }
  }
  return sum;
}

// Halves the bracket of the root twice a pass: at its middle, and at the two middles that can follow.
template <class Round, class Row> CRT_CODE void halve(const Round& round, const Row& row, int drafts, double& low, double& rho) {
  CRT_ROLLED
  for (int halving = 0; halving < HALVINGS; halving += 2) {
    const double middle = (low + rho) / 2, at[3] = {(low + middle) / 2, middle, (middle + rho) / 2};
    const double inverse[3] = {1 / at[0], 1 / at[1], 1 / at[2]};
    Overlaps overlaps{};
    for (int x = round.group.rank(); x < row.share.count; x += round.group.size()) {
      const double p = row.p(x), q = row.q(x);
      for (int each = 0; each < 3; ++each) overlaps.sums[each] += steps(Least()(q, p * inverse[each]));
    }
    overlaps = round.group.all(overlaps, Sum());
    const bool over = powers(overlaps.sums[1], drafts) > middle;
    (over ? low : rho) = middle;
    const int each = over ? 2 : 0;
    (powers(overlaps.sums[each], drafts) > at[each] ? low : rho) = at[each];
  }
}

template <class Round> CRT_CODE Step kseq(const Round& round, int node) {
  const Tree& tree = round.tree;
  const auto row = round.row(node);
  if (round.faulty()) return {};
  int drafts = 0;
  for (int child = tree[node].child; child; child = tree[child].sibling) ++drafts;
  if (!drafts) return end_walk(round, row, node);
  double low = 1, rho = drafts, sum = 1;
  if (drafts > 1) {
    halve(round, row, drafts, low, rho);
    const double inverse = 1 / rho;
    sum = powers(total(round.group, row, [&](double p, double q) { return Least()(q, p * inverse); }), drafts);
  }
  for (int child = tree[node].child; child; child = tree[child].sibling) {
    if (round.uniforms.accepts(child, tree[child].p_token, rho * tree[child].q_token)) return {tree[child].same};
  }
  const double share = sum / rho;
  return end_walk(round, row, node, 0, [&](double p, double q) { return positive(p - share * Least()(rho * q, p)); });
}

}  // namespace crt

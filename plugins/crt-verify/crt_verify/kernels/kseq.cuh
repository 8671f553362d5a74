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

// Halves the bracket of the root twice a pass: at its middle, and at the two middles that can follow. The target's row
// counts `whole` times.
template <class Round, class Row>
CRT_PASS void halve(const Round& round, const Row& row, int drafts, double whole, double& low, double& rho) {
  CRT_ROLLED
  for (int halving = 0; halving < HALVINGS; halving += 2) {
    const double middle = (low + rho) / 2, at[3] = {(low + middle) / 2, middle, (middle + rho) / 2};
    const double inverse[3] = {1 / at[0], 1 / at[1], 1 / at[2]};
    Overlaps overlaps{};
    for (int x = round.group.rank(); x < row.share.count; x += round.group.size()) {
      const double p = whole * row.p(x), q = row.q(x);
      for (int each = 0; each < 3; ++each) overlaps.sums[each] += steps(Least()(q, p * inverse[each]));
    }
    overlaps = round.group.all(overlaps, Sum());
    const bool over = powers(overlaps.sums[1], drafts) > middle;
    (over ? low : rho) = middle;
    const int each = over ? 2 : 0;
    (powers(overlaps.sums[each], drafts) > at[each] ? low : rho) = at[each];
  }
}

struct Scale {
  double rho = 1, share = 1;  // at the root or just above, and A / beta over that
};

// The scale of a node's drafts.
template <class Round, class Row>
CRT_CODE Scale scale_of(const Round& round, const Row& row, int drafts, double whole) {
  if (drafts < 2) return {};
  double low = 1, rho = drafts;
  halve(round, row, drafts, whole, low, rho);
  const double inverse = 1 / rho;
  const auto overlap = [&](double p, double q) { return Least()(q, whole * p * inverse); };
  return {rho, powers(total(round.group, row, overlap), drafts) / rho};
}

CRT_CODE int count_children(const Tree& tree, int node) {
  int count = 0;
  for (int child = tree[node].child; child; child = tree[child].sibling) ++count;
  return count;
}

template <class Round> CRT_CODE Step kseq(const Round& round, int node) {
  const Tree& tree = round.tree;
  const auto row = round.kept_row(node);
  if (round.faulty()) return {};
  const int drafts = count_children(tree, node);
  if (!drafts) return end_walk(round, row, node);
  const Scale scale = scale_of(round, row, drafts, 1);
  for (int child = tree[node].child; child; child = tree[child].sibling) {
    if (round.uniforms.accepts(child, tree[child].p_token, scale.rho * tree[child].q_token)) return {tree[child].same};
  }
  const auto rest = [=](double p, double q) { return positive(p - scale.share * Least()(scale.rho * q, p)); };
  return end_walk(round, row, node, 0, rest);
}

}  // namespace crt

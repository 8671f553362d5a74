// SPDX-License-Identifier: Apache-2.0
// Independent drafts, each against one law scaled so that all together take no more than the target has.
// Reference: crt_verify.rules.kseq.
#pragma once

#include "round.cuh"

namespace crt {

constexpr int HALVINGS = 30;  // crt_verify.rules.kseq.HALVINGS

// The sum of (1 - beta)**i over i < drafts, by doubling, where beta is the overlap at `rho`.
template <class Round, class Row>
CRT_APART double powers(const Round& round, const Row& row, double rho, int drafts) {
  const auto overlap = [&](int64_t x) { return Least()(row.q(x), row.p(x) / rho); };
  const double miss = 1 - mass(total(round.group, round.vocabulary, overlap));
  double power = 1, sum = 0;
  CRT_ROLLED
  for (int bit = 31; bit >= 0; --bit) {
    sum = sum * (1 + power);
    power = power * power;
    if (drafts >> bit & 1) {
      sum = sum * miss + 1;
      power = power * miss;
    }
  }
  return sum;
}

template <class Round> CRT_CODE Step kseq(const Round& round, int node) {
  const auto row = round.row(node);
  int drafts = 0;
  for (int child = round.nodes[node].child; child; child = round.nodes[child].sibling) ++drafts;
  if (!drafts) return ended(round, row, node);
  double low = 1, rho = drafts, sum = 1;
  if (drafts > 1) {
    for (int halving = 0; halving < HALVINGS; ++halving) {
      const double middle = (low + rho) / 2;
      (powers(round, row, middle, drafts) > middle ? low : rho) = middle;
    }
    sum = powers(round, row, rho, drafts);
  }
  for (int child = round.nodes[node].child; child; child = round.nodes[child].sibling) {
    const int64_t token = round.nodes[child].token;
    if (round.coins.accepts(child, row.p(token), rho * row.q(token))) return {round.nodes[child].same};
  }
  const double share = sum / rho;
  return ended(round, row, node, [&](int64_t x) {
    return positive(row.p(x) - share * Least()(rho * row.q(x), row.p(x)));
  });
}

}  // namespace crt

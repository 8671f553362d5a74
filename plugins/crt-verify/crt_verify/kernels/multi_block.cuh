// SPDX-License-Identifier: Apache-2.0
// Block verification of independent paths: leaves first, the children of a node with one scale.
// Reference: crt_verify.rules.multi_block.
#pragma once

#include "kseq.cuh"
#include "traversal.cuh"

namespace crt {

struct Together {
  // The chance of an only child; the scale of several children needs whole rows.
  template <class Round> CRT_CODE bool peek(const Round& round, int node, double& chance) const {
    Turn turn;
    if (round.tree[round.tree[node].child].sibling || !crt::peek(round, node, turn)) return false;
    chance = entry(round.tree[node].entry * turn.rest, turn.q_token);
    return true;
  }

  template <class Round, class Row> CRT_CODE void test_children(const Round& round, const Row& row, int node) const {
    const Tree& tree = round.tree;
    const double whole = tree[node].entry;
    const Scale scale = scale_of(round, row, count_children(tree, node), whole);
    for (int child = tree[node].child; child; child = tree[child].sibling) {
      enter(round, child, entry(whole * tree[child].p_token, scale.rho * tree[child].q_token));
    }
    if (round.group.rank() == 0) tree[node].left = {scale.rho, 0, scale.share, true};
    const double kept = mass(total(round.group, row, Rest{whole, scale}));
    leave(round, node, kept + 1 - whole > 0 ? kept / (kept + 1 - whole) : 1);
  }

  template <class Round, class Row> CRT_CODE Step end(const Round& round, const Row& row, int node) const {
    if (!round.tree[node].child) return end_walk(round, row, node);
    const Residual& left = round.tree[node].left;
    return end_walk(round, row, node, 0, Rest{round.tree[node].entry, {left.scale, left.mass}});
  }

 private:
  // What the children leave of the target's row, which counts `whole` times.
  struct Rest {
    double whole;
    Scale scale;

    CRT_CODE double operator()(double p, double q) const {
      const double target = whole * p;
      return positive(target - scale.share * Least()(scale.rho * q, target));
    }
  };

  CRT_CODE static double entry(double share, double bar) { return share < bar ? share / bar : share > 0; }
};

}  // namespace crt

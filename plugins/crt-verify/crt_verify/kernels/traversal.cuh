// SPDX-License-Identifier: Apache-2.0
// Leaves first: a rejected path leaves its chance to its parent. Block verification is this on a chain.
// Reference: crt_verify.rules.traversal.
#pragma once

#include "residual.cuh"

namespace crt {

// A child's chance as it is entered.
CRT_CODE double entered(double above, const Met& met) {
  const double bar = met.mass * met.drafted, share = above * met.rest * met.left;
  return share < bar ? share / bar : share > 0;
}

// Brings the chance of a node down by the rejection of the child whose turn it is.
template <class Round> CRT_APART void give_back(const Round& round, int node, bool replacement) {
  const int child = round.nodes[node].turn;
  const auto row = round.row(node);
  const double above = round.nodes[node].chance;
  Residual left = round.nodes[node].left;
  const Met met = meet(round, row, left, node, child);
  const bool open = left.open;
  const double step = above > 0 ? met.mass / (above * met.left) : 0;
  const double kept = above * reject(round, row, left, node, child, step, replacement) / met.mass;
  const double after = kept + 1 - above > 0 ? kept / (kept + 1 - above) : 1;
  round.group.wait();
  if (round.group.rank() == 0) {
    round.nodes[node].left = left;
    round.nodes[node].chance = open && above > 0 ? after : above;
    round.nodes[node].turn = round.nodes[child].sibling;
  }
  round.group.wait();
}

template <class Round> CRT_CODE void enter(const Round& round, int node, double chance) {
  round.group.wait();
  if (round.group.rank() == 0) {
    round.nodes[node].chance = chance;
    round.nodes[node].left = Residual{};
    round.nodes[node].turn = round.nodes[node].child;
  }
  round.group.wait();
}

// A node whose chance is 0 is skipped with all that is under it: nothing there can be accepted.
template <class Round> CRT_APART Step traversal(const Round& round, bool replacement) {
  int node = 0;
  enter(round, node, 1);
  for (;;) {
    if (const int child = round.nodes[node].turn) {
      const Met met = meet(round, round.row(node), round.nodes[node].left, node, child);
      const double chance = entered(round.nodes[node].chance, met);
      if (chance > 0) {
        enter(round, child, chance);
        node = child;
      } else {
        give_back(round, node, replacement);
      }
    } else if (node == 0 || round.coins.accepts(node, round.nodes[node].chance, 1)) {
      return ended_off(round, round.row(node), round.nodes[node].left, node);
    } else {
      node = round.nodes[node].parent;
      give_back(round, node, replacement);
    }
  }
}

}  // namespace crt

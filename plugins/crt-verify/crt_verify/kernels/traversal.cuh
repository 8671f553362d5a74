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

template <class Round> CRT_CODE void enter(const Round& round, int node, double chance) {
  if (round.group.rank() == 0) round.tree[node].entering = round.tree[node].chance = chance;
  round.group.wait();
}

// Plays all rounds of a node's children at once, whichever of them are played in the end: its rows are read once.
template <class Round, class Row> CRT_CODE void settle(const Round& round, const Row& row, int node, bool replacement) {
  const Tree& tree = round.tree;
  Residual left;
  double chance = tree[node].entering;
  for (int child = tree[node].child; child; child = tree[child].sibling) {
    const Met met = meet(tree, left, child);
    const bool open = left.open;
    enter(round, child, entered(chance, met));
    const double step = chance > 0 ? met.mass / (chance * met.left) : 0;
    const double kept = chance * reject(round, row, left, node, child, step, replacement) / met.mass;
    const double after = kept + 1 - chance > 0 ? kept / (kept + 1 - chance) : 1;
    chance = open && chance > 0 ? after : chance;
  }
  if (round.group.rank() == 0) {
    tree[node].left = left;
    tree[node].chance = chance;
    tree[node].settled = true;
  }
  round.group.wait();
}

// A node's rows are read once its first child is rejected; a node whose chance is 0 is skipped with all under it.
template <class Round> CRT_APART Step traversal(const Round& round, bool replacement) {
  const Tree& tree = round.tree;
  typename Round::Row row;
  int held = -1, node = 0, child = tree[0].child;
  enter(round, node, 1);
  for (;;) {
    Met met;
    if (tree[node].child && !tree[node].settled) {
      if (child == tree[node].child && glimpse(round, node, met)) {
        enter(round, child, entered(tree[node].entering, met));
      } else {
        row = round.row(held = node);
        if (round.faulty()) return {};
        settle(round, row, node, replacement);
      }
    }
    if (child) {
      const bool goes = tree[child].chance > 0;
      node = goes ? child : node;
      child = goes ? tree[child].child : tree[child].sibling;
    } else if (node == 0 || round.coins.accepts(node, tree[node].chance, 1)) {
      if (held != node) row = round.row(node);
      return round.faulty() ? Step{} : ended_off(round, row, tree[node].left, node);
    } else {
      child = tree[node].sibling;
      node = tree[node].parent;
    }
  }
}

}  // namespace crt

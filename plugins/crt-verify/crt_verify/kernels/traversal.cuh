// SPDX-License-Identifier: Apache-2.0
// Leaves first: a rejected path passes its weight to its parent. Block verification is this on a chain.
// Reference: crt_verify.rules.traversal.
#pragma once

#include "residual.cuh"

namespace crt {

// The chance of a path when its last node is entered.
CRT_CODE double entry_chance(double above, const Turn& turn) {
  const double bar = turn.mass * turn.q_token, share = above * turn.rest * turn.left;
  return share < bar ? share / bar : share > 0;
}

template <class Round> CRT_CODE void enter(const Round& round, int node, double chance) {
  if (round.group.rank() == 0) round.tree[node].entry = round.tree[node].chance = chance;
  round.group.wait();
}

// Computes the chances of all children of a node at once, whether or not the walk needs them: its rows are read once.
template <class Round, class Row>
CRT_CODE void test_children(const Round& round, const Row& row, int node, bool replacement) {
  const Tree& tree = round.tree;
  Residual left;
  double chance = tree[node].entry;
  for (int child = tree[node].child; child; child = tree[child].sibling) {
    const Turn turn = turn_of(tree, left, child);
    const bool open = left.open;
    enter(round, child, entry_chance(chance, turn));
    const double step = chance > 0 ? turn.mass / (chance * turn.left) : 0;
    const double kept = chance * reject(round, row, left, node, child, step, replacement) / turn.mass;
    const double after = kept + 1 - chance > 0 ? kept / (kept + 1 - chance) : 1;
    chance = open && chance > 0 ? after : chance;
  }
  if (round.group.rank() == 0) {
    tree[node].left = left;
    tree[node].chance = chance;
    tree[node].children_tested = true;
  }
  round.group.wait();
}

// A node's rows are read once its first child is rejected; a node of chance 0 is skipped with its descendants.
template <class Round> CRT_APART Step traversal(const Round& round, bool replacement) {
  const Tree& tree = round.tree;
  typename Round::Row row;
  int cached = -1, node = 0, child = tree[0].child;
  enter(round, node, 1);
  for (;;) {
    Turn turn;
    if (tree[node].child && !tree[node].children_tested) {
      if (child == tree[node].child && peek(round, node, turn)) {
        enter(round, child, entry_chance(tree[node].entry, turn));
      } else {
        row = round.row(cached = node);
        if (round.faulty()) return {};
        test_children(round, row, node, replacement);
      }
    }
    if (child) {
      const bool goes = tree[child].chance > 0;
      node = goes ? child : node;
      child = goes ? tree[child].child : tree[child].sibling;
    } else if (node == 0 || round.uniforms.accepts(node, tree[node].chance, 1)) {
      if (cached != node) row = round.row(node);
      return round.faulty() ? Step{} : end_walk_off(round, row, tree[node].left, node);
    } else {
      child = tree[node].sibling;
      node = tree[node].parent;
    }
  }
}

}  // namespace crt

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

// The chance that the rejections of its children leave of a node.
template <class Round> CRT_CODE void leave(const Round& round, int node, double chance) {
  if (round.group.rank() == 0) {
    round.tree[node].chance = chance;
    round.tree[node].children_tested = true;
  }
  round.group.wait();
}

// Children in turn, each by the residual of the rejections before it.
struct InTurn {
  bool replacement;

  // The chance of a node's first child from the two probabilities of its id alone, if they are valid.
  template <class Round> CRT_CODE bool peek(const Round& round, int node, double& entry) const {
    Turn turn;
    if (!crt::peek(round, node, turn)) return false;
    entry = entry_chance(round.tree[node].entry, turn);
    return true;
  }

  // Computes the chances of all children at once, whether or not the walk needs them: the node's rows are read once.
  template <class Round, class Row> CRT_CODE void test_children(const Round& round, const Row& row, int node) const {
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
    if (round.group.rank() == 0) tree[node].left = left;
    leave(round, node, chance);
  }

  template <class Round, class Row> CRT_CODE Step end(const Round& round, const Row& row, int node) const {
    return end_walk_off(round, row, round.tree[node].left, node);
  }
};

// A node's rows are read once its first child is rejected; a node of chance 0 is skipped with its descendants.
template <class Round, class Way> CRT_APART Step leaves_first(const Round& round, const Way& way) {
  const Tree& tree = round.tree;
  typename Round::KeptRow row;
  int cached = -1, node = 0, child = tree[0].child;
  enter(round, node, 1);
  for (;;) {
    double entry;
    if (tree[node].child && !tree[node].children_tested) {
      if (child == tree[node].child && way.peek(round, node, entry)) {
        enter(round, child, entry);
      } else {
        row = round.kept_row(cached = node);
        if (round.faulty()) return {};
        way.test_children(round, row, node);
      }
    }
    if (child) {
      const bool goes = tree[child].chance > 0;
      node = goes ? child : node;
      child = goes ? tree[child].child : tree[child].sibling;
    } else if (node == 0 || round.uniforms.accepts(node, tree[node].chance, 1)) {
      if (cached != node) row = round.kept_row(node);
      return round.faulty() ? Step{} : way.end(round, row, node);
    } else {
      child = tree[node].sibling;
      node = tree[node].parent;
    }
  }
}

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// Siblings in turn, each tested against the residual of the rejections before it: single, multiround and recursive.
// Reference: crt_verify.rules.recursive.
#pragma once

#include "residual.cuh"

namespace crt {

// A node's rows are read once its first child is rejected, and then once for all of them.
template <class Round> CRT_CODE Step recursive(const Round& round, int node, bool replacement) {
  const int first = round.tree[node].child;
  Turn turn;
  if (first && peek(round, node, turn) && round.uniforms.accepts(first, turn.rest * turn.left, turn.q_token)) {
    return {first};
  }
  const auto row = round.row(node);
  if (round.faulty()) return {};
  Residual left;
  for (int child = first; child; child = round.tree[child].sibling) {
    turn = turn_of(round.tree, left, child);
    if (round.uniforms.accepts(child, turn.rest * turn.left, turn.q_token * turn.mass)) return {child};
    reject(round, row, left, node, child, turn.mass / turn.left, replacement);
  }
  return end_walk_off(round, row, left, node);
}

}  // namespace crt

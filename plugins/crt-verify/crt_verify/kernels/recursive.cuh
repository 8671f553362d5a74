// SPDX-License-Identifier: Apache-2.0
// Siblings in turn, each against what the rejections before it left: single, multiround and recursive.
// Reference: crt_verify.rules.recursive.
#pragma once

#include "residual.cuh"

namespace crt {

// A node's rows are read once its first child is rejected, and then once for all of them.
template <class Round> CRT_CODE Step recursive(const Round& round, int node, bool replacement) {
  const int first = round.tree[node].child;
  Met met;
  if (first && glimpse(round, node, met) && round.coins.accepts(first, met.rest * met.left, met.drafted)) return {first};
  const auto row = round.row(node);
  if (round.faulty()) return {};
  Residual left;
  for (int child = first; child; child = round.tree[child].sibling) {
    met = meet(round.tree, left, child);
    if (round.coins.accepts(child, met.rest * met.left, met.drafted * met.mass)) return {child};
    reject(round, row, left, node, child, met.mass / met.left, replacement);
  }
  return ended_off(round, row, left, node);
}

}  // namespace crt

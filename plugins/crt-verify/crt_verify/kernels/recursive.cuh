// SPDX-License-Identifier: Apache-2.0
// Siblings in turn, each against what the rejections before it left: single, multiround and recursive.
// Reference: crt_verify.rules.recursive.
#pragma once

#include "residual.cuh"

namespace crt {

template <class Round> CRT_CODE Step recursive(const Round& round, int node, bool replacement) {
  const auto row = round.row(node);
  Residual left;
  for (int child = round.nodes[node].child; child; child = round.nodes[child].sibling) {
    const Met met = meet(round, row, left, node, child);
    if (round.coins.accepts(child, met.rest * met.left, met.drafted * met.mass)) return {child};
    reject(round, row, left, node, child, met.mass / met.left, replacement);
  }
  return ended_off(round, row, left, node);
}

}  // namespace crt

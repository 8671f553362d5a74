// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a request before any row is read: codes of crt_verify.verdict.FAULTS.
// Reference: crt_verify.rules.forest.
#pragma once

#include "round.cuh"

namespace crt {

CRT_CODE bool astray(const Request& request, const Node* nodes, int node) {
  const int parent = nodes[node].parent;
  if (node) return parent < 0 || parent >= node;
  return parent != -1 || request.nodes < 1 || request.nodes > request.most;
}

// The first reason at a loaded node, or 0.
CRT_CODE int misshapen(const Request& request, const Node* nodes, const Fallen& coins, bool chain, int node) {
  const int64_t count = request.nodes < request.most ? request.nodes : request.most;
  const int64_t accept = coins.accept[node], final = coins.final[node];
  int children = 0;
  bool outside = false;
  for (int child = node + 1; child < count; ++child) {
    if (nodes[child].parent != node) continue;
    ++children;
    outside |= nodes[child].token < 0 || nodes[child].token >= request.vocabulary;
  }
  const bool exists = node < request.nodes;
  if (outside) return 5;
  if ((exists || node == 0) && astray(request, nodes, node)) return 6;
  if (chain && children > 1) return 7;
  if (!exists) return 0;
  return accept < 0 || accept >= static_cast<int64_t>(ACCEPT) || final < 0 || final >= FINAL ? 8 : 0;
}

// The first fault of a request whose nodes are loaded, as `Verdict.fault` says it; `NEVER` if there is none.
template <class Group>
CRT_CODE int64_t misshapen(
    const Group& group, const Request& request, const Node* nodes, const Fallen& coins, bool chain) {
  int64_t first = NEVER;
  for (int node = group.rank(); node < request.most; node += group.size()) {
    const int reason = misshapen(request, nodes, coins, chain, node);
    if (reason) first = Least()(first, static_cast<int64_t>(node) * FAULTS + reason);
  }
  return group.all(first, Least());
}

}  // namespace crt

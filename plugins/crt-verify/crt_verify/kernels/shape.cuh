// SPDX-License-Identifier: Apache-2.0
// Faults of a request that are found before any row is read.
// Reference: crt_verify.rules.tree_batch.
#pragma once

#include "round.cuh"

namespace crt {

CRT_CODE bool astray(const Request& request, const Node* nodes, int node) {
  const int parent = nodes[node].parent;
  if (node) return parent < 0 || parent >= node;
  return parent != -1 || request.nodes < 1 || request.nodes > request.most;
}

// The first fault of a loaded node, or `NO_FAULT`.
CRT_CODE Fault node_fault(const Request& request, const Node* nodes, const Uniforms& uniforms, bool chain, int node) {
  const int64_t count = request.nodes < request.most ? request.nodes : request.most;
  const int64_t accept = uniforms.accept[node], final = uniforms.final[node];
  int children = 0;
  bool outside = false;
  for (int child = node + 1; child < count; ++child) {
    if (nodes[child].parent != node) continue;
    ++children;
    outside |= nodes[child].token < 0 || nodes[child].token >= request.vocabulary;
  }
  const bool exists = node < request.nodes;
  if (outside) return RULED_OUT;
  if ((exists || node == 0) && astray(request, nodes, node)) return NOT_A_TREE;
  if (chain && children > 1) return NOT_A_CHAIN;
  if (!exists) return NO_FAULT;
  return accept < 0 || accept >= static_cast<int64_t>(ACCEPT) || final < 0 || final >= FINAL ? UNIFORM_RANGE : NO_FAULT;
}

// The code, as in `Verdict.fault`, of the first fault of a request whose nodes are loaded; `NEVER` if there is none.
template <class Group>
CRT_CODE int64_t shape_fault(
    const Group& group, const Request& request, const Node* nodes, const Uniforms& uniforms, bool chain) {
  int64_t first = NEVER;
  for (int node = group.rank(); node < request.most; node += group.size()) {
    const Fault fault = node_fault(request, nodes, uniforms, chain, node);
    if (fault) first = Least()(first, static_cast<int64_t>(node) * FAULTS + fault);
  }
  return group.all(first, Least());
}

}  // namespace crt

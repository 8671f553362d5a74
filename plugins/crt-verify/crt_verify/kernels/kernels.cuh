// SPDX-License-Identifier: Apache-2.0
// The kernels: a group of blocks works on a request or a node. One kernel call is a verdict.
#pragma once

#include "walk.cuh"

namespace crt {

constexpr int MOST_THREADS = 512;  // 128 registers each; with 64 every rule spilled on sm_90

#ifdef __CUDACC__
CRT_CODE unsigned char* shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}
#else
unsigned char* shared_memory();  // defined by whoever runs kernels without a device
#endif

CRT_EITHER int64_t rounded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

// Bytes that a block keeps of its request: its nodes, and a result of each.
CRT_EITHER int64_t kept_bytes(int64_t most) { return rounded(most * sizeof(Node)) + rounded(most * sizeof(Result)); }

// The state of a request in its group.
template <class Reader> struct RequestState {
  int64_t row;
  Blocks group;
  Reader reader;
  Uniforms uniforms;
  Tree tree;
  int64_t code;

  CRT_CODE RequestState(const Batch& batch, int rule, int64_t room)
      : row(), group(shared_memory(), kept_bytes(batch.most), room), reader(), uniforms(), tree(), code() {
    row = blockIdx.x / group.blocks();
    reader = ReaderOf<Reader>::at(batch, row, rule);
    uniforms = batch.uniforms(row);
    Node* nodes = reinterpret_cast<Node*>(shared_memory() + SCRATCH);
    load(group, batch.request(row), nodes);
    code = shape_fault(group, batch.request(row), nodes, uniforms, of_chains(rule));
    tree = grow(group, batch.request(row), nodes, rule == KSEQ);
  }

  CRT_CODE Round<Blocks, Reader, Uniforms> round() { return {group, reader, uniforms, tree}; }
};

// A group a request: it reads the rows that the walk needs, one node after another.
template <class Reader>
__global__ void __launch_bounds__(MOST_THREADS) walk_requests(Batch batch, int rule, int64_t room, Outcome out) {
  RequestState<Reader> state(batch, rule, room);
  Result end{{}, state.code};
  if (state.code == NEVER) {
    end.step = walk(state.round(), rule);
    end.code = state.reader.fault;
  }
  if (state.group.block() == 0) write(state.group, out.of(state.row, batch.most), state.tree, batch.most, end);
}

// A group a node, for rules that go from the root; the last group to arrive walks along the results. A childless node
// is verified only by that group, if the walk ends there. `results` has room for every node; `arrived` has a 0 a request.
template <class Reader>
__global__ void __launch_bounds__(MOST_THREADS)
    verify_nodes(Batch batch, int rule, int64_t room, Result* results, unsigned* arrived, Outcome out) {
  RequestState<Reader> state(batch, rule, room);
  const int node = blockIdx.y;
  Result own{{0, node, -1}, state.code};
  if (state.code == NEVER && node < state.tree.count && state.tree[node].child) {
    own.step = verify_node(state.round(), rule, node);
    own.code = state.reader.fault;
  }
  results += state.row * batch.most;
  if (state.group.block() == 0 && state.group.rank() == 0) results[node] = own;
  if (!state.group.last(arrived + state.row, batch.most)) return;
  Result* near = reinterpret_cast<Result*>(shared_memory() + SCRATCH + rounded(batch.most * sizeof(Node)));
  for (int each = state.group.rank(); each < batch.most; each += state.group.size()) near[each] = results[each];
  state.group.wait();
  Result end = follow(near);
  if (end.code == NEVER && end.step.id < 0) {
    end.step = verify_node(state.round(), rule, end.step.end);
    end.code = state.reader.fault;
  }
  if (state.group.block() == 0) write(state.group, out.of(state.row, batch.most), state.tree, batch.most, end);
}

}  // namespace crt

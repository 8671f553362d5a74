// SPDX-License-Identifier: Apache-2.0
// The kernels, and how they are started: on the caller's stream, with nothing allocated and nothing waited for.
#pragma once

#include <cuda_runtime.h>

#include "walk.cuh"

namespace crt {

constexpr int MOST_THREADS = 512;  // 128 registers each; with 64 every rule spilled on sm_90

// What a block keeps of its request.
CRT_CODE Node* held() {
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<Node*>(memory + MOST_THREADS / WARP * sizeof(int64_t));
}

CRT_CODE Block block() {
  extern __shared__ __align__(16) unsigned char memory[];
  return {reinterpret_cast<int64_t*>(memory)};
}

inline int64_t shared_bytes(int64_t nodes) { return MOST_THREADS / WARP * sizeof(int64_t) + nodes * sizeof(Node); }

// A block a node: `codes` comes in as `NEVER`.
template <class Laws> __global__ void __launch_bounds__(MOST_THREADS) audit_nodes(Batch batch, int rule, int64_t* codes) {
  const int64_t row = blockIdx.x, node = blockIdx.y;
  const Laws laws = LawsOf<Laws>::at(batch, row, rule);
  const int64_t code = audit(block(), batch.request(row), batch.coins(row), needs_of(rule), laws, node);
  if (threadIdx.x == 0 && code < NEVER) {
    atomicMin(reinterpret_cast<unsigned long long*>(codes + row), static_cast<unsigned long long>(code));
  }
}

// A block a request: reads the rows of the nodes that a walk comes to.
template <class Laws>
__global__ void __launch_bounds__(MOST_THREADS) walk_requests(Batch batch, int rule, const int64_t* codes, Outcome out) {
  const int64_t row = blockIdx.x;
  const Block group = block();
  Node* nodes = held();
  Laws laws = LawsOf<Laws>::at(batch, row, rule);
  Fallen coins = batch.coins(row);
  int64_t code = codes[row];
  Step step;
  grow(group, batch.request(row), nodes, rule == KSEQ);
  if (code == NEVER) {
    step = walk(Round<Block, Laws, Fallen>{group, laws, coins, nodes, batch.vocabulary}, rule);
    code = laws.fault();
  }
  write(group, out.of(row, batch.most), nodes, batch.most, step, code);
}

// A block a node, for rules that go from the root: what becomes of a walk that has reached it.
template <class Laws>
__global__ void __launch_bounds__(MOST_THREADS) judge_nodes(Batch batch, int rule, const int64_t* codes, Judged* judged) {
  const int64_t row = blockIdx.x;
  const int node = blockIdx.y;
  if (codes[row] != NEVER || node >= batch.nodes[row]) return;
  const Block group = block();
  Laws laws = LawsOf<Laws>::at(batch, row, rule);
  Fallen coins = batch.coins(row);
  grow(group, batch.request(row), held(), rule == KSEQ);
  const Step step = judge(Round<Block, Laws, Fallen>{group, laws, coins, held(), batch.vocabulary}, rule, node);
  if (threadIdx.x == 0) judged[row * batch.most + node] = {step, laws.fault()};
}

// A warp a request, once its nodes are judged.
__global__ void follow_steps(Batch batch, const int64_t* codes, const Judged* judged, Outcome out) {
  const int64_t row = blockIdx.x;
  grow(block(), batch.request(row), held(), false);
  const Judged last = codes[row] == NEVER ? follow(judged + row * batch.most) : Judged{{}, codes[row]};
  write(block(), out.of(row, batch.most), held(), batch.most, last.step, last.code);
}

// `judged`: room for what each node comes to, or null, and then a walk judges only what it comes to.
template <class Laws>
void launch(const Batch& batch, int rule, int64_t* codes, Judged* judged, const Outcome& out, cudaStream_t stream) {
  const int threads = batch.vocabulary < 16384 ? 256 : MOST_THREADS;
  const dim3 every(batch.size, batch.most);
  const int64_t bytes = shared_bytes(batch.most);
  audit_nodes<Laws><<<every, threads, bytes, stream>>>(batch, rule, codes);
  if (judged && !from_leaves(rule)) {
    judge_nodes<Laws><<<every, threads, bytes, stream>>>(batch, rule, codes, judged);
    follow_steps<<<batch.size, WARP, bytes, stream>>>(batch, codes, judged, out);
  } else {
    walk_requests<Laws><<<batch.size, threads, bytes, stream>>>(batch, rule, codes, out);
  }
}

}  // namespace crt

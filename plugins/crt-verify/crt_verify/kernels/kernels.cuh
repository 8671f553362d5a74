// SPDX-License-Identifier: Apache-2.0
// The kernels: a group of blocks a request, or a node. One of them is a verdict.
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
unsigned char* shared_memory();  // whoever runs kernels without a device says where it is
#endif

CRT_EITHER int64_t rounded(int64_t bytes) { return (bytes + 15) / 16 * 16; }

// Bytes of what a block keeps of its request: its nodes, and a verdict of each.
CRT_EITHER int64_t kept_bytes(int64_t most) { return rounded(most * sizeof(Node)) + rounded(most * sizeof(Judged)); }

// A request as a group has it.
template <class Laws> struct Seat {
  int64_t row;
  Blocks group;
  Laws laws;
  Fallen coins;
  Tree tree;
  int64_t code;

  CRT_CODE Seat(const Batch& batch, int rule, int64_t room)
      : row(), group(shared_memory(), kept_bytes(batch.most), room), laws(), coins(), tree(), code() {
    row = blockIdx.x / group.blocks();
    laws = LawsOf<Laws>::at(batch, row, rule);
    coins = batch.coins(row);
    Node* nodes = reinterpret_cast<Node*>(shared_memory() + DESK);
    load(group, batch.request(row), nodes);
    code = misshapen(group, batch.request(row), nodes, coins, of_chains(rule));
    tree = grow(group, batch.request(row), nodes, rule == KSEQ);
  }

  CRT_CODE Round<Blocks, Laws, Fallen> round() { return {group, laws, coins, tree}; }
};

// A group a request: the rows that its walk needs, one node after another.
template <class Laws>
__global__ void __launch_bounds__(MOST_THREADS) walk_requests(Batch batch, int rule, int64_t room, Outcome out) {
  Seat<Laws> seat(batch, rule, room);
  Judged end{{}, seat.code};
  if (seat.code == NEVER) {
    end.step = walk(seat.round(), rule);
    end.code = seat.laws.fault;
  }
  if (seat.group.block() == 0) write(seat.group, out.of(seat.row, batch.most), seat.tree, batch.most, end);
}

// A group a node, for rules that go from the root; the last one to come by follows the walk along them. A childless node
// is judged only there, if the walk ends at it. `judged` has room for every node, `arrived` a 0 for each request.
template <class Laws>
__global__ void __launch_bounds__(MOST_THREADS)
    judge_nodes(Batch batch, int rule, int64_t room, Judged* judged, unsigned* arrived, Outcome out) {
  Seat<Laws> seat(batch, rule, room);
  const int node = blockIdx.y;
  Judged own{{0, node, -1}, seat.code};
  if (seat.code == NEVER && node < seat.tree.count && seat.tree[node].child) {
    own.step = judge(seat.round(), rule, node);
    own.code = seat.laws.fault;
  }
  judged += seat.row * batch.most;
  if (seat.group.block() == 0 && seat.group.rank() == 0) judged[node] = own;
  if (!seat.group.last(arrived + seat.row, batch.most)) return;
  Judged* near = reinterpret_cast<Judged*>(shared_memory() + DESK + rounded(batch.most * sizeof(Node)));
  for (int each = seat.group.rank(); each < batch.most; each += seat.group.size()) near[each] = judged[each];
  seat.group.wait();
  Judged end = follow(near);
  if (end.code == NEVER && end.step.id < 0) {
    end.step = judge(seat.round(), rule, end.step.end);
    end.code = seat.laws.fault;
  }
  if (seat.group.block() == 0) write(seat.group, out.of(seat.row, batch.most), seat.tree, batch.most, end);
}

}  // namespace crt

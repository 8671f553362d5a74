// SPDX-License-Identifier: Apache-2.0
// Who works on a request, or on a node, together: blocks of threads on a device, one thread on a host.
// All threads of a group call each of its members, and all are told the same.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cooperative_groups.h>
#include <cuda_pipeline_primitives.h>
#define CRT_CODE __device__ inline
#define CRT_EITHER __host__ __device__ inline
#define CRT_APART __device__ __noinline__
#define CRT_ROLLED _Pragma("unroll 1")  // a body of many instructions: unrolled, it takes minutes to compile
#else
#define CRT_CODE inline
#define CRT_EITHER inline
#define CRT_APART inline
#define CRT_ROLLED
#endif

#if defined(__CUDACC__) || defined(CRT_EMULATED)
#define CRT_BLOCKS
#endif

#if defined(CRT_EMULATED) || __CUDA_ARCH__ >= 900
#define CRT_CLUSTERS
#endif

namespace crt {

struct Sum {
  template <class T> CRT_CODE T operator()(T one, T other) const { return one + other; }
};

struct Least {
  template <class T> CRT_CODE T operator()(T one, T other) const { return other < one ? other : one; }
};

struct Most {
  template <class T> CRT_CODE T operator()(T one, T other) const { return one < other ? other : one; }
};

// The ids that a block reads: neighbours.
struct Share {
  int64_t first;
  int count;
};

// A team's sum in the order of the ids: that of the teams before it, and that of all.
struct Scanned {
  int64_t before, all;
};

constexpr int WARP = 32;

#ifdef CRT_BLOCKS

constexpr int MOST_WARPS = 16;  // of a block, a power of two of them
constexpr int MOST_BLOCKS = 8;  // of a cluster, the same: more is not portable
constexpr int SLOT = 64;        // bytes that a warp, or a block, says at once
constexpr int SLOTS = MOST_WARPS + MOST_BLOCKS;
constexpr int64_t DESK = 2 * SLOTS * SLOT;  // bytes: two sets, used in turn, so that one barrier a reduction is enough

// A block, or a cluster of them whose blocks each read a share of the vocabulary and keep a copy of all else.
struct Blocks {
  unsigned char *desk, *shelf;
  int64_t room;  // bytes of the shelf for a row's share; 0: rows are read where they lie
  mutable int turn = 0;

  CRT_CODE Blocks(unsigned char* memory, int64_t behind, int64_t room_)
      : desk(memory), shelf(memory + DESK + behind), room(room_) {
#ifdef CRT_CLUSTERS
    if (blocks() > 1) cooperative_groups::this_cluster().sync();  // a block that has not started has no memory
#endif
  }

  CRT_CODE int rank() const { return threadIdx.x; }  // in its block
  CRT_CODE int size() const { return blockDim.x; }
  CRT_CODE int lane() const { return rank() % WARP; }
  CRT_CODE int lanes() const { return WARP; }
  CRT_CODE int warp() const { return rank() / WARP; }
  CRT_CODE int warps() const { return size() / WARP; }
  CRT_CODE void wait() const { __syncthreads(); }

#ifdef CRT_CLUSTERS
  CRT_CODE int block() const { return cooperative_groups::this_cluster().block_rank(); }
  CRT_CODE int blocks() const { return cooperative_groups::this_cluster().num_blocks(); }
#else
  CRT_CODE int block() const { return 0; }
  CRT_CODE int blocks() const { return 1; }
#endif

  CRT_CODE Share share(int64_t vocabulary) const { return part(vocabulary, block(), blocks()); }

  CRT_EITHER static Share part(int64_t vocabulary, int block, int blocks) {
    const int size = static_cast<int>(vocabulary), each = ((size - 1) / blocks / 8 + 1) * 8;  // whole pieces of 16 bytes
    const int first = block * each < size ? block * each : size;
    return {first, size - first < each ? size - first : each};
  }

  // The part of a team, a warp, in its block's share.
  CRT_CODE Share team(const Share& share) const {
    const int each = (share.count + warps() - 1) / warps();
    const int first = warp() * each < share.count ? warp() * each : share.count;
    return {first, share.count - first < each ? share.count - first : each};
  }

  // A row's share, held near from `settle` on, until the next one is: whoever read the last one has reduced since.
  template <class Number> CRT_CODE const Number* hold(int which, const Number* row, const Share& share) const {
    const Number* from = row + share.first;
    if (!room) return from;
    Number* held = reinterpret_cast<Number*>(shelf + which * room);
    const auto place = reinterpret_cast<uintptr_t>(from);
    int copied = 0;
    if (place % 16 == 0) copied = pieces<16>(held, from, share.count);
    if (!copied && place % 4 == 0) copied = pieces<4>(held, from, share.count);
    for (int x = copied + rank(); x < share.count; x += size()) held[x] = from[x];
    return held;
  }

  CRT_CODE void settle() const {
    __pipeline_commit();
    __pipeline_wait_prior(0);
    wait();
  }

  // Over all threads of all blocks; in each thread the same joins in the same order, so the same bits.
  template <class T, class Join> CRT_CODE T all(T x, Join join) const {
    T* slots = fresh<T>();
    x = within(x, join);
    if (lane() == 0) at(slots, warp()) = x;
    wait();
    x = joined(at(slots, lane() % warps()), join, warps());
    if (blocks() == 1) return x;
    tell(&at(slots, MOST_WARPS + block()), x);
    return joined(at(slots, MOST_WARPS + lane() % blocks()), join, blocks());
  }

  // Of a number that a team agrees on.
  CRT_CODE Scanned scan(int64_t x) const {
    int64_t* slots = fresh<int64_t>();
    if (lane() == 0) at(slots, warp()) = x;
    wait();
    x = lane() < warps() ? at(slots, lane()) : 0;
    const Scanned found{within(lane() < warp() ? x : 0, Sum()), within(x, Sum())};
    if (blocks() == 1) return found;
    tell(&at(slots, MOST_WARPS + block()), found.all);
    x = lane() < blocks() ? at(slots, MOST_WARPS + lane()) : 0;
    return {found.before + within(lane() < block() ? x : 0, Sum()), within(x, Sum())};
  }

  // Whether this group is the last of so many that come by; what the others had written is there then.
  CRT_CODE bool last(unsigned* arrived, unsigned count) const {
    int64_t told = 0;
    if (block() == 0 && rank() == 0) {
      __threadfence();
      told = atomicAdd(arrived, 1u) + 1;
      __threadfence();
    }
    return all(told, Most()) == count;
  }

  // Over a team.
  template <class T, class Join> CRT_CODE T within(T x, Join join) const {
    return joined(x, join, WARP);
  }

  // The sum over a team's threads up to this one.
  CRT_CODE int64_t upto(int64_t x) const {
    for (int step = 1; step < WARP; step *= 2) {
      const int64_t other = __shfl_up_sync(~0u, x, step);
      if (lane() >= step) x += other;
    }
    return x;
  }

 private:
  // Over neighbours, a power of two of them.
  template <class T, class Join> CRT_CODE static T joined(T x, Join join, int count) {
    for (int step = count / 2; step; step /= 2) x = join(x, shuffled(x, step));
    return x;
  }

  template <class T> CRT_CODE static T& at(T* slots, int slot) {
    return *reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(slots) + slot * SLOT);
  }

  template <class T> CRT_CODE T* fresh() const {
    static_assert(sizeof(T) <= SLOT && sizeof(T) % sizeof(int64_t) == 0, "a slot holds so many words");
    turn ^= 1;
    return reinterpret_cast<T*>(desk + turn * SLOTS * SLOT);
  }

  // Says `x` to every block, at the same place, and hears the others.
  template <class T> CRT_CODE void tell(T* slot, const T& x) const {
#ifdef CRT_CLUSTERS
    const auto cluster = cooperative_groups::this_cluster();
    if (rank() < blocks()) *cluster.map_shared_rank(slot, rank()) = x;
    cluster.sync();
#endif
  }

  template <class T> CRT_CODE static T shuffled(const T& x, int step) {
    int64_t words[sizeof(T) / sizeof(int64_t)];
    memcpy(words, &x, sizeof x);
    for (int64_t& word : words) word = __shfl_xor_sync(~0u, word, step);
    T other;
    memcpy(&other, words, sizeof x);
    return other;
  }

  // Starts to copy whole pieces; returns how many numbers they are.
  template <int BYTES, class Number> CRT_CODE int pieces(Number* to, const Number* from, int count) const {
    constexpr int EACH = BYTES / sizeof(Number) ? BYTES / sizeof(Number) : 1;
    if constexpr (BYTES % sizeof(Number)) return 0;
    for (int x = rank() * EACH; x + EACH <= count; x += size() * EACH) __pipeline_memcpy_async(to + x, from + x, BYTES);
    return count / EACH * EACH;
  }
};

#endif

// One thread, which reads the whole vocabulary where it lies.
struct Alone {
  CRT_CODE int rank() const { return 0; }
  CRT_CODE int size() const { return 1; }
  CRT_CODE int lane() const { return 0; }
  CRT_CODE int lanes() const { return 1; }
  CRT_CODE void wait() const {}
  CRT_CODE void settle() const {}
  CRT_CODE Share share(int64_t vocabulary) const { return {0, static_cast<int>(vocabulary)}; }
  CRT_CODE Share team(const Share& share) const { return {0, share.count}; }
  template <class Number> CRT_CODE const Number* hold(int, const Number* row, const Share&) const { return row; }
  template <class T, class Join> CRT_CODE T all(T x, Join) const { return x; }
  template <class T, class Join> CRT_CODE T within(T x, Join) const { return x; }
  CRT_CODE int64_t upto(int64_t x) const { return x; }
  CRT_CODE Scanned scan(int64_t x) const { return {0, x}; }
};

}  // namespace crt

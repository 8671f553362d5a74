// SPDX-License-Identifier: Apache-2.0
// The group that works on a request or a node: blocks of threads on a device, one thread on a host.
// All threads of a group call each of its members, and all get the same result.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cooperative_groups.h>
#include <cuda_pipeline_primitives.h>
#define CRT_CODE __device__ inline
#define CRT_EITHER __host__ __device__ inline
#define CRT_APART __device__ __noinline__
#define CRT_PASS __device__ inline  // over a row: a host's compiler makes vectors of it once every call in it is inlined
#define CRT_ROLLED _Pragma("unroll 1")  // a body of many instructions: unrolled, it takes minutes to compile
#else
#define CRT_CODE inline
#define CRT_EITHER inline
#define CRT_APART inline
#define CRT_PASS __attribute__((noinline, flatten))
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

// The neighbouring ids that a block reads.
struct Share {
  int64_t first;
  int count;
};

// Sums in the order of the ids: over the teams before this one, and over all.
struct Scanned {
  int64_t before, all;
};

constexpr int WARP = 32;

#ifdef CRT_BLOCKS

constexpr int MOST_WARPS = 16;  // of a block, a power of two of them
constexpr int MOST_BLOCKS = 8;  // of a cluster, likewise: more is not portable
constexpr int SLOT = 64;        // bytes that a warp or a block writes at once
constexpr int SLOTS = MOST_WARPS + MOST_BLOCKS;
constexpr int64_t SCRATCH = 2 * SLOTS * SLOT;  // bytes: two sets, used in turn, so that one barrier a reduction is enough

// A block, or a cluster whose blocks each read a share of the vocabulary and keep a copy of everything else.
struct Blocks {
  unsigned char *scratch, *row_cache;
  int64_t room;  // bytes of the row cache for a row's share; 0: rows are read from global memory
  mutable int turn = 0;

  CRT_CODE Blocks(unsigned char* memory, int64_t behind, int64_t room_)
      : scratch(memory), row_cache(memory + SCRATCH + behind), room(room_) {
#ifdef CRT_CLUSTERS
    if (blocks() > 1) cooperative_groups::this_cluster().sync();  // a block that has not started has no shared memory
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

  // The part of a team (a warp) in its block's share.
  CRT_CODE Share team(const Share& share) const {
    const int each = (share.count + warps() - 1) / warps();
    const int first = warp() * each < share.count ? warp() * each : share.count;
    return {first, share.count - first < each ? share.count - first : each};
  }

  // A row's share, copied to shared memory; valid after `wait_for_copies`, until the next one is copied. All readers of
  // the last one have taken part in a reduction since.
  template <class Number> CRT_CODE const Number* cache_row(int which, const Number* row, const Share& share) const {
    const Number* from = row + share.first;
    if (!room) return from;
    Number* cached = reinterpret_cast<Number*>(row_cache + which * room);
    const auto place = reinterpret_cast<uintptr_t>(from);
    int copied = 0;
    if (place % 16 == 0) copied = pieces<16>(cached, from, share.count);
    if (!copied && place % 4 == 0) copied = pieces<4>(cached, from, share.count);
    for (int x = copied + rank(); x < share.count; x += size()) cached[x] = from[x];
    return cached;
  }

  CRT_CODE void wait_for_copies() const {
    __pipeline_commit();
    __pipeline_wait_prior(0);
    wait();
  }

  // Reduces over all threads of all blocks; each thread joins in the same order and gets the same bits.
  template <class T, class Join> CRT_CODE T all(T x, Join join) const {
    T* slots = fresh<T>();
    x = within(x, join);
    if (lane() == 0) at(slots, warp()) = x;
    wait();
    x = joined(at(slots, lane() % warps()), join, warps());
    if (blocks() == 1) return x;
    broadcast(&at(slots, MOST_WARPS + block()), x);
    return joined(at(slots, MOST_WARPS + lane() % blocks()), join, blocks());
  }

  // Of a number that is the same in all threads of a team.
  CRT_CODE Scanned scan(int64_t x) const {
    int64_t* slots = fresh<int64_t>();
    if (lane() == 0) at(slots, warp()) = x;
    wait();
    x = lane() < warps() ? at(slots, lane()) : 0;
    const Scanned sums{within(lane() < warp() ? x : 0, Sum()), within(x, Sum())};
    if (blocks() == 1) return sums;
    broadcast(&at(slots, MOST_WARPS + block()), sums.all);
    x = lane() < blocks() ? at(slots, MOST_WARPS + lane()) : 0;
    return {sums.before + within(lane() < block() ? x : 0, Sum()), within(x, Sum())};
  }

  // Whether this group is the last of `count` to arrive; then it sees what the others wrote before.
  CRT_CODE bool last(unsigned* arrived, unsigned count) const {
    int64_t place = 0;
    if (block() == 0 && rank() == 0) {
      __threadfence();
      place = atomicAdd(arrived, 1u) + 1;
      __threadfence();
    }
    return all(place, Most()) == count;
  }

  // Reduces over a team.
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
  // Reduces over neighbouring threads, a power of two of them.
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
    return reinterpret_cast<T*>(scratch + turn * SLOTS * SLOT);
  }

  // Writes `x` to the same place of every block, and waits until the others have.
  template <class T> CRT_CODE void broadcast(T* slot, const T& x) const {
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

  // Starts to copy whole pieces; returns how many numbers they hold.
  template <int BYTES, class Number> CRT_CODE int pieces(Number* to, const Number* from, int count) const {
    constexpr int EACH = BYTES / sizeof(Number) ? BYTES / sizeof(Number) : 1;
    if constexpr (BYTES % sizeof(Number)) return 0;
    for (int x = rank() * EACH; x + EACH <= count; x += size() * EACH) __pipeline_memcpy_async(to + x, from + x, BYTES);
    return count / EACH * EACH;
  }
};

#endif

// One thread, which reads whole rows from memory.
struct SingleThread {
  double* kept = nullptr;  // room for the weights of a node's two rows of logits, if a rule passes over them often

  CRT_CODE int rank() const { return 0; }
  CRT_CODE int size() const { return 1; }
  CRT_CODE int lane() const { return 0; }
  CRT_CODE int lanes() const { return 1; }
  CRT_CODE void wait() const {}
  CRT_CODE void wait_for_copies() const {}
  CRT_CODE Share share(int64_t vocabulary) const { return {0, static_cast<int>(vocabulary)}; }
  CRT_CODE Share team(const Share& share) const { return {0, share.count}; }
  template <class Number> CRT_CODE const Number* cache_row(int, const Number* row, const Share&) const { return row; }
  template <class T, class Join> CRT_CODE T all(T x, Join) const { return x; }
  template <class T, class Join> CRT_CODE T within(T x, Join) const { return x; }
  CRT_CODE int64_t upto(int64_t x) const { return x; }
  CRT_CODE Scanned scan(int64_t x) const { return {0, x}; }
};

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// CUDA's words, as far as our kernels use them, for a CPU: each thread of a cluster is a fiber, and a barrier is a
// change of fibers. To ThreadSanitizer each is a thread, and ordered with others as CUDA promises, no more: barriers
// order memory, shuffles do not, and an atomic does with a fence before it, for those that have a fence behind theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __noinline__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

#define threadIdx (::emulated::here().thread)
#define blockIdx (::emulated::here().block)
#define blockDim (::emulated::here().threads)
#define gridDim (::emulated::here().blocks)

namespace emulated {

constexpr unsigned WARP = 32;

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

struct Place {
  Index thread, block, threads, blocks;
};

// Blocks along x and y, threads of a block, blocks of a cluster, which lie along x, and bytes of a block's memory.
struct Grid {
  unsigned x, y, threads, cluster;
  size_t shared;
};

// Runs a kernel: clusters in an order, and threads of a cluster in turns, that a seed shuffles.
void launch(const Grid& grid, uint64_t seed, const std::function<void()>& kernel);

// Bytes that asynchronous copies have read since the program began.
uint64_t copied();

const Place& here();
unsigned char* shared();

void wait_for_warp();
void wait_for_block();
unsigned arrive_at_cluster();
void wait_for_cluster(unsigned ticket);
unsigned cluster_rank();
unsigned cluster_size();
void* shared_of(unsigned rank, const void* own);

// Of the words of all lanes of the warp, that of one, or a bit for each that is not 0; memory is not ordered.
uint64_t exchanged(unsigned mask, uint64_t word, unsigned lane);
unsigned voted(unsigned mask, uint64_t word);

void copy_later(void* target, const void* source, size_t bytes);
void close_batch();
void finish_copies(size_t but);

void fence();
// Whether a fence came before, since the last atomic; the next fence orders what this one reads.
bool fenced(const void* atomic);

template <class T> uint64_t packed(T x) {
  static_assert(std::is_arithmetic_v<T> && sizeof x <= sizeof(uint64_t), "a lane hands on one number");
  uint64_t word = 0;
  std::memcpy(&word, &x, sizeof x);
  return word;
}

template <class T> T unpacked(uint64_t word) {
  T x;
  std::memcpy(&x, &word, sizeof x);
  return x;
}

inline unsigned lane() { return here().thread.x % WARP; }

// The result of `change` at an order: an atomic's own, which GCC wants as a constant.
template <class Change> auto atomically(const void* atomic, Change change) {
  if (fenced(atomic)) return change(std::integral_constant<int, __ATOMIC_RELEASE>());
  return change(std::integral_constant<int, __ATOMIC_RELAXED>());
}

}  // namespace emulated

inline void __syncthreads() { emulated::wait_for_block(); }
inline void __syncwarp(unsigned = ~0u) { emulated::wait_for_warp(); }
inline void __threadfence() { emulated::fence(); }

template <class T> T __shfl_sync(unsigned mask, T x, int source) {
  return emulated::unpacked<T>(emulated::exchanged(mask, emulated::packed(x), source % emulated::WARP));
}

template <class T> T __shfl_xor_sync(unsigned mask, T x, int bits) {
  return __shfl_sync(mask, x, static_cast<int>(emulated::lane() ^ bits));
}

template <class T> T __shfl_up_sync(unsigned mask, T x, unsigned steps) {
  const unsigned lane = emulated::lane();
  return __shfl_sync(mask, x, static_cast<int>(lane < steps ? lane : lane - steps));
}

template <class T> T __shfl_down_sync(unsigned mask, T x, unsigned steps) {
  const unsigned lane = emulated::lane();
  return __shfl_sync(mask, x, static_cast<int>(lane + steps < emulated::WARP ? lane + steps : lane));
}

inline unsigned __ballot_sync(unsigned mask, int holds) { return emulated::voted(mask, holds != 0); }
inline int __any_sync(unsigned mask, int holds) { return __ballot_sync(mask, holds) != 0; }
inline int __all_sync(unsigned mask, int holds) { return __ballot_sync(mask, holds) == ~0u; }

inline void __pipeline_memcpy_async(void* target, const void* source, size_t bytes) {
  emulated::copy_later(target, source, bytes);
}

inline void __pipeline_commit() { emulated::close_batch(); }
inline void __pipeline_wait_prior(size_t but) { emulated::finish_copies(but); }

template <class T> T atomicAdd(T* sum, std::type_identity_t<T> x) {
  return emulated::atomically(sum, [&](auto order) { return __atomic_fetch_add(sum, x, order); });
}

template <class T> T atomicMin(T* least, std::type_identity_t<T> x) {
  return emulated::atomically(least, [&](auto order) {
    T seen = __atomic_load_n(least, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(least, &seen, x < seen ? x : seen, false, order, __ATOMIC_RELAXED)) {
    }
    return seen;
  });
}

namespace cooperative_groups {

struct cluster_group {
  using arrival_token = unsigned;

  static unsigned block_rank() { return emulated::cluster_rank(); }
  static unsigned num_blocks() { return emulated::cluster_size(); }
  static arrival_token barrier_arrive() { return emulated::arrive_at_cluster(); }
  static void barrier_wait(arrival_token&& ticket) { emulated::wait_for_cluster(ticket); }
  static void sync() { barrier_wait(barrier_arrive()); }

  template <class T> static T* map_shared_rank(T* own, int rank) {
    return static_cast<T*>(emulated::shared_of(rank, own));
  }
};

inline cluster_group this_cluster() { return {}; }

}  // namespace cooperative_groups

namespace crt {

inline unsigned char* shared_memory() { return emulated::shared(); }

}  // namespace crt

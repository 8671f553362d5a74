// SPDX-License-Identifier: Apache-2.0
// Who works on a request together: a block of threads on a device, one thread on a host.
// All threads of a group call each of its members, and all are told the same.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
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

namespace crt {

constexpr int WARP = 32;

struct Sum {
  template <class T> CRT_CODE T operator()(T one, T other) const { return one + other; }
};

struct Least {
  template <class T> CRT_CODE T operator()(T one, T other) const { return other < one ? other : one; }
};

struct Most {
  template <class T> CRT_CODE T operator()(T one, T other) const { return one < other ? other : one; }
};

#ifdef __CUDACC__

struct Block {
  int64_t* slots;  // one a warp, in shared memory

  CRT_CODE int rank() const { return threadIdx.x; }
  CRT_CODE int size() const { return blockDim.x; }
  CRT_CODE void wait() const { __syncthreads(); }

  template <class Join, class T> CRT_CODE T all(T x) const {
    static_assert(sizeof(T) == sizeof(int64_t), "a slot holds eight bytes");
    T* slot = reinterpret_cast<T*>(slots);
    for (int step = WARP / 2; step; step /= 2) x = Join()(x, __shfl_xor_sync(~0u, x, step));
    __syncthreads();
    if (rank() % WARP == 0) slot[rank() / WARP] = x;
    __syncthreads();
    x = slot[0];
    for (int warp = 1; warp < size() / WARP; ++warp) x = Join()(x, slot[warp]);
    return x;
  }

  // The sum over the threads before this one.
  CRT_CODE int64_t before(int64_t x) const {
    int64_t upto = x;
    for (int step = 1; step < WARP; step *= 2) {
      const int64_t other = __shfl_up_sync(~0u, upto, step);
      if (rank() % WARP >= step) upto += other;
    }
    __syncthreads();
    if (rank() % WARP == WARP - 1) slots[rank() / WARP] = upto;
    __syncthreads();
    for (int warp = 0; warp < rank() / WARP; ++warp) upto += slots[warp];
    return upto - x;
  }
};

#else

struct Alone {
  int rank() const { return 0; }
  int size() const { return 1; }
  void wait() const {}
  template <class Join, class T> T all(T x) const { return x; }
  int64_t before(int64_t) const { return 0; }
};

#endif

}  // namespace crt

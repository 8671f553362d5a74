// SPDX-License-Identifier: Apache-2.0
// Small kernels, each sound, or with a flaw that the emulation promises to find. Exit status 3: a wrong result.
#include "cuda.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

namespace cg = cooperative_groups;

constexpr unsigned THREADS = 64, BLOCKS = 6, CLUSTER = 3;

int* numbers() { return reinterpret_cast<int*>(crt::shared_memory()); }

// Each thread hands its number to the one before it, by a buffer that is used twice.
void block(bool flawed, int* out) {
  for (int round = 0; round < 2; ++round) {
    numbers()[threadIdx.x] = round + threadIdx.x;
    __syncthreads();
    out[blockIdx.x * THREADS + threadIdx.x] = numbers()[(threadIdx.x + 1) % THREADS];
    if (!flawed) __syncthreads();
  }
}

// The same in a warp; a shuffle is no barrier.
void warp(bool flawed, int* out) {
  const unsigned first = threadIdx.x / 32 * 32, next = (threadIdx.x + 1) % 32;
  numbers()[threadIdx.x] = 1 + threadIdx.x;
  if (flawed) __shfl_sync(~0u, 0, 0);
  if (!flawed) __syncwarp();
  out[blockIdx.x * THREADS + threadIdx.x] = numbers()[first + next];
}

// The same among the blocks of a cluster.
void cluster(bool flawed, int* out) {
  const auto cluster = cg::this_cluster();
  const unsigned next = (cluster.block_rank() + 1) % cluster.num_blocks();
  numbers()[threadIdx.x] = 1 + blockIdx.x;
  if (flawed) __syncthreads();
  if (!flawed) cluster.sync();
  out[blockIdx.x * THREADS + threadIdx.x] = cluster.map_shared_rank(numbers(), next)[threadIdx.x];
  cluster.barrier_wait(cluster.barrier_arrive());
}

// A block of a cluster ends while another still reads its memory.
void early(bool flawed, int* out) {
  const auto cluster = cg::this_cluster();
  numbers()[threadIdx.x] = 1 + blockIdx.x;
  cluster.sync();
  out[blockIdx.x * THREADS + threadIdx.x] = *cluster.map_shared_rank(numbers() + threadIdx.x, 0);
  if (!flawed) cluster.sync();
}

// Two batches of copies, of which the second is needed.
void copies(bool flawed, const int* in, int* out) {
  for (int batch = 0; batch < 2; ++batch) {
    __pipeline_memcpy_async(numbers() + batch * THREADS + threadIdx.x, in + batch * THREADS + threadIdx.x, sizeof(int));
    __pipeline_commit();
  }
  __pipeline_wait_prior(flawed ? 1 : 0);
  out[blockIdx.x * THREADS + threadIdx.x] = numbers()[THREADS + threadIdx.x] - in[THREADS + threadIdx.x];
  __pipeline_wait_prior(0);
}

// Who waits for a copy waits for its own.
void handed(bool flawed, const int* in, int* out) {
  __pipeline_memcpy_async(numbers() + threadIdx.x, in + threadIdx.x, sizeof(int));
  __pipeline_commit();
  __pipeline_wait_prior(0);
  if (!flawed) __syncthreads();
  out[blockIdx.x * THREADS + threadIdx.x] = numbers()[(threadIdx.x + 1) % THREADS] - in[0];
}

// A copy that is between places of 16 bytes, or not.
void aligned(bool flawed, const int* in) {
  if (threadIdx.x) return;
  __pipeline_memcpy_async(numbers() + flawed, in, 16);
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

// A copy that nobody waits for.
void waited(bool flawed, const int* in) {
  __pipeline_memcpy_async(numbers() + threadIdx.x, in, 4);
  __pipeline_commit();
  if (!flawed) __pipeline_wait_prior(0);
}

// The last block of all sums what each has left.
void last(bool flawed, int* left, unsigned* counter, int* out) {
  if (threadIdx.x) return;
  left[blockIdx.x] = 1 + blockIdx.x;
  if (!flawed) __threadfence();
  if (atomicAdd(counter, 1) < gridDim.x - 1) return;
  __threadfence();
  for (unsigned each = 0; each < gridDim.x; ++each) out[0] += left[each];
}

// The same, where the last block does not look again at memory.
void seen(bool flawed, int* left, unsigned* counter, int* out) {
  if (threadIdx.x) return;
  left[blockIdx.x] = 1 + blockIdx.x;
  __threadfence();
  if (atomicAdd(counter, 1) < gridDim.x - 1) return;
  if (!flawed) __threadfence();
  for (unsigned each = 0; each < gridDim.x; ++each) out[0] += left[each];
}

// Some threads wait for others that wait elsewhere.
void apart(bool flawed) {
  if (flawed && threadIdx.x / 32) return;
  __syncthreads();
}

// A thread reads beyond its block's memory.
void beyond(bool flawed, int* out) {
  numbers()[threadIdx.x] = numbers()[THREADS + threadIdx.x] = 0;
  out[blockIdx.x * THREADS + threadIdx.x] = numbers()[flawed ? 2 * THREADS : threadIdx.x];
}

// Votes and shuffles of a warp, counted out by hand.
void lanes(bool flawed, int* out) {
  const int lane = threadIdx.x % 32, own = lane + flawed, before = lane < 3 ? lane : lane - 3;
  const bool right = __shfl_xor_sync(~0u, static_cast<double>(own), 5) == (lane ^ 5) &&
                     __shfl_up_sync(~0u, int64_t(own) << 40, 3) == int64_t(before) << 40 &&
                     __shfl_sync(~0u, static_cast<float>(own), 7) == 7 && __ballot_sync(~0u, own % 2) == 0xAAAAAAAAu &&
                     __any_sync(~0u, own == 31) && !__any_sync(~0u, own == 32);
  out[blockIdx.x * THREADS + threadIdx.x] = right;
}

bool every(const std::vector<int>& out, int expected) {
  for (int each : out) {
    if (each != expected) return false;
  }
  return true;
}

bool right(const char* name, bool flawed) {
  std::vector<int> in(2 * THREADS, 7), out(BLOCKS * THREADS), left(BLOCKS);
  unsigned counter = 0;
  const auto is = [&](const char* other) { return !std::strcmp(name, other); };
  const auto launch = [&](unsigned blocks, const std::function<void()>& kernel) {
    emulated::launch({BLOCKS, 1, THREADS, blocks, 2 * THREADS * sizeof(int)}, 0, kernel);
    return true;
  };
  if (is("block")) return launch(1, [&] { block(flawed, out.data()); }) && out[0] == 2 && out[THREADS - 1] == 1;
  if (is("warp")) return launch(1, [&] { warp(flawed, out.data()); }) && out[0] == 2 && out[31] == 1;
  if (is("cluster")) return launch(CLUSTER, [&] { cluster(flawed, out.data()); }) && out[2 * THREADS] == 1;
  if (is("early")) return launch(CLUSTER, [&] { early(flawed, out.data()); }) && out[2 * THREADS] == 1;
  if (is("copies")) return launch(1, [&] { copies(flawed, in.data(), out.data()); }) && every(out, 0);
  if (is("handed")) return launch(1, [&] { handed(flawed, in.data(), out.data()); }) && every(out, 0);
  if (is("aligned")) return launch(1, [&] { aligned(flawed, in.data()); });
  if (is("waited")) return launch(1, [&] { waited(flawed, in.data()); });
  if (is("last")) return launch(1, [&] { last(flawed, left.data(), &counter, out.data()); }) && out[0] == 21;
  if (is("seen")) return launch(1, [&] { seen(flawed, left.data(), &counter, out.data()); }) && out[0] == 21;
  if (is("apart")) return launch(1, [&] { apart(flawed); });
  if (is("beyond")) return launch(1, [&] { beyond(flawed, out.data()); });
  if (is("lanes")) return launch(1, [&] { lanes(flawed, out.data()); }) && every(out, 1);
  std::fprintf(stderr, "expected a kernel, got %s\n", name);
  std::exit(2);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  return right(words[1], std::atoi(words[2])) ? 0 : 3;
}

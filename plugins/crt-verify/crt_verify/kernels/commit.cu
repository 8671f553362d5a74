// SPDX-License-Identifier: Apache-2.0
// The commit of keys and values as a torch operator, by its stable interface.
#include <cuda_runtime.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "commit.cuh"

namespace {

using torch::stable::Tensor;

constexpr int THREADS = 256;

__global__ void keep_accepted(crt::KVCache cache) {
  const int64_t column = static_cast<int64_t>(blockIdx.y) * THREADS + threadIdx.x;
  if (column < cache.width) crt::keep(cache, blockIdx.x, column);
}

// `cache` is contiguous with axes `b s ...`, and a slot is a whole number of words.
void commit(Tensor cache, Tensor path, Tensor counts, int64_t bound, int64_t stream) {
  const int64_t rows = cache.size(0), slots = cache.size(1);
  if (!cache.numel()) return;
  const int64_t width = cache.numel() / (rows * slots) * cache.element_size() / sizeof(uint32_t);
  const crt::KVCache kept{static_cast<uint32_t*>(cache.data_ptr()), slots, width, bound,
                          static_cast<const int64_t*>(path.data_ptr()), static_cast<const int64_t*>(counts.data_ptr()),
                          path.size(1)};
  STD_TORCH_CHECK(cudaSetDevice(cache.get_device()) == cudaSuccess, "expected a device that can be used");
  const dim3 every(rows, (width + THREADS - 1) / THREADS);
  keep_accepted<<<every, THREADS, 0, reinterpret_cast<cudaStream_t>(stream)>>>(kept);
  const cudaError_t error = cudaGetLastError();
  STD_TORCH_CHECK(error == cudaSuccess, "a kernel did not start: ", cudaGetErrorString(error));
}

}  // namespace

STABLE_TORCH_LIBRARY(crt_verify_commit, library) {
  library.def("commit(Tensor(a!) cache, Tensor path, Tensor counts, int bound, int stream) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(crt_verify_commit, CUDA, library) { library.impl("commit", TORCH_BOX(&commit)); }

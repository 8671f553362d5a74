// SPDX-License-Identifier: Apache-2.0
// The commit of keys and values as an operator of torch, by its stable interface.
#include <cuda_runtime.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "commit.cuh"

namespace {

using torch::stable::Tensor;

constexpr int THREADS = 256;

__global__ void keep_accepted(crt::Shelf shelf) {
  const int64_t column = static_cast<int64_t>(blockIdx.y) * THREADS + threadIdx.x;
  if (column < shelf.width) crt::keep(shelf, blockIdx.x, column);
}

// `shelf` is contiguous, `b s` before whatever a slot holds, and a slot a whole number of words.
void commit(Tensor shelf, Tensor path, Tensor counts, int64_t bound, int64_t stream) {
  const int64_t rows = shelf.size(0), slots = shelf.size(1);
  if (!shelf.numel()) return;
  const int64_t width = shelf.numel() / (rows * slots) * shelf.element_size() / sizeof(uint32_t);
  const crt::Shelf given{static_cast<uint32_t*>(shelf.data_ptr()), slots, width, bound,
                         static_cast<const int64_t*>(path.data_ptr()), static_cast<const int64_t*>(counts.data_ptr()),
                         path.size(1)};
  STD_TORCH_CHECK(cudaSetDevice(shelf.get_device()) == cudaSuccess, "expected a device that can be used");
  const dim3 every(rows, (width + THREADS - 1) / THREADS);
  keep_accepted<<<every, THREADS, 0, reinterpret_cast<cudaStream_t>(stream)>>>(given);
  const cudaError_t error = cudaGetLastError();
  STD_TORCH_CHECK(error == cudaSuccess, "a kernel did not start: ", cudaGetErrorString(error));
}

}  // namespace

STABLE_TORCH_LIBRARY(crt_verify_commit, library) {
  library.def("commit(Tensor(a!) shelf, Tensor path, Tensor counts, int bound, int stream) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(crt_verify_commit, CUDA, library) { library.impl("commit", TORCH_BOX(&commit)); }

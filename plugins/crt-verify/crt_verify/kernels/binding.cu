// SPDX-License-Identifier: Apache-2.0
// The kernels as a torch operator, by its stable interface: one library for every torch from 2.10 on.
// CRT_ROWS is the type that reads rows, CRT_NAMES the operator's namespace. Each has its own library.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.cuh"

namespace {

using torch::stable::Tensor;

const int64_t* integers(const Tensor& tensor) { return static_cast<const int64_t*>(tensor.data_ptr()); }
int64_t* room(const Tensor& tensor) { return static_cast<int64_t*>(tensor.data_ptr()); }

// All tensors are contiguous and on one device; integers are int64. `results` holds a `Result` a node, then a counter a
// request. A layout or number of blocks of 0 is chosen here.
void verify(
    int64_t rule, double temperature, int64_t top_k, double top_p, double min_p, int64_t layout, int64_t blocks,
    int64_t stream, Tensor parents, Tensor tokens, Tensor nodes, Tensor target, Tensor draft, Tensor accept, Tensor final,
    Tensor results, Tensor path, Tensor length, Tensor last, Tensor fault) {
  if (!target.size(0)) return;
  const crt::Batch batch{target.size(0), target.size(1), target.size(2), integers(parents), integers(tokens),
                         integers(nodes), target.data_ptr(), draft.data_ptr(), integers(accept), integers(final),
                         temperature, top_k, top_p, min_p};
  const int64_t bytes = crt::kept_bytes(batch.most);
  STD_TORCH_CHECK(bytes <= 40 * 1024, "expected a tree that fits 40 KiB beside its walk, got ", bytes, " bytes of nodes");
  STD_TORCH_CHECK(cudaSetDevice(target.get_device()) == cudaSuccess, "expected a device that can be used");
  auto* each = reinterpret_cast<crt::Result*>(room(results));
  const crt::Outcome out{room(path), room(length), room(last), room(fault)};
  const cudaError_t error = crt::launch<crt::CRT_ROWS>(
      batch, static_cast<int>(rule), target.element_size(), static_cast<int>(layout), static_cast<int>(blocks), each,
      reinterpret_cast<unsigned*>(each + batch.size * batch.most), out, reinterpret_cast<cudaStream_t>(stream));
  STD_TORCH_CHECK(error == cudaSuccess, "a kernel did not start: ", cudaGetErrorString(error));
}

}  // namespace

#define CRT_DEFINE(names) STABLE_TORCH_LIBRARY(names, library)
#define CRT_IMPLEMENT(names) STABLE_TORCH_LIBRARY_IMPL(names, CUDA, library)

CRT_DEFINE(CRT_NAMES) {
  library.def(
      "verify(int rule, float temperature, int top_k, float top_p, float min_p, int layout, int blocks, int stream, "
      "Tensor parents, Tensor tokens, Tensor nodes, Tensor target, Tensor draft, Tensor accept, Tensor final, "
      "Tensor(a!) results, Tensor(b!) path, Tensor(c!) length, Tensor(d!) last, Tensor(e!) fault) -> ()");
}

CRT_IMPLEMENT(CRT_NAMES) { library.impl("verify", TORCH_BOX(&verify)); }

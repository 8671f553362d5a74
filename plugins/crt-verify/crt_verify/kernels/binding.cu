// SPDX-License-Identifier: Apache-2.0
// The kernels as operators of torch, by its stable interface: one library for every torch from 2.10 on.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "launch.cuh"

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

const int64_t* integers(const Tensor& tensor) { return static_cast<const int64_t*>(tensor.data_ptr()); }
int64_t* room(const Tensor& tensor) { return static_cast<int64_t*>(tensor.data_ptr()); }

template <class... Rest> void start(ScalarType number, bool logits, Rest... rest) {
  using namespace crt;
  if (!logits && number == ScalarType::Float) return launch<Given<float>>(rest...);
  if (!logits && number == ScalarType::Double) return launch<Given<double>>(rest...);
  if (logits && number == ScalarType::Float) return launch<Fused<float>>(rest...);
  if (logits && number == ScalarType::BFloat16) return launch<Fused<BFloat16>>(rest...);
  if (logits && number == ScalarType::Half) return launch<Fused<Half>>(rest...);
  STD_TORCH_CHECK(false, "expected float32 or float64 probabilities, or float32, bfloat16 or float16 logits");
}

// All tensors contiguous and on one device; integers are int64. Without rows in `judged` a walk goes node by node.
void verify(
    int64_t rule, bool logits, double temperature, int64_t stream, Tensor parents, Tensor tokens, Tensor nodes, Tensor target,
    Tensor draft, Tensor accept, Tensor final, Tensor codes, Tensor judged, Tensor path, Tensor length, Tensor last,
    Tensor fault) {
  const crt::Batch batch{target.size(0), target.size(1), target.size(2), integers(parents), integers(tokens),
                         integers(nodes), target.data_ptr(), draft.data_ptr(), integers(accept), integers(final),
                         temperature};
  const int64_t bytes = crt::shared_bytes(batch.most);
  STD_TORCH_CHECK(bytes <= 48 * 1024, "expected a tree that fits 48 KiB beside its walk, got ", bytes, " bytes of nodes");
  STD_TORCH_CHECK(cudaSetDevice(target.get_device()) == cudaSuccess, "expected a device that can be used");
  crt::Judged* each = judged.size(0) ? reinterpret_cast<crt::Judged*>(room(judged)) : nullptr;
  const crt::Outcome out{room(path), room(length), room(last), room(fault)};
  start(target.scalar_type(), logits, batch, static_cast<int>(rule), room(codes), each, out,
        reinterpret_cast<cudaStream_t>(stream));
  const cudaError_t error = cudaGetLastError();
  STD_TORCH_CHECK(error == cudaSuccess, "a kernel did not start: ", cudaGetErrorString(error));
}

}  // namespace

STABLE_TORCH_LIBRARY(crt_verify, library) {
  library.def(
      "verify(int rule, bool logits, float temperature, int stream, Tensor parents, Tensor tokens, Tensor nodes, "
      "Tensor target, Tensor draft, Tensor accept, Tensor final, Tensor(a!) codes, Tensor(b!) judged, Tensor(c!) path, "
      "Tensor(d!) length, Tensor(e!) last, Tensor(f!) fault) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(crt_verify, CUDA, library) { library.impl("verify", TORCH_BOX(&verify)); }

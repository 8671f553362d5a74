// SPDX-License-Identifier: Apache-2.0
// Starts the kernels on the caller's stream, without allocation or synchronisation.
#pragma once

#include <cuda_runtime.h>

#include "kernels.cuh"

namespace crt {

enum Layout { CHOSEN, PATH_SERIAL, NODE_PARALLEL };

// The resources of a device.
struct Device {
  int major, processors, memory;  // bytes that a block can share

  static cudaError_t current(Device& device) {
    int id = 0;
    cudaError_t error = cudaGetDevice(&id);
    const auto ask = [&](int& value, cudaDeviceAttr attribute) {
      if (error == cudaSuccess) error = cudaDeviceGetAttribute(&value, attribute, id);
    };
    ask(device.major, cudaDevAttrComputeCapabilityMajor);
    ask(device.processors, cudaDevAttrMultiProcessorCount);
    ask(device.memory, cudaDevAttrMaxSharedMemoryPerBlockOptin);
    return error;
  }
};

// The blocks of a group, what each caches of a row, and whether every node has a group.
struct Plan {
  int blocks, threads;
  int64_t room, bytes;
  bool at_once;
};

// Chooses `blocks` if it is 0, and the layout if it is `CHOSEN`: two blocks share a multiprocessor, and none is idle.
inline Plan planned(const Device& device, const Batch& batch, int rule, int64_t number, int layout, int blocks) {
  const int64_t fixed = SCRATCH + kept_bytes(batch.most), most = device.memory - fixed, half = most / 2 - fixed;
  const auto room = [&](int of) { return rounded(Blocks::part(batch.vocabulary, 0, of).count * number); };
  const int top = device.major >= 9 ? MOST_BLOCKS : 1;
  const int64_t nodes = batch.size * batch.most;
  int chosen = blocks ? blocks : 1;
  while (!blocks && chosen < top && 2 * room(chosen) > half) chosen *= 2;
  const int shared = 2 * room(chosen) > half ? 1 : 2;  // blocks of a multiprocessor
  const bool fits = nodes * chosen <= 2 * shared * device.processors;  // two waves of all groups
  const bool at_once = !from_leaves(rule) && (layout ? layout == NODE_PARALLEL : fits);
  while (!blocks && chosen < top && 2 * chosen * (at_once ? nodes : batch.size) <= device.processors) chosen *= 2;
  const bool alone = shared == 1 || chosen * (at_once ? nodes : batch.size) <= device.processors;  // on a multiprocessor
  const int64_t cached = 2 * room(chosen) <= most ? room(chosen) : 0;
  return {chosen, alone ? MOST_THREADS : MOST_THREADS / 2, cached, fixed + 2 * cached, at_once};
}

template <class... Parameters, class... Arguments>
cudaError_t start(
    void (*kernel)(Parameters...), dim3 grid, const Plan& plan, cudaStream_t stream, const Arguments&... arguments) {
  cudaLaunchAttribute cluster;
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(plan.blocks), 1, 1};
  cudaLaunchConfig_t words{};
  words.gridDim = grid;
  words.blockDim = dim3(plan.threads);
  words.dynamicSmemBytes = plan.bytes;
  words.stream = stream;
  words.attrs = &cluster;
  words.numAttrs = plan.blocks > 1;
  return cudaLaunchKernelEx(&words, kernel, static_cast<Parameters>(arguments)...);
}

// `results` has room for a result a node, `arrived` for a counter a request.
template <class Reader>
cudaError_t launch(
    const Batch& batch, int rule, int64_t number, int layout, int blocks, Result* results, unsigned* arrived,
    const Outcome& out, cudaStream_t stream) {
  Device device;
  cudaError_t error = Device::current(device);
  if (error != cudaSuccess) return error;
  // The largest size, for both kernels, so that no other thread or later graph gets less; this also loads them.
  constexpr cudaFuncAttribute MOST = cudaFuncAttributeMaxDynamicSharedMemorySize;
  error = cudaFuncSetAttribute(walk_requests<Reader>, MOST, device.memory);
  if (error == cudaSuccess) error = cudaFuncSetAttribute(verify_nodes<Reader>, MOST, device.memory);
  if (error != cudaSuccess) return error;
  const Plan plan = planned(device, batch, rule, number, layout, blocks);
  const unsigned requests = static_cast<unsigned>(batch.size * plan.blocks), nodes = static_cast<unsigned>(batch.most);
  if (!plan.at_once) return start(walk_requests<Reader>, dim3(requests), plan, stream, batch, rule, plan.room, out);
  error = cudaMemsetAsync(arrived, 0, batch.size * sizeof(unsigned), stream);
  if (error != cudaSuccess) return error;
  return start(verify_nodes<Reader>, dim3(requests, nodes), plan, stream, batch, rule, plan.room, results, arrived, out);
}

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// How the kernels are started: on the caller's stream, with nothing allocated and nothing waited for.
#pragma once

#include <cuda_runtime.h>

#include "kernels.cuh"

namespace crt {

enum Layout { CHOSEN, PATH_SERIAL, NODE_PARALLEL };

// What a device has.
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

// How many blocks a group has, what each holds of a row, and whether every node has a group.
struct Plan {
  int blocks, threads;
  int64_t room, bytes;
  bool at_once;
};

// `blocks` 0 and the layout `CHOSEN` are chosen: so that two blocks share a multiprocessor, and none is idle.
inline Plan planned(const Device& device, const Batch& batch, int rule, int64_t number, int layout, int blocks) {
  const int64_t fixed = DESK + kept_bytes(batch.most), most = device.memory - fixed, half = most / 2 - fixed;
  const auto room = [&](int of) { return rounded(Blocks::part(batch.vocabulary, 0, of).count * number); };
  const int top = device.major >= 9 ? MOST_BLOCKS : 1;
  const int64_t nodes = batch.size * batch.most;
  int chosen = blocks ? blocks : 1;
  while (!blocks && chosen < top && 2 * room(chosen) > half) chosen *= 2;
  const int shared = 2 * room(chosen) > half ? 1 : 2;  // blocks of a multiprocessor
  const bool fits = nodes * chosen <= 2 * shared * device.processors;  // two turns of all
  const bool at_once = !from_leaves(rule) && (layout ? layout == NODE_PARALLEL : fits);
  while (!blocks && chosen < top && 2 * chosen * (at_once ? nodes : batch.size) <= device.processors) chosen *= 2;
  const bool alone = shared == 1 || chosen * (at_once ? nodes : batch.size) <= device.processors;  // on a multiprocessor
  const int64_t held = 2 * room(chosen) <= most ? room(chosen) : 0;
  return {chosen, alone ? MOST_THREADS : MOST_THREADS / 2, held, fixed + 2 * held, at_once};
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

// `judged`: room for what each node comes to, and `arrived` for a number a request.
template <class Laws>
cudaError_t launch(
    const Batch& batch, int rule, int64_t number, int layout, int blocks, Judged* judged, unsigned* arrived,
    const Outcome& out, cudaStream_t stream) {
  Device device;
  cudaError_t error = Device::current(device);
  if (error != cudaSuccess) return error;
  // To the most there is, and of both, so that neither another thread nor a later graph finds less; that loads them, too.
  constexpr cudaFuncAttribute MOST = cudaFuncAttributeMaxDynamicSharedMemorySize;
  error = cudaFuncSetAttribute(walk_requests<Laws>, MOST, device.memory);
  if (error == cudaSuccess) error = cudaFuncSetAttribute(judge_nodes<Laws>, MOST, device.memory);
  if (error != cudaSuccess) return error;
  const Plan plan = planned(device, batch, rule, number, layout, blocks);
  const unsigned requests = static_cast<unsigned>(batch.size * plan.blocks), nodes = static_cast<unsigned>(batch.most);
  if (!plan.at_once) return start(walk_requests<Laws>, dim3(requests), plan, stream, batch, rule, plan.room, out);
  error = cudaMemsetAsync(arrived, 0, batch.size * sizeof(unsigned), stream);
  if (error != cudaSuccess) return error;
  return start(judge_nodes<Laws>, dim3(requests, nodes), plan, stream, batch, rule, plan.room, judged, arrived, out);
}

}  // namespace crt

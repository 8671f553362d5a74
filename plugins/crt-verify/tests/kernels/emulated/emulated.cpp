// SPDX-License-Identifier: Apache-2.0
// Kernels on batches from a file, verdicts to another: what `Call` and `emulated` in test_emulated.py write and read.
#include "cuda.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels.cuh"

namespace {

struct Call {
  int64_t rule, number, logits, parallel, cached, threads, cluster, seed, size, most, vocabulary;
  double temperature;
  int64_t top_k;
  double top_p, min_p;
};

// The one place that knows the kernels, as `launch` of launch.cuh starts them.
template <class Reader> void run(const Call& call, const crt::Batch& batch, const crt::Outcome& out) {
  const auto requests = static_cast<unsigned>(batch.size * call.cluster), nodes = static_cast<unsigned>(batch.most);
  const auto threads = static_cast<unsigned>(call.threads), cluster = static_cast<unsigned>(call.cluster);
  const int rule = static_cast<int>(call.rule);
  const int64_t bytes = call.number ? 2 : 4;
  const int64_t room = call.cached ? crt::rounded(crt::Blocks::part(batch.vocabulary, 0, cluster).count * bytes) : 0;
  const size_t shared = crt::SCRATCH + crt::kept_bytes(batch.most) + 2 * room;
  if (call.parallel && !crt::from_leaves(rule)) {
    std::vector<crt::Result> results(batch.size * nodes);
    std::vector<unsigned> arrived(batch.size);
    emulated::launch({requests, nodes, threads, cluster, shared}, call.seed, [&] {
      crt::verify_nodes<Reader>(batch, rule, room, results.data(), arrived.data(), out);
    });
  } else {
    emulated::launch({requests, 1, threads, cluster, shared}, call.seed, [&] {
      crt::walk_requests<Reader>(batch, rule, room, out);
    });
  }
}

[[noreturn]] void stop(const char* reason) {
  std::fprintf(stderr, "emulated: %s\n", reason);
  std::exit(2);
}

void run(const Call& call, const crt::Batch& batch, const crt::Outcome& out) {
  if (!call.logits && call.number == 0) return run<crt::Probabilities<float>>(call, batch, out);
  if (call.logits && call.number == 0) return run<crt::Logits<float>>(call, batch, out);
  if (call.logits && call.number == 2) return run<crt::Logits<crt::BFloat16>>(call, batch, out);
  if (call.logits && call.number == 3) return run<crt::Logits<crt::Half>>(call, batch, out);
  stop("expected probabilities in float32, or logits in float32, bfloat16 or float16, got other rows");
}

template <class T> std::vector<T> read(std::FILE* file, size_t count) {
  std::vector<T> values(count);  // of its very size: what lies behind is nobody's
  if (std::fread(values.data(), sizeof(T), count, file) != count) stop("expected a whole batch, got less");
  return values;
}

void write(std::FILE* file, const std::vector<int64_t>& values) {
  if (values.empty()) return;
  if (std::fwrite(values.data(), sizeof(int64_t), values.size(), file) != values.size()) stop("expected room to write");
}

void verify(const Call& call, std::FILE* in, std::FILE* out) {
  const size_t size = call.size, nodes = size * call.most, bytes = call.number ? 2 : 4;
  const auto parents = read<int64_t>(in, nodes), tokens = read<int64_t>(in, nodes), counts = read<int64_t>(in, size);
  const auto target = read<char>(in, nodes * call.vocabulary * bytes), draft = read<char>(in, target.size());
  const auto accept = read<int64_t>(in, nodes), final = read<int64_t>(in, nodes);
  const crt::Batch batch{call.size, call.most, call.vocabulary, parents.data(), tokens.data(), counts.data(),
                         target.data(), draft.data(), accept.data(), final.data(), call.temperature,
                         call.top_k, call.top_p, call.min_p};
  std::vector<int64_t> path(nodes - size), length(size), last(size), fault(size);
  const int64_t before = static_cast<int64_t>(emulated::copied());
  run(call, batch, crt::Outcome{path.data(), length.data(), last.data(), fault.data()});
  for (const auto* field : {&path, &length, &last, &fault}) write(out, *field);
  write(out, {static_cast<int64_t>(emulated::copied()) - before});
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) stop("expected a file of calls and a file for verdicts");
  std::FILE *in = std::fopen(words[1], "rb"), *out = std::fopen(words[2], "wb");
  if (!in || !out) stop("expected files that can be opened");
  for (Call call; std::fread(&call, sizeof call, 1, in) == 1;) verify(call, in, out);
  return std::fclose(out);
}

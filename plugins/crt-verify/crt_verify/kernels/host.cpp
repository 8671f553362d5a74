// SPDX-License-Identifier: Apache-2.0
// The device code with one thread a block, behind a C interface.
#include <memory>
#include <vector>

#include "commit.cuh"
#include "walk.cuh"

namespace crt {
namespace {

// Accept tests with given outcomes, `accepted`; records the probability of acceptance of each node.
struct Forced {
  const uint8_t* accepted;
  double* chances;
  int64_t* weights;

  bool accepts(int node, double gain, double bar) const {
    chances[node] = gain >= bar ? gain > 0 : gain / bar;
    return accepted[node];
  }

  template <class Row, class Weight>
  int64_t draw(const SingleThread&, const Tree& tree, const Row& row, int, int off, Weight weight) const {
    int64_t sum = 0;
    for (int x = 0; x < row.share.count; ++x) {
      weights[x] = tried(tree, off, 0, x) ? 0 : steps(weight(row.p(x), row.q(x)));
      sum += weights[x];
    }
    return sum ? 0 : -1;
  }
};

// Verifies each node on its own, and then walks along the results.
template <class Reader>
Result side_by_side(const SingleThread& thread, const Batch& batch, int rule, int64_t row, const Tree& tree) {
  std::vector<Result> results;
  for (int node = 0; node < tree.count; ++node) {
    Reader reader = ReaderOf<Reader>::at(batch, row, rule);
    Uniforms uniforms = batch.uniforms(row);
    const Step step = verify_node(Round<SingleThread, Reader, Uniforms>{thread, reader, uniforms, tree}, rule, node);
    results.push_back({step, reader.fault});
  }
  return follow(results.data());
}

template <class Reader>
Result one_by_one(const SingleThread& thread, const Batch& batch, int rule, int64_t row, const Tree& tree) {
  Reader reader = ReaderOf<Reader>::at(batch, row, rule);
  Uniforms uniforms = batch.uniforms(row);
  const Step step = walk(Round<SingleThread, Reader, Uniforms>{thread, reader, uniforms, tree}, rule);
  return {step, reader.fault};
}

// Room for the weights of a node's two rows, or none for a rule that does not pass over them often.
std::unique_ptr<double[]> room(const Batch& batch, int rule) {
  return std::unique_ptr<double[]>(keeps_rows(rule) ? new double[2 * batch.vocabulary] : nullptr);
}

template <class Reader> void verify(const Batch& batch, int rule, bool parallel, const Outcome& out) {
  std::vector<Node> nodes(batch.most);
  const auto kept = room(batch, rule);
  const SingleThread thread{kept.get()};
  for (int64_t row = 0; row < batch.size; ++row) {
    load(SingleThread{}, batch.request(row), nodes.data());
    Result end{{}, shape_fault(SingleThread{}, batch.request(row), nodes.data(), batch.uniforms(row), of_chains(rule))};
    const Tree tree = grow(SingleThread{}, batch.request(row), nodes.data(), rule == KSEQ);
    if (end.code == NEVER) {
      const bool each = parallel && !from_leaves(rule);
      end = (each ? side_by_side<Reader> : one_by_one<Reader>)(thread, batch, rule, row, tree);
    }
    write(SingleThread{}, out.of(row, batch.most), tree, batch.most, end);
  }
}

// One branch of a tree's outcomes: the outcome of every accept test is given.
template <class Reader> int64_t branch(const Batch& batch, int rule, Forced uniforms) {
  std::vector<Node> nodes(batch.most);
  const auto kept = room(batch, rule);
  const SingleThread thread{kept.get()};
  Reader reader = ReaderOf<Reader>::at(batch, 0, rule);
  load(SingleThread{}, batch.request(0), nodes.data());
  const Tree tree = grow(SingleThread{}, batch.request(0), nodes.data(), rule == KSEQ);
  return walk(Round<SingleThread, Reader, Forced>{thread, reader, uniforms, tree}, rule).end;
}

template <class Reader> struct Kind {
  using type = Reader;
};

// Numbers: float32, float64, bfloat16, float16; returns -1 for rows that are not supported.
template <class Do> int64_t with_reader(int number, int logits, Do run) {
  if (!logits && number == 0) return run(Kind<Probabilities<float>>{});
  if (!logits && number == 1) return run(Kind<Probabilities<double>>{});
  if (logits && number == 0) return run(Kind<Logits<float>>{});
  if (logits && number == 2) return run(Kind<Logits<BFloat16>>{});
  if (logits && number == 3) return run(Kind<Logits<Half>>{});
  return -1;
}

}  // namespace
}  // namespace crt

extern "C" {

int64_t crt_verify(
    const crt::Batch* batch, int rule, int number, int logits, int parallel, const crt::Outcome* out) {
  return crt::with_reader(number, logits, [&](auto kind) {
    crt::verify<typename decltype(kind)::type>(*batch, rule, parallel, *out);
    return 0;
  });
}

// One tree without faults, with given outcomes of its accept tests. Returns the node where the walk ends; writes each
// node's probability of acceptance, and the weights of the last id.
int64_t crt_branch(
    const crt::Batch* batch, int rule, int number, int logits, const uint8_t* accepted, double* chances,
    int64_t* weights) {
  return crt::with_reader(number, logits, [&](auto kind) {
    return crt::branch<typename decltype(kind)::type>(*batch, rule, {accepted, chances, weights});
  });
}

void crt_commit(const crt::KVCache* cache, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < cache->width; ++column) crt::keep(*cache, row, column);
  }
}
}

// SPDX-License-Identifier: Apache-2.0
// The device code with one thread for a block, behind a C interface.
#include <vector>

#include "commit.cuh"
#include "walk.cuh"

namespace crt {
namespace {

// Both branches of a coin: the outcome is told by `accepted`, and each node's chance is kept.
struct Forced {
  const uint8_t* accepted;
  double* chances;
  int64_t* weights;

  bool accepts(int node, double gain, double bar) const {
    chances[node] = gain >= bar ? gain > 0 : gain / bar;
    return accepted[node];
  }

  template <class Row, class Weight>
  int64_t draw(const Alone&, const Tree& tree, const Row& row, int, int off, Weight weight) const {
    int64_t sum = 0;
    for (int x = 0; x < row.share.count; ++x) {
      weights[x] = tried(tree, off, 0, x) ? 0 : steps(weight(row.p(x), row.q(x)));
      sum += weights[x];
    }
    return sum ? 0 : -1;
  }
};

// Each node on its own, and then the walk along them.
template <class Laws> Judged side_by_side(const Batch& batch, int rule, int64_t row, const Tree& tree) {
  std::vector<Judged> judged;
  for (int node = 0; node < tree.count; ++node) {
    Laws laws = LawsOf<Laws>::at(batch, row, rule);
    Fallen coins = batch.coins(row);
    const Step step = judge(Round<Alone, Laws, Fallen>{Alone{}, laws, coins, tree}, rule, node);
    judged.push_back({step, laws.fault});
  }
  return follow(judged.data());
}

template <class Laws> Judged one_by_one(const Batch& batch, int rule, int64_t row, const Tree& tree) {
  Laws laws = LawsOf<Laws>::at(batch, row, rule);
  Fallen coins = batch.coins(row);
  const Step step = walk(Round<Alone, Laws, Fallen>{Alone{}, laws, coins, tree}, rule);
  return {step, laws.fault};
}

template <class Laws> void verify(const Batch& batch, int rule, bool parallel, const Outcome& out) {
  std::vector<Node> nodes(batch.most);
  for (int64_t row = 0; row < batch.size; ++row) {
    load(Alone{}, batch.request(row), nodes.data());
    Judged end{{}, misshapen(Alone{}, batch.request(row), nodes.data(), batch.coins(row), of_chains(rule))};
    const Tree tree = grow(Alone{}, batch.request(row), nodes.data(), rule == KSEQ);
    if (end.code == NEVER) {
      const bool each = parallel && !from_leaves(rule);
      end = (each ? side_by_side<Laws> : one_by_one<Laws>)(batch, rule, row, tree);
    }
    write(Alone{}, out.of(row, batch.most), tree, batch.most, end);
  }
}

// The law of a tree's outcome, branch by branch: all coins of a branch are forced.
template <class Laws> int64_t branch(const Batch& batch, int rule, Forced coins) {
  std::vector<Node> nodes(batch.most);
  Laws laws = LawsOf<Laws>::at(batch, 0, rule);
  load(Alone{}, batch.request(0), nodes.data());
  const Tree tree = grow(Alone{}, batch.request(0), nodes.data(), rule == KSEQ);
  return walk(Round<Alone, Laws, Forced>{Alone{}, laws, coins, tree}, rule).end;
}

template <class Laws> struct Kind {
  using type = Laws;
};

// Numbers: float32, float64, bfloat16, float16; -1 if such rows are not read.
template <class Do> int64_t with_laws(int number, int logits, Do run) {
  if (!logits && number == 0) return run(Kind<Given<float>>{});
  if (!logits && number == 1) return run(Kind<Given<double>>{});
  if (logits && number == 0) return run(Kind<Fused<float>>{});
  if (logits && number == 2) return run(Kind<Fused<BFloat16>>{});
  if (logits && number == 3) return run(Kind<Fused<Half>>{});
  return -1;
}

}  // namespace
}  // namespace crt

extern "C" {

int64_t crt_verify(
    const crt::Batch* batch, int rule, int number, int logits, int parallel, const crt::Outcome* out) {
  return crt::with_laws(number, logits, [&](auto kind) {
    crt::verify<typename decltype(kind)::type>(*batch, rule, parallel, *out);
    return 0;
  });
}

// One sound tree, its coins forced: the node where the walk ends; each node's chance, and the weights of the last id.
int64_t crt_branch(
    const crt::Batch* batch, int rule, int number, int logits, const uint8_t* accepted, double* chances,
    int64_t* weights) {
  return crt::with_laws(number, logits, [&](auto kind) {
    return crt::branch<typename decltype(kind)::type>(*batch, rule, {accepted, chances, weights});
  });
}

void crt_commit(const crt::Shelf* shelf, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < shelf->width; ++column) crt::keep(*shelf, row, column);
  }
}
}

// SPDX-License-Identifier: Apache-2.0
// A request's verdict: a rule tests node after node from the root, or path after path from the leaves.
#pragma once

#include "deterministic.cuh"
#include "multi_block.cuh"
#include "recursive.cuh"
#include "shape.cuh"

namespace crt {

// The order of crt_verify.kernels.names.NAMES.
enum Rule {
  SINGLE,
  MULTIROUND,
  RECURSIVE,
  KSEQ,
  BLOCK,
  GREEDY,
  TARGET_ONLY,
  TRAVERSAL,
  TRAVERSAL_INDEPENDENT,
  MULTI_BLOCK,
  RULES
};

CRT_CODE Reads reads_of(int rule) { return rule == GREEDY ? LAST : rule == TARGET_ONLY ? NONE : ALL; }

CRT_CODE bool of_chains(int rule) { return rule == SINGLE || rule == BLOCK; }

CRT_EITHER bool from_leaves(int rule) {
  return rule == BLOCK || rule == TRAVERSAL || rule == TRAVERSAL_INDEPENDENT || rule == MULTI_BLOCK;
}

// Whether a rule passes over the rows of a node often, and reads them by `kept_row`.
CRT_CODE bool keeps_rows(int rule) { return rule == KSEQ || from_leaves(rule); }

// The step of a walk that has reached a node, for rules that go from the root.
template <class Round> CRT_APART Step verify_node(const Round& round, int rule, int node) {
  switch (rule) {
    case KSEQ: return kseq(round, node);
    case GREEDY: return greedy(round, node);
    case TARGET_ONLY: return target_only(round, node);
    default: return recursive(round, node, rule == MULTIROUND);
  }
}

// The end of a walk, and its id.
template <class Round> CRT_CODE Step walk(const Round& round, int rule) {
  if (rule == MULTI_BLOCK) return leaves_first(round, Together{});
  if (from_leaves(rule)) return leaves_first(round, InTurn{rule != TRAVERSAL});
  Step step{};
  do {
    step = verify_node(round, rule, step.next);
  } while (step.next);
  return step;
}

// The step at a node, and the fault there or before the walk.
struct Result {
  Step step;
  int64_t code = NEVER;
};

static_assert(sizeof(Result) == 3 * sizeof(int64_t), "as crt_verify.kernels.device allocates it");

// The end of a walk along the results of nodes.
CRT_CODE Result follow(const Result* results) {
  Result last = results[0];
  while (last.step.next && last.code == NEVER) last = results[last.step.next];
  return last;
}

// The tensors of a `Verdict`, or a request's rows of them.
struct Outcome {
  int64_t *path, *length, *final, *fault;

  CRT_CODE Outcome of(int64_t row, int64_t most) const {
    return {path + row * (most - 1), length + row, final + row, fault + row};
  }
};

template <class Group>
CRT_CODE void write(const Group& group, const Outcome& outcome, const Tree& tree, int64_t most, const Result& end) {
  const bool sound = end.code == NEVER;
  int length = 0;
  for (int node = sound ? end.step.end : 0; node; node = tree[node].parent) ++length;
  for (int64_t place = length + group.rank(); place < most - 1; place += group.size()) outcome.path[place] = -1;
  if (group.rank()) return;
  int place = length;
  for (int node = sound ? end.step.end : 0; node; node = tree[node].parent) outcome.path[--place] = node;
  *outcome.length = length;
  *outcome.final = sound ? end.step.id : -1;
  *outcome.fault = sound ? 0 : end.code;
}

// A padded batch of requests: tensors of crt_verify.rules.Rule.verify, all of them contiguous.
struct Batch {
  int64_t size, most, vocabulary;
  const int64_t *parents, *tokens, *nodes;
  const void *target, *draft;
  const int64_t *accept, *final;
  double temperature;  // how logits are sampled, as in crtcore.Sampling
  int64_t top_k;
  double top_p, min_p;

  CRT_CODE Request request(int64_t row) const {
    return {parents + row * most, tokens + row * most, nodes[row], most, vocabulary};
  }

  CRT_CODE Uniforms uniforms(int64_t row) const { return {accept + row * most, final + row * most}; }
};

template <class Number> CRT_CODE RowReader<Number> rows(const Batch& batch, int64_t row, int rule) {
  const int64_t first = row * batch.most * batch.vocabulary;
  return {static_cast<const Number*>(batch.target) + first, static_cast<const Number*>(batch.draft) + first,
          batch.vocabulary, reads_of(rule)};
}

// The reader of a request's rows.
template <class Reader> struct ReaderOf;

template <class Number> struct ReaderOf<Probabilities<Number>> {
  static CRT_CODE Probabilities<Number> at(const Batch& batch, int64_t row, int rule) {
    return {rows<Number>(batch, row, rule)};
  }
};

template <class Number> struct ReaderOf<Logits<Number>> {
  static CRT_CODE Logits<Number> at(const Batch& batch, int64_t row, int rule) {
    // Above 0, which stands for temperature 0, and finite, whatever the temperature.
    const double colder = batch.temperature == 0 ? 0 : Most()(Least()(1 / batch.temperature, 3e38), 1e-38);
    return {rows<Number>(batch, row, rule),
            {static_cast<float>(colder), batch.top_k, batch.top_p, static_cast<float>(batch.min_p)}};
  }
};

}  // namespace crt

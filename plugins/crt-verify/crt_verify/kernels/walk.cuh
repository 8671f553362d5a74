// SPDX-License-Identifier: Apache-2.0
// A request's verdict: a rule judges node after node from the root, or one path after another from the leaves.
#pragma once

#include "kseq.cuh"
#include "listed.cuh"
#include "recursive.cuh"
#include "shape.cuh"
#include "traversal.cuh"

namespace crt {

// The order of crt_verify.kernels.names.NAMES.
enum Rule { SINGLE, MULTIROUND, RECURSIVE, KSEQ, BLOCK, GREEDY, TARGET_ONLY, TRAVERSAL, TRAVERSAL_INDEPENDENT, RULES };

CRT_CODE Reads reads_of(int rule) { return rule == GREEDY ? LAST : rule == TARGET_ONLY ? NONE : ALL; }

CRT_CODE bool of_chains(int rule) { return rule == SINGLE || rule == BLOCK; }

CRT_EITHER bool from_leaves(int rule) { return rule == BLOCK || rule == TRAVERSAL || rule == TRAVERSAL_INDEPENDENT; }

// What becomes of a walk that has reached a node, for rules that go from the root.
template <class Round> CRT_APART Step judge(const Round& round, int rule, int node) {
  switch (rule) {
    case KSEQ: return kseq(round, node);
    case GREEDY: return greedy(round, node);
    case TARGET_ONLY: return target_only(round, node);
    default: return recursive(round, node, rule == MULTIROUND);
  }
}

// Where a walk ends, and its id.
template <class Round> CRT_CODE Step walk(const Round& round, int rule) {
  if (from_leaves(rule)) return traversal(round, rule != TRAVERSAL);
  Step step{};
  do {
    step = judge(round, rule, step.next);
  } while (step.next);
  return step;
}

// A node judged by itself, and the fault met there or before the walk.
struct Judged {
  Step step;
  int64_t code = NEVER;
};

static_assert(sizeof(Judged) == 3 * sizeof(int64_t), "as crt_verify.kernels.device makes room for it");

// The end of a walk along judged nodes.
CRT_CODE Judged follow(const Judged* judged) {
  Judged last = judged[0];
  while (last.step.next && last.code == NEVER) last = judged[last.step.next];
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
CRT_CODE void write(const Group& group, const Outcome& outcome, const Tree& tree, int64_t most, const Judged& end) {
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

// A padded batch of requests: tensors of crt_verify.rules.judge.Rule.verify, all of them contiguous.
struct Batch {
  int64_t size, most, vocabulary;
  const int64_t *parents, *tokens, *nodes;
  const void *target, *draft;
  const int64_t *accept, *final;
  double temperature;  // of logits, and what of their law is kept: as crtcore.Sampling has it
  int64_t top_k;
  double top_p, min_p;

  CRT_CODE Request request(int64_t row) const {
    return {parents + row * most, tokens + row * most, nodes[row], most, vocabulary};
  }

  CRT_CODE Fallen coins(int64_t row) const { return {accept + row * most, final + row * most}; }
};

template <class Number> CRT_CODE Rows<Number> rows(const Batch& batch, int64_t row, int rule) {
  const int64_t first = row * batch.most * batch.vocabulary;
  return {static_cast<const Number*>(batch.target) + first, static_cast<const Number*>(batch.draft) + first,
          batch.vocabulary, reads_of(rule)};
}

// The laws of a request.
template <class Laws> struct LawsOf;

template <class Number> struct LawsOf<Given<Number>> {
  static CRT_CODE Given<Number> at(const Batch& batch, int64_t row, int rule) { return {rows<Number>(batch, row, rule)}; }
};

template <class Number> struct LawsOf<Fused<Number>> {
  static CRT_CODE Fused<Number> at(const Batch& batch, int64_t row, int rule) {
    const double colder = batch.temperature == 0 ? 0 : Least()(1 / batch.temperature, 3e38);
    return {rows<Number>(batch, row, rule),
            {static_cast<float>(colder), batch.top_k, batch.top_p, static_cast<float>(batch.min_p)}};
  }
};

}  // namespace crt

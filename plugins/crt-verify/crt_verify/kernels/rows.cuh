// SPDX-License-Identifier: Apache-2.0
// How rules read the two rows of a node: rows of probabilities, or rows of logits and how they are sampled.
#pragma once

#include "cut.cuh"
#include "faults.cuh"

namespace crt {

constexpr double TOLERANCE = 1e-3;  // crt_verify.verdict.TOLERANCE

enum Reads { ALL, LAST, NONE };  // which children must be possible under the draft

// Both rows of a node: whole, and this block's share of them.
template <class Number> struct NodeRows {
  const Number *target, *draft, *own_target, *own_draft;
  Share share;
  bool has_draft;  // whether the draft's row is read
};

template <class Number> struct RowReader {
  const Number *target, *draft;
  int64_t vocabulary;
  Reads reads;
  int64_t fault = NEVER;  // the code of the first faulty node: a walk ends there

  template <class Group> CRT_CODE NodeRows<Number> cache_row(const Group& group, const Tree& tree, int node) const {
    const Number *p = target + node * vocabulary, *q = draft + node * vocabulary;
    const Share share = group.share(vocabulary);
    const bool has_draft = reads != NONE && tree[node].child;
    const Number* own_p = group.cache_row(0, p, share);
    const Number* own_q = has_draft ? group.cache_row(1, q, share) : q + share.first;
    return {p, q, own_p, own_q, share, has_draft};
  }

  // Stores the two probabilities of the children's ids.
  template <class Group, class P, class Q>
  CRT_CODE void load_children(const Group& group, const Tree& tree, int node, bool has_draft, P p, Q q) const {
    for (int child = node + 1 + group.rank(); child < tree.count; child += group.size()) {
      if (tree[child].above != node) continue;
      tree[child].p_token = p(tree[child].token);
      tree[child].q_token = has_draft ? q(tree[child].token) : 0;
    }
  }

  // Notes a child whose id is impossible under the draft.
  CRT_CODE void note_ruled_out(const Tree& tree, int node) {
    for (int child = tree[node].child; child; child = tree[child].sibling) {
      const bool read = tree[child].parent == node && (reads == ALL || tree[child].sibling == 0);
      if (read && !(tree[child].q_token > 0)) note(node, RULED_OUT);
    }
  }

  CRT_CODE void note(int node, int64_t kind) { fault = Least()(fault, node * FAULTS + kind); }
};

template <class Number> struct Probabilities : RowReader<Number> {
  struct Row {
    const Number *target, *draft;
    Share share;

    CRT_CODE double p(int x) const { return widen(target[x]); }
    CRT_CODE double q(int x) const { return widen(draft[x]); }
  };

  // Checks the entries of a row.
  struct Audit {
    int64_t invalid, sum;

    template <class Group> CRT_PASS void look(const Group& group, const Number* row, const Share& share) {
      for (int x = group.rank(); x < share.count; x += group.size()) {
        const auto entry = widen(row[x]);  // a power of two scales a float as exactly as a double
        const auto most = static_cast<decltype(entry)>(2), scale = static_cast<decltype(entry)>(COARSE);
        const auto size = std::fabs(entry), seen = size < most ? size : most;  // the sum of an invalid row does not matter
        invalid += !((entry >= 0) & (entry < INFINITY));
        sum += static_cast<int64_t>(seen * scale);
      }
    }

    // The fault of a target's row.
    CRT_CODE Fault fault() const {
      if (invalid) return TARGET_ENTRY;
      return fabs(static_cast<double>(sum) / COARSE - 1) > TOLERANCE ? TARGET_SUM : NO_FAULT;
    }
  };

  struct Audits {
    Audit target, draft;

    CRT_CODE Audits operator+(const Audits& other) const {
      return {{target.invalid + other.target.invalid, target.sum + other.target.sum},
              {draft.invalid + other.draft.invalid, draft.sum + other.draft.sum}};
    }
  };

  // Reads the two probabilities of a child's id; returns whether they are valid, so that no row need be read.
  CRT_CODE bool peek(const Tree& tree, int node, int child, double& p, double& q) const {
    const int64_t place = node * this->vocabulary + tree[child].token;
    p = widen(this->target[place]);
    q = widen(this->draft[place]);
    return 0 <= p && p <= 1 + TOLERANCE && 0 < q && q <= 1 + TOLERANCE;  // else the row has a fault
  }

  // The same rows, for a rule that passes over them often.
  template <class Group> CRT_CODE Row kept(const Group&, const Row& row) const { return row; }

  template <class Group> CRT_APART Row row(const Group& group, const Tree& tree, int node) {
    const NodeRows<Number> rows = this->cache_row(group, tree, node);
    const Row row{rows.own_target, rows.own_draft, rows.share};
    this->load_children(group, tree, node, rows.has_draft, [&](int64_t x) -> double { return widen(rows.target[x]); },
               [&](int64_t x) -> double { return widen(rows.draft[x]); });
    group.wait_for_copies();
    Audits audits{};
    audits.target.look(group, rows.own_target, rows.share);
    if (rows.has_draft) audits.draft.look(group, rows.own_draft, rows.share);
    audits = group.all(audits, Sum());
    if (audits.target.fault()) this->note(node, audits.target.fault());
    if (rows.has_draft && audits.draft.fault()) this->note(node, audits.draft.fault() + DRAFT_ENTRY - TARGET_ENTRY);
    if (rows.has_draft) this->note_ruled_out(tree, node);
    return row;
  }
};

// Rows of logits become distributions when a walk reads them; nothing of a row's size is written to global memory.
template <class Number> struct Logits : RowReader<Number> {
  Cut cut;

  struct Distribution {
    const Number* logits;
    int64_t from;   // the id of the first logit
    float colder, peak;
    Kept kept;
    double unit;  // the probability of the highest

    CRT_CODE double operator()(int x) const {
      const float logit = widen(logits[x]);
      return exponential((logit - peak) * colder, kept.has(logit, static_cast<int32_t>(from) + x)) * unit;
    }

    CRT_CODE Distribution of(const Number* others, int64_t first) const {
      return {others, first, colder, peak, kept, unit};
    }
  };

  struct Row {
    Distribution target, draft;
    Share share;

    CRT_CODE double p(int x) const { return target(x); }
    CRT_CODE double q(int x) const { return draft(x); }
  };

  // The same rows from the weights that one thread has kept: to read one is faster than an exponential.
  struct KeptRow {
    const double *target, *draft;
    double target_unit, draft_unit;
    Share share;

    CRT_CODE double p(int x) const { return target[x] * target_unit; }
    CRT_CODE double q(int x) const { return draft[x] * draft_unit; }
  };

  CRT_CODE bool peek(const Tree&, int, int, double&, double&) const { return false; }  // needs a whole row

  // Rows for a rule that passes over them often; valid until the rows of another node are read.
  template <class Group> CRT_CODE Row kept(const Group&, const Row& row) const { return row; }

  CRT_PASS KeptRow kept(const SingleThread& thread, const Row& row) const {
    const int count = row.share.count;
    double *target = thread.kept, *draft = target + count;
    if (cut.colder > 0) return {target, draft, row.target.unit, row.draft.unit, row.share};
    // At temperature 0 the weights do not say which of the highest is first.
    for (int x = 0; x < count; ++x) target[x] = row.p(x);
    for (int x = 0; x < count; ++x) draft[x] = row.q(x);
    return {target, draft, 1, 1, row.share};
  }

  template <class Group> CRT_APART Row row(const Group& group, const Tree& tree, int node) {
    const NodeRows<Number> rows = this->cache_row(group, tree, node);
    group.wait_for_copies();
    Softmaxes softmaxes{};
    const auto all = [](float, int32_t) { return true; };
    softmaxes.target.look(group, 0, rows.own_target, rows.share, cut.colder, all);
    if (rows.has_draft) softmaxes.draft.look(group, 1, rows.own_draft, rows.share, cut.colder, all);
    softmaxes = group.all(softmaxes, Joined{cut.colder});
    if (!softmaxes.target.sound()) this->note(node, TARGET_ENTRY);
    if (rows.has_draft && !softmaxes.draft.sound()) this->note(node, DRAFT_ENTRY);
    const bool has_draft = rows.has_draft && softmaxes.draft.sound();
    const Row row{distribution(group, 0, rows.own_target, rows.share, softmaxes.target, softmaxes.target.sound()),
                  distribution(group, 1, rows.own_draft, rows.share, softmaxes.draft, has_draft), rows.share};
    this->load_children(group, tree, node, has_draft, row.target.of(rows.target, 0), row.draft.of(rows.draft, 0));
    group.wait();
    if (has_draft) this->note_ruled_out(tree, node);
    return row;
  }

  template <class Group>
  CRT_CODE Distribution distribution(
      const Group& group, int which, const Number* logits, const Share& share, const Softmax& softmax,
      bool sound) const {
    const float peak = softmax.peak;
    if (!sound || cut.keeps_all()) return {logits, share.first, cut.colder, peak, {}, 1 / softmax.mass};
    if (cut.colder == 0) return {logits, share.first, 0, peak, {peak, static_cast<int32_t>(softmax.first)}, 1};
    const Kept kept = crt::kept(group, logits, share, softmax, cut);
    Softmax rest;
    rest.look(group, which, logits, share, cut.colder, [&](float logit, int32_t id) { return kept.has(logit, id); });
    rest = group.all(rest, Joined{cut.colder});
    return {logits, share.first, cut.colder, peak, kept, 1 / rest.mass};
  }
};

}  // namespace crt

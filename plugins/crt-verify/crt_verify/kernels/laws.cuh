// SPDX-License-Identifier: Apache-2.0
// Where rules read the two laws of a node: rows of probabilities, or rows of logits and how they are sampled.
#pragma once

#include "cut.cuh"

namespace crt {

constexpr int FAULTS = 9;                    // as many as crt_verify.verdict.FAULTS
constexpr int64_t NEVER = int64_t(1) << 62;  // later than any fault
constexpr double TOLERANCE = 1e-3;           // crt_verify.verdict.TOLERANCE

enum Reads { ALL, LAST, NONE };  // which children the draft's law must allow

// Both rows of a node: whole, and this block's share of them.
template <class Number> struct Held {
  const Number *target, *draft, *own_target, *own_draft;
  Share share;
  bool drafted;  // whether the draft's is a law, and read
};

template <class Number> struct Rows {
  const Number *target, *draft;
  int64_t vocabulary;
  Reads reads;
  int64_t fault = NEVER;  // of the first node that is faulty: a walk ends there

  template <class Group> CRT_CODE Held<Number> hold(const Group& group, const Tree& tree, int node) const {
    const Number *p = target + node * vocabulary, *q = draft + node * vocabulary;
    const Share share = group.share(vocabulary);
    const bool drafted = reads != NONE && tree[node].child;
    const Number *own_p = group.hold(0, p, share), *own_q = drafted ? group.hold(1, q, share) : q + share.first;
    return {p, q, own_p, own_q, share, drafted};
  }

  // The laws of the children's ids.
  template <class Group, class P, class Q>
  CRT_CODE void meet(const Group& group, const Tree& tree, int node, bool drafted, P p, Q q) const {
    for (int child = node + 1 + group.rank(); child < tree.count; child += group.size()) {
      if (tree[child].above != node) continue;
      tree[child].wanted = p(tree[child].token);
      tree[child].drafted = drafted ? q(tree[child].token) : 0;
    }
  }

  // Notes an id that the draft rules out.
  CRT_CODE void refuse(const Tree& tree, int node) {
    for (int child = tree[node].child; child; child = tree[child].sibling) {
      const bool read = tree[child].parent == node && (reads == ALL || tree[child].sibling == 0);
      if (read && !(tree[child].drafted > 0)) note(node, 5);
    }
  }

  CRT_CODE void note(int node, int kind) { fault = Least()(fault, static_cast<int64_t>(node) * FAULTS + kind); }
};

template <class Number> struct Given : Rows<Number> {
  struct Row {
    const Number *target, *draft;
    Share share;

    CRT_CODE double p(int x) const { return widen(target[x]); }
    CRT_CODE double q(int x) const { return widen(draft[x]); }
  };

  // What is wrong with entries.
  struct Audit {
    int64_t none, sum;

    template <class Entry> CRT_CODE void look(Entry entry) {  // a power of two scales a float as exactly as a double
      const bool some = entry >= 0 && entry - entry == 0;
      none += !some;
      sum += some ? static_cast<int64_t>(Least()(entry, Entry(2)) * static_cast<Entry>(COARSE)) : 0;
    }

    CRT_CODE int reason() const { return none ? 1 : fabs(static_cast<double>(sum) / COARSE - 1) > TOLERANCE ? 2 : 0; }
  };

  struct Audits {
    Audit target, draft;

    CRT_CODE Audits operator+(const Audits& other) const {
      return {{target.none + other.target.none, target.sum + other.target.sum},
              {draft.none + other.draft.none, draft.sum + other.draft.sum}};
    }
  };

  // Whether two entries tell enough of a child, so that its node's rows need not be read.
  CRT_CODE bool glimpse(const Tree& tree, int node, int child, double& p, double& q) const {
    const int64_t place = node * this->vocabulary + tree[child].token;
    p = widen(this->target[place]);
    q = widen(this->draft[place]);
    return 0 <= p && p <= 1 + TOLERANCE && 0 < q && q <= 1 + TOLERANCE;  // else the row is faulty for sure
  }

  template <class Group> CRT_APART Row row(const Group& group, const Tree& tree, int node) {
    const Held<Number> held = this->hold(group, tree, node);
    const Row row{held.own_target, held.own_draft, held.share};
    this->meet(group, tree, node, held.drafted, [&](int64_t x) -> double { return widen(held.target[x]); },
               [&](int64_t x) -> double { return widen(held.draft[x]); });
    group.settle();
    Audits audits{};
    for (int x = group.rank(); x < row.share.count; x += group.size()) {
      audits.target.look(widen(held.own_target[x]));
      if (held.drafted) audits.draft.look(widen(held.own_draft[x]));
    }
    audits = group.all(audits, Sum());
    if (const int reason = audits.target.reason()) this->note(node, reason);
    if (held.drafted && audits.draft.reason()) this->note(node, 2 + audits.draft.reason());
    if (held.drafted) this->refuse(tree, node);
    return row;
  }
};

// Rows of logits become laws as a walk comes to them; nothing of a row's size is written to the device's memory.
template <class Number> struct Fused : Rows<Number> {
  Cut cut;

  struct Law {
    const Number* logits;
    int64_t from;   // the id of the first of them
    float colder;
    Softmax softmax;
    float least;
    int64_t last;
    double unit;  // the law of the highest

    CRT_CODE double operator()(int64_t x) const {
      if (colder == 0) return from + x == softmax.first;
      const float logit = widen(logits[x]);
      if (logit < least || (logit == least && from + x > last)) return 0;
      return expf((logit - softmax.peak) * colder) * unit;
    }

    CRT_CODE Law of(const Number* others, int64_t first) const { return {others, first, colder, softmax, least, last, unit}; }
  };

  struct Row {
    Law target, draft;
    Share share;

    CRT_CODE double p(int x) const { return target(x); }
    CRT_CODE double q(int x) const { return draft(x); }
  };

  CRT_CODE bool glimpse(const Tree&, int, int, double&, double&) const { return false; }  // a law needs its whole row

  template <class Group> CRT_APART Row row(const Group& group, const Tree& tree, int node) {
    const Held<Number> held = this->hold(group, tree, node);
    group.settle();
    Softmaxes found{};
    found.target.look(group, held.own_target, held.share, cut.colder);
    if (held.drafted) found.draft.look(group, held.own_draft, held.share, cut.colder);
    found = group.all(found, Joined{cut.colder});
    if (!found.target.sound()) this->note(node, 1);
    if (held.drafted && !found.draft.sound()) this->note(node, 3);
    const bool drafted = held.drafted && found.draft.sound();
    const Row row{law(group, held.own_target, held.share, found.target, found.target.sound()),
                  law(group, held.own_draft, held.share, found.draft, drafted), held.share};
    this->meet(group, tree, node, drafted, row.target.of(held.target, 0), row.draft.of(held.draft, 0));
    group.wait();
    if (drafted) this->refuse(tree, node);
    return row;
  }

  template <class Group>
  CRT_CODE Law law(const Group& group, const Number* logits, const Share& share, const Softmax& softmax, bool sound) const {
    Kept kept{softmax.mass};
    if (sound && !cut.keeps_all()) kept = crt::kept(group, logits, share, softmax, cut);
    return {logits, share.first, cut.colder, softmax, kept.least, kept.last, 1 / kept.mass};
  }
};

}  // namespace crt

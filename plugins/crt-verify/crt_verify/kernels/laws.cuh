// SPDX-License-Identifier: Apache-2.0
// Where rules read the two laws of a node: rows of probabilities, or rows of logits and a temperature.
#pragma once

#include <cmath>

#include "numbers.cuh"
#include "tree.cuh"

namespace crt {

constexpr int FAULTS = 9;                  // as many as crt_verify.verdict.FAULTS
constexpr int64_t NEVER = int64_t(1) << 62;  // later than any fault
constexpr double TOLERANCE = 1e-3;         // crt_verify.verdict.TOLERANCE

enum Reads { ALL, LAST, NONE };  // which children the draft's law must allow

template <class Number> struct Given {
  struct Row {
    const Number *target, *draft;

    CRT_CODE double p(int64_t x) const { return widen(target[x]); }
    CRT_CODE double q(int64_t x) const { return widen(draft[x]); }
  };

  const Number *target, *draft;
  int64_t vocabulary;

  template <class Group> CRT_CODE Row row(const Group&, Node*, int node) const {
    return {target + node * vocabulary, draft + node * vocabulary};
  }

  CRT_CODE int64_t fault() const { return NEVER; }
};

// The softmax of rows of logits, taken when a walk comes to them; nothing of a row's size is written.
template <class Number> struct Fused {
  struct Row {
    const Number *target, *draft;
    Softmax of_target, of_draft;
    float temperature;

    CRT_CODE double p(int64_t x) const { return chance(target, of_target, x); }
    CRT_CODE double q(int64_t x) const { return chance(draft, of_draft, x); }

    CRT_CODE double chance(const Number* logits, const Softmax& softmax, int64_t x) const {
      if (temperature == 0) return x == softmax.first;
      return expf((widen(logits[x]) - static_cast<float>(softmax.peak)) / temperature) / softmax.mass;
    }
  };

  const Number *target, *draft;
  int64_t vocabulary;
  float temperature;
  Reads reads;
  int64_t first_fault = NEVER;

  template <class Group> CRT_CODE Row row(const Group& group, Node* nodes, int node) {
    const Number *p = target + node * vocabulary, *q = draft + node * vocabulary;
    const bool known = nodes[node].known, drafted = reads != NONE && nodes[node].child;
    const Softmax of_target = known ? nodes[node].target : softmax(group, p);
    const Softmax of_draft = known ? nodes[node].draft : drafted ? softmax(group, q) : Softmax{};
    const Row row{p, q, of_target, of_draft, temperature};
    if (known) return row;
    group.wait();
    if (group.rank() == 0) {
      nodes[node].known = true;
      nodes[node].target = of_target;
      nodes[node].draft = of_draft;
    }
    group.wait();
    const int64_t place = static_cast<int64_t>(node) * FAULTS;
    if (!of_target.sound) note(place + 1);
    if (!drafted) return row;
    if (!of_draft.sound) note(place + 3);
    for (int child = nodes[node].child; child; child = nodes[child].sibling) {
      const bool read = reads == ALL || nodes[child].sibling == 0;
      if (of_draft.sound && read && !(row.q(nodes[child].token) > 0)) note(place + 5);
    }
    return row;
  }

  CRT_CODE void note(int64_t code) { first_fault = Least()(first_fault, code); }
  CRT_CODE int64_t fault() const { return first_fault; }

  // One pass: each thread's own peak and mass, then all of them together.
  template <class Group> CRT_CODE Softmax softmax(const Group& group, const Number* logits) const {
    float peak = -INFINITY, none = 0;
    double own = 0;
    int64_t first = vocabulary;
    for (int64_t x = group.rank(); x < vocabulary; x += group.size()) {
      const float logit = widen(logits[x]);
      if (logit != logit) none = 1;
      if (logit == -INFINITY) continue;
      if (logit > peak) {
        own = own * expf(scaled(peak - logit)) + 1;
        peak = logit;
        first = x;
      } else {
        own += expf(scaled(logit - peak));
      }
    }
    Softmax found;
    found.peak = group.template all<Most>(static_cast<double>(peak));
    found.first = group.template all<Least>(peak == found.peak ? first : vocabulary);
    found.mass = group.template all<Sum>(peak == -INFINITY ? 0.0 : own * expf(scaled(peak - static_cast<float>(found.peak))));
    const double nans = group.template all<Sum>(static_cast<double>(none));
    found.sound = nans == 0 && found.peak - found.peak == 0;
    return found;
  }

  CRT_CODE float scaled(float below) const { return temperature == 0 ? -INFINITY : below / temperature; }
};

}  // namespace crt

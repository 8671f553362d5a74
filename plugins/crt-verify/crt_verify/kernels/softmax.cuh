// SPDX-License-Identifier: Apache-2.0
// The softmax of rows of logits, by parts that are joined: one pass over memory, and nothing of a row's size is kept.
#pragma once

#include "exponential.cuh"
#include "steps.cuh"

namespace crt {

// Acts on each place of a row, and the part that it belongs to: each part is summed in its own order.
template <int PARTS, class Act> CRT_CODE void in_parts(int count, Act act) {
  int x = 0;
  for (; x + PARTS <= count; x += PARTS) {
    for (int part = 0; part < PARTS; ++part) act(x + part, part);
  }
  for (int part = 0; x + part < count; ++part) act(x + part, part);
}

// Of a row, or of a part of it.
struct Softmax {
  double mass = 0;          // in units of the highest
  int64_t first = NOWHERE;  // the first id of the highest logit
  float peak = -INFINITY;
  int32_t nans = 0;

  CRT_CODE bool sound() const { return !nans && peak - peak == 0; }

  // Adds a thread's part of a row: first its peak, then its mass, so that the threads of a warp do not diverge.
  // An id that is not kept adds no mass, and changes nothing else: where all are kept, the bits are those of no filter.
  template <class Group, class Number, class Keep>
  CRT_CODE void look(const Group& group, int, const Number* logits, const Share& share, float colder, Keep keep) {
    for (int x = group.rank(); x < share.count; x += group.size()) {
      const float logit = widen(logits[x]);
      nans += logit != logit;
      first = logit > peak ? share.first + x : first;
      peak = logit > peak ? logit : peak;
    }
    if (peak == -INFINITY) return;
    for (int x = group.rank(); x < share.count; x += group.size()) {
      const float logit = widen(logits[x]);
      mass += exponential((logit - peak) * colder, keep(logit, static_cast<int32_t>(share.first) + x));
    }
  }

  // The same by one thread, in parts that its compiler makes vectors of. `first` is looked for where it is needed. Keeps
  // the weights where the thread has room: of the target's row, `which` is 0, or of the draft's, 1.
  template <class Number, class Keep>
  CRT_PASS void look(
      const SingleThread& thread, int which, const Number* logits, const Share& share, float colder, Keep keep) {
    constexpr int PARTS = 32;
    float peaks[PARTS];
    double masses[PARTS] = {};
    for (float& each : peaks) each = -INFINITY;
    in_parts<PARTS>(share.count, [&](int x, int part) {
      const float logit = widen(logits[x]);
      nans += logit != logit;
      peaks[part] = logit > peaks[part] ? logit : peaks[part];
    });
    for (float each : peaks) peak = each > peak ? each : peak;
    if (peak == -INFINITY) return;
    for (int x = 0; colder == 0 && first == NOWHERE; ++x) first = widen(logits[x]) == peak ? share.first + x : first;
    const auto weigh = [&](auto store) {
      in_parts<PARTS>(share.count, [&](int x, int part) {
        const float logit = widen(logits[x]);
        const double weight = exponential((logit - peak) * colder, keep(logit, static_cast<int32_t>(share.first) + x));
        masses[part] += weight;
        store(x, weight);
      });
    };
    double* kept = thread.kept ? thread.kept + which * static_cast<int64_t>(share.count) : nullptr;
    if (kept) weigh([&](int x, double weight) { kept[x] = weight; });
    else weigh([](int, double) {});
    for (double each : masses) mass += each;
  }
};

struct Softmaxes {
  Softmax target, draft;
};

// Joins parts of a row.
struct Joined {
  float colder;

  CRT_CODE Softmax operator()(const Softmax& one, const Softmax& other) const {
    Softmax both;
    both.peak = Most()(one.peak, other.peak);
    both.nans = one.nans + other.nans;
    both.first = Least()(one.peak == both.peak ? one.first : other.first, other.peak == both.peak ? other.first : one.first);
    both.mass = at(one, both.peak) + at(other, both.peak);
    return both;
  }

  CRT_CODE Softmaxes operator()(const Softmaxes& one, const Softmaxes& other) const {
    return {(*this)(one.target, other.target), (*this)(one.draft, other.draft)};
  }

  CRT_CODE double at(const Softmax& part, float peak) const {
    return part.mass == 0 ? 0 : part.mass * exponential((part.peak - peak) * colder);
  }
};

}  // namespace crt

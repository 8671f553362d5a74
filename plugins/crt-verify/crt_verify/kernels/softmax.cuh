// SPDX-License-Identifier: Apache-2.0
// The softmax of rows of logits, by parts that are joined: one pass over memory, and nothing of a row's size is kept.
#pragma once

#include <cmath>

#include "numbers.cuh"
#include "steps.cuh"

namespace crt {

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
  CRT_CODE void look(const Group& group, const Number* logits, const Share& share, float colder, Keep keep) {
    for (int x = group.rank(); x < share.count; x += group.size()) {
      const float logit = widen(logits[x]);
      nans += logit != logit;
      first = logit > peak ? share.first + x : first;
      peak = logit > peak ? logit : peak;
    }
    if (peak == -INFINITY) return;
    for (int x = group.rank(); x < share.count; x += group.size()) {
      const float logit = widen(logits[x]);
      mass += keep(logit, share.first + x) ? expf((logit - peak) * colder) : 0;
    }
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
    return part.mass == 0 ? 0 : part.mass * expf((part.peak - peak) * colder);
  }
};

}  // namespace crt

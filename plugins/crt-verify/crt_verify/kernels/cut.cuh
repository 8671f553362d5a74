// SPDX-License-Identifier: Apache-2.0
// The ids that top-k, top-p and min-p keep: all above a logit, found by bisection, and the first ids with that logit.
// Reference: crt_run.sampling.probabilities.
#pragma once

#include "softmax.cuh"

namespace crt {

constexpr double COARSE = 1099511627776.0;  // 2**40: a sum of 2**22 twos is still an integer

// How a distribution is cut; `colder` is 1 / temperature, or 0 for the first of the highest ids alone.
struct Cut {
  float colder;
  int64_t top_k;  // 0: all
  double top_p;
  float min_p;

  CRT_CODE bool keeps_all() const { return colder > 0 && top_k == 0 && top_p >= 1 && min_p == 0; }
};

// Ids above a logit, and those with it up to `last`.
struct Kept {
  float least = -INFINITY;
  int32_t last = INT32_MAX;

  CRT_CODE bool has(float logit, int32_t id) const { return !((logit < least) | ((logit == least) & (id > last))); }
};

// Numbers as integers of the same order; the lowest bits of a narrower type are left out.
template <class Number> struct Order {
  static CRT_CODE uint32_t key(float x) {
    uint32_t bits;
    x += 0.0f;  // one zero
    memcpy(&bits, &x, sizeof x);
    return (bits >> 31 ? ~bits : bits | 0x80000000u) >> GRAIN<Number>;
  }

  static CRT_CODE float number(int64_t key) {
    const auto bits = static_cast<uint32_t>(key) << GRAIN<Number>;
    return as_float(bits >> 31 ? bits & 0x7FFFFFFFu : ~bits & ~((1u << GRAIN<Number>) - 1));
  }
};

// How many ids are above logits, and their mass.
struct Above {
  int64_t masses[3];
  int32_t counts[4];  // three are used

  CRT_CODE Above operator+(const Above& other) const {
    Above both{};
    for (int each = 0; each < 3; ++each) {
      both.counts[each] = counts[each] + other.counts[each];
      both.masses[each] = masses[each] + other.masses[each];
    }
    return both;
  }
};

template <class Group, class Number>
CRT_PASS Above above(
    const Group& group, const Number* logits, const Share& share, float peak, float colder, const int64_t (&at)[3]) {
  Above sums{};
  for (int x = group.rank(); x < share.count; x += group.size()) {
    const float logit = widen(logits[x]);
    const int64_t own = Order<Number>::key(logit);
    const auto weight = exponential((logit - peak) * colder);
    const auto mass = static_cast<int64_t>(weight * static_cast<decltype(weight + 0)>(COARSE));
    for (int each = 0; each < 3; ++each) {
      sums.counts[each] += own > at[each];
      sums.masses[each] += own > at[each] ? mass : 0;
    }
  }
  return group.all(sums, Sum());
}

// Halves the bracket of the lowest kept logit twice a pass, as `halve` of kseq.cuh.
template <class Group, class Number>
CRT_APART Kept kept(const Group& group, const Number* logits, const Share& share, const Softmax& softmax, const Cut& cut) {
  using Ordered = Order<Number>;
  const auto weight = [&](float logit) { return exponential((logit - softmax.peak) * cut.colder); };
  const double most = cut.top_p < 1 ? cut.top_p * softmax.mass * COARSE : INFINITY;
  const auto goes_on = [&](int64_t at, int64_t count, int64_t mass) {
    const bool room = (cut.top_k == 0 || count < cut.top_k) && static_cast<double>(mass) < most;
    return count == 0 || (room && weight(Ordered::number(at)) >= cut.min_p);
  };
  int64_t low = static_cast<int64_t>(Ordered::key(-INFINITY)) - 1;  // no id has it
  int64_t high = Ordered::key(softmax.peak);                        // its first id is kept
  CRT_ROLLED
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    const int64_t at[3] = {low + (middle - low) / 2, middle, middle + (high - middle) / 2};
    const Above ids_above = above(group, logits, share, softmax.peak, cut.colder, at);
    for (int each = 0; each < 3; ++each) {
      if (at[each] <= low || at[each] >= high) continue;
      (goes_on(at[each], ids_above.counts[each], ids_above.masses[each]) ? high : low) = at[each];
    }
  }
  const Above ids_above = above(group, logits, share, softmax.peak, cut.colder, {high - 1, high, high});
  const int64_t equals = ids_above.counts[0] - ids_above.counts[1];
  Kept kept{Ordered::number(high)};
  if (equals == 0) return kept;
  const int64_t each = (ids_above.masses[0] - ids_above.masses[1]) / equals;
  int64_t room = cut.top_k ? Least()(cut.top_k - ids_above.counts[1], equals) : equals;
  if (cut.top_p < 1 && each > 0) room = Least()(room, static_cast<int64_t>(ceil((most - ids_above.masses[1]) / each)));
  room = bounded(room, 1, equals);
  if (room == equals) return kept;
  const auto equal = [&](int x) -> int64_t { return Ordered::key(widen(logits[x])) == high; };
  const int64_t last = seek(group, share, summed(group, share, equal), equal, [&](int64_t) { return room - 1; });
  kept.last = static_cast<int32_t>(last);
  return kept;
}

}  // namespace crt

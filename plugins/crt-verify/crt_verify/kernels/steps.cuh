// SPDX-License-Identifier: Apache-2.0
// Sums over a vocabulary in multiples of 2**-60: integers, so that no order of adding changes a bit.
#pragma once

#include "group.cuh"

namespace crt {

constexpr double POINT = 1152921504606846976.0;  // 2**60, the resolution of crtcore.pick

CRT_CODE double positive(double x) { return x < 0 ? 0 : x; }

CRT_CODE int64_t steps(double weight) { return static_cast<int64_t>(weight * POINT); }

CRT_CODE double mass(int64_t total) { return static_cast<double>(total) / POINT; }

// The sum of `weight(x)` over the vocabulary.
template <class Group, class Weight>
CRT_CODE int64_t total(const Group& group, int64_t vocabulary, Weight weight) {
  int64_t sum = 0;
  for (int64_t x = group.rank(); x < vocabulary; x += group.size()) sum += steps(weight(x));
  return group.template all<Sum>(sum);
}

// The id on which a 32-bit coin falls, where the weights sum to `sum`.
template <class Group, class Weight>
CRT_CODE int64_t pick(const Group& group, int64_t vocabulary, int64_t sum, int64_t coin, Weight weight) {
  constexpr int RUN = 16;  // neighbours of one thread: 64 bytes of float32, two whole sectors
  const int64_t high = sum >> 32, middle = sum >> 16 & 0xFFFF, low = sum & 0xFFFF;
  const int64_t mark = high * coin + ((middle * coin + (low * coin >> 16)) >> 16);  // sum * coin / 2**32
  int64_t passed = 0;
  CRT_ROLLED
  for (int64_t tile = 0; tile < vocabulary; tile += RUN * group.size()) {
    const int64_t first = tile + RUN * group.rank();
    int64_t own = 0;
    CRT_ROLLED
    for (int64_t x = first; x < first + RUN && x < vocabulary; ++x) own += steps(weight(x));
    const int64_t here = group.template all<Sum>(own);
    if (passed + here > mark) {
      int64_t under = passed + group.before(own), found = vocabulary;
      if (under <= mark && mark < under + own) {
        CRT_ROLLED
        for (found = first; (under += steps(weight(found))) <= mark;) ++found;
      }
      return group.template all<Least>(found);
    }
    passed += here;
  }
  return vocabulary - 1;  // only for weights that are faulty, whose verdict is not used
}

}  // namespace crt

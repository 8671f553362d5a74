// SPDX-License-Identifier: Apache-2.0
// Sums over a vocabulary in multiples of 2**-60: integers, so that no order of adding changes a bit.
// A weight is a function of the two laws of an id; `off` is the first of the children whose ids do not count, or 0.
#pragma once

#include "tree.cuh"

namespace crt {

constexpr double POINT = 1152921504606846976.0;  // 2**60, the resolution of crtcore.pick

constexpr int64_t NOWHERE = int64_t(1) << 62;

CRT_CODE double positive(double x) { return x < 0 ? 0 : x; }

CRT_CODE int64_t steps(double weight) { return static_cast<int64_t>(weight * POINT); }

CRT_CODE double mass(int64_t total) { return static_cast<double>(total) / POINT; }

template <class Group, class Row, class Weight>
CRT_CODE int64_t total(const Group& group, const Row& row, Weight weight) {
  int64_t sum = 0;
  for (int x = group.rank(); x < row.share.count; x += group.size()) sum += steps(weight(row.p(x), row.q(x)));
  return group.all(sum, Sum());
}

// Without the ids of the children from `off` on, before `until` (0: all).
template <class Group, class Row, class Weight>
CRT_CODE int64_t total_off(const Group& group, const Tree& tree, const Row& row, int off, int until, Weight weight) {
  int64_t sum = total(group, row, weight);
  for (int child = off; child && child != until; child = tree[child].sibling) {
    if (!tree[child].repeats) sum -= steps(weight(tree[child].wanted, tree[child].drafted));
  }
  return sum;
}

// Where weights by place, in the order of the ids, first sum to more than `mark` of their sum; -1 if that is 0.
// `own` is a team's sum of them.
template <class Group, class Weight, class Mark>
CRT_CODE int64_t seek(const Group& group, const Share& share, int64_t own, Weight weight, Mark mark_of) {
  const Scanned sum = group.scan(own);
  if (sum.all == 0) return -1;
  const Share team = group.team(share);
  const int64_t mark = mark_of(sum.all);
  int64_t found = NOWHERE, under = sum.before;
  if (under <= mark && mark < under + own) {
    CRT_ROLLED
    for (int run = 0; found == NOWHERE && run < team.count; run += group.lanes()) {
      const int x = run + group.lane(), place = static_cast<int>(team.first) + x;
      const int64_t upto = under + group.upto(x < team.count ? weight(place) : 0);
      found = group.within(upto > mark ? share.first + place : NOWHERE, Least());
      under = group.within(upto, Most());
    }
  }
  return group.all(found, Least());
}

// A team's sum of weights by place.
template <class Group, class Weight> CRT_CODE int64_t teams(const Group& group, const Share& share, Weight weight) {
  const Share team = group.team(share);
  int64_t own = 0;
  for (int x = group.lane(); x < team.count; x += group.lanes()) own += weight(static_cast<int>(team.first) + x);
  return group.within(own, Sum());
}

// The id on which a 32-bit coin falls, or -1 if the weights sum to nothing.
template <class Group, class Row, class Weight>
CRT_CODE int64_t pick(const Group& group, const Tree& tree, const Row& row, int off, int64_t coin, Weight weight) {
  const auto stepped = [&](int x) { return steps(weight(row.p(x), row.q(x))); };
  const Share team = group.team(row.share);
  const int64_t first = row.share.first + team.first;
  int64_t own = teams(group, row.share, stepped);
  for (int child = off; child; child = tree[child].sibling) {
    const bool here = first <= tree[child].token && tree[child].token < first + team.count;
    if (here && !tree[child].repeats) own -= steps(weight(tree[child].wanted, tree[child].drafted));
  }
  const auto off_children = [&](int x) { return tried(tree, off, 0, row.share.first + x) ? 0 : stepped(x); };
  return seek(group, row.share, own, off_children, [&](int64_t sum) {
    const int64_t high = sum >> 32, middle = sum >> 16 & 0xFFFF, low = sum & 0xFFFF;
    return high * coin + ((middle * coin + (low * coin >> 16)) >> 16);  // sum * coin / 2**32
  });
}

}  // namespace crt

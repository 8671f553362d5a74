// SPDX-License-Identifier: Apache-2.0
// Sums over a vocabulary in multiples of 2**-60: integers, so that the order of summation changes no bit.
// A weight is a function of the two probabilities of an id; `off` is the first child whose id does not count, or 0.
#pragma once

#include "tree.cuh"

namespace crt {

constexpr double POINT = 1152921504606846976.0;  // 2**60, the resolution of crt_run.sampling.pick

constexpr int64_t NOWHERE = int64_t(1) << 62;

CRT_CODE double positive(double x) { return x < 0 ? 0 : x; }

CRT_CODE int64_t steps(double weight) { return static_cast<int64_t>(weight * POINT); }

CRT_CODE double mass(int64_t total) { return static_cast<double>(total) / POINT; }

template <class Group, class Row, class Weight>
CRT_PASS int64_t total(const Group& group, const Row& row, Weight weight) {
  int64_t sum = 0;
  for (int x = group.rank(); x < row.share.count; x += group.size()) sum += steps(weight(row.p(x), row.q(x)));
  return group.all(sum, Sum());
}

// Without the ids of the children from `off` on, before `until` (0: all).
template <class Group, class Row, class Weight>
CRT_CODE int64_t total_off(const Group& group, const Tree& tree, const Row& row, int off, int until, Weight weight) {
  int64_t sum = total(group, row, weight);
  for (int child = off; child && child != until; child = tree[child].sibling) {
    if (!tree[child].repeats) sum -= steps(weight(tree[child].p_token, tree[child].q_token));
  }
  return sum;
}

// The part of a thread in its block's share: an odd number of neighbours, so that threads use different banks.
template <class Group> CRT_CODE Share piece(const Group& group, const Share& share) {
  const Share team = group.team(share);
  const int each = ((team.count - 1) / group.lanes() + 1) | 1, past = static_cast<int>(team.first) + team.count;
  const int first = static_cast<int>(team.first) + group.lane() * each;
  return {first < past ? first : past, first < past ? (past - first < each ? past - first : each) : 0};
}

// A thread's sum of weights by place.
template <class Group, class Weight> CRT_CODE int64_t summed(const Group& group, const Share& share, Weight weight) {
  const Share mine = piece(group, share);
  int64_t own = 0;
  for (int x = 0; x < mine.count; ++x) own += weight(static_cast<int>(mine.first) + x);
  return own;
}

// Where weights by place, in the order of the ids, first sum to more than `mark` of their sum; -1 if that is 0.
// `own` is a thread's sum of them.
template <class Group, class Weight, class Mark>
CRT_CODE int64_t seek(const Group& group, const Share& share, int64_t own, Weight weight, Mark mark_of) {
  const int64_t upto = group.upto(own), team = group.within(upto, Most());
  const Scanned sum = group.scan(team);
  if (sum.all == 0) return -1;
  const int64_t mark = mark_of(sum.all);
  int64_t id = NOWHERE;
  if (sum.before <= mark && mark < sum.before + team) {
    const int64_t past = sum.before + upto, place = piece(group, share).first;
    const bool here = past - own <= mark && mark < past;  // in one thread's part, which the team then shares
    int64_t under = group.within(here ? past - own : 0, Most());
    const int first = static_cast<int>(group.within(here ? place : 0, Most()));
    CRT_ROLLED
    for (int run = 0; id == NOWHERE && run < share.count; run += group.lanes()) {
      const int x = first + run + group.lane();
      const int64_t through = under + group.upto(x < share.count ? weight(x) : 0);
      id = group.within(through > mark ? share.first + x : NOWHERE, Least());
      under = group.within(through, Most());
    }
  }
  return group.all(id, Least());
}

CRT_CODE int64_t mark_of(int64_t sum, int64_t uniform) {
  const int64_t high = sum >> 32, middle = sum >> 16 & 0xFFFF, low = sum & 0xFFFF;
  return high * uniform + ((middle * uniform + (low * uniform >> 16)) >> 16);  // sum * uniform / 2**32
}

// The id that a 32-bit uniform picks, or -1 if the weights sum to 0.
template <class Group, class Row, class Weight>
CRT_CODE int64_t pick(const Group& group, const Tree& tree, const Row& row, int off, int64_t uniform, Weight weight) {
  const auto stepped = [&](int x) { return steps(weight(row.p(x), row.q(x))); };
  const Share mine = piece(group, row.share);
  int64_t own = summed(group, row.share, stepped);
  for (int child = off; child; child = tree[child].sibling) {
    const int64_t place = tree[child].token - row.share.first;
    const bool here = mine.first <= place && place < mine.first + mine.count;
    if (here && !tree[child].repeats) own -= steps(weight(tree[child].p_token, tree[child].q_token));
  }
  const auto off_children = [&](int x) { return tried(tree, off, 0, row.share.first + x) ? 0 : stepped(x); };
  return seek(group, row.share, own, off_children, [&](int64_t sum) { return mark_of(sum, uniform); });
}

// The same by one thread: it sums runs of ids, and looks at the ids of one run alone.
template <class Row, class Weight>
CRT_PASS int64_t pick(const SingleThread&, const Tree& tree, const Row& row, int off, int64_t uniform, Weight weight) {
  constexpr int RUNS = 256, SHORT = 512;  // a longer run is fast to sum, a shorter one to look through
  const auto stepped = [&](int x) { return steps(weight(row.p(x), row.q(x))); };
  const int count = row.share.count, length = Most()((count - 1) / RUNS + 1, SHORT);
  int64_t sums[RUNS] = {}, sum = 0;
  for (int first = 0; first < count; first += length) {
    int64_t own = 0;
    for (int x = first; x < Least()(first + length, count); ++x) own += stepped(x);
    sums[first / length] = own;
    sum += own;
  }
  for (int child = off; child; child = tree[child].sibling) {
    if (tree[child].repeats) continue;
    const int64_t own = steps(weight(tree[child].p_token, tree[child].q_token));
    sums[tree[child].token / length] -= own;
    sum -= own;
  }
  if (sum == 0) return -1;
  const int64_t mark = mark_of(sum, uniform);
  int run = 0;
  int64_t through = 0;
  while (through + sums[run] <= mark) through += sums[run++];
  int x = run * length;
  for (;; ++x) {
    through += tried(tree, off, 0, x) ? 0 : stepped(x);
    if (through > mark) return x;
  }
}

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a request, node by node: the codes of crt_verify.verdict.FAULTS.
// Reference: crt_verify.rules.forest.faults and .stray_coins.
#pragma once

#include "round.cuh"

namespace crt {

struct Needs {
  Reads reads;
  bool chain;
};

CRT_CODE bool astray(const Request& request, int64_t node) {
  const int64_t parent = request.parents[node];
  if (node) return parent < 0 || parent >= node;
  return parent != -1 || request.nodes < 1 || request.nodes > request.most;
}

// The parent that a node is given, whatever it says.
CRT_CODE int64_t settled(const Request& request, int64_t node) {
  return bounded(request.parents[node], 0, node ? node - 1 : 0);
}

CRT_CODE bool has_younger(const Request& request, int64_t node, int64_t count) {
  for (int64_t other = node + 1; other < count; ++other) {
    if (settled(request, other) == settled(request, node)) return true;
  }
  return false;
}

// The first reason at a node but for its rows; `draft` says the draft's probability of an id after the node.
template <class Group, class Draft>
CRT_CODE int64_t misshapen(
    const Group& group, const Request& request, const Fallen& coins, Needs needs, int64_t node, Draft draft) {
  const int64_t count = request.nodes < request.most ? request.nodes : request.most;
  double children = 0, stray = 0;
  for (int64_t child = node + 1 + group.rank(); child < count; child += group.size()) {
    if (request.parents[child] != node) continue;
    const int64_t token = request.tokens[child];
    const bool outside = token < 0 || token >= request.vocabulary;
    const bool read = needs.reads == ALL || (needs.reads == LAST && !has_younger(request, child, count));
    children += 1;
    stray += outside || (read && !(draft(token) > 0));
  }
  children = group.template all<Sum>(children);
  stray = group.template all<Sum>(stray);
  const bool exists = node < request.nodes;
  if (stray > 0) return 5;
  if ((exists || node == 0) && astray(request, node)) return 6;
  if (needs.chain && children > 1) return 7;
  if (!exists) return 0;
  const int64_t accept = coins.accept[node], final = coins.final[node];
  return accept < 0 || accept >= static_cast<int64_t>(ACCEPT) || final < 0 || final >= FINAL ? 8 : 0;
}

// 1 where an entry is none, 2 where the entries do not sum to 1, 0 for a law.
template <class Group, class Number>
CRT_CODE int64_t unsound(const Group& group, const Number* row, int64_t vocabulary) {
  double sum = 0, none = 0;
  for (int64_t x = group.rank(); x < vocabulary; x += group.size()) {
    const double entry = widen(row[x]);
    none += !(entry >= 0 && entry - entry == 0);
    sum += entry;
  }
  none = group.template all<Sum>(none);
  sum = group.template all<Sum>(sum);
  if (none > 0) return 1;
  return fabs(sum - 1) <= TOLERANCE ? 0 : 2;
}

template <class Group> CRT_CODE bool has_child(const Group& group, const Request& request, int64_t node) {
  const int64_t count = request.nodes < request.most ? request.nodes : request.most;
  double children = 0;
  for (int64_t child = node + 1 + group.rank(); child < count; child += group.size()) {
    children += request.parents[child] == node;
  }
  return group.template all<Sum>(children) > 0;
}

// The first reason at a node with rows of probabilities, as `Verdict.fault` says it; `NEVER` if there is none.
template <class Group, class Number>
CRT_CODE int64_t audit(
    const Group& group, const Request& request, const Fallen& coins, Needs needs, const Given<Number>& laws, int64_t node) {
  const int64_t vocabulary = request.vocabulary;
  const Number* draft = laws.draft + node * vocabulary;
  int64_t reason = 0;
  if (node < request.nodes) reason = unsound(group, laws.target + node * vocabulary, vocabulary);
  if (!reason && needs.reads != NONE && has_child(group, request, node)) {
    reason = unsound(group, draft, vocabulary);
    if (reason) reason += 2;
  }
  if (!reason) {
    reason = misshapen(group, request, coins, needs, node, [&](int64_t x) {
      return widen(draft[bounded(x, 0, vocabulary - 1)]);
    });
  }
  return reason ? node * FAULTS + reason : NEVER;
}

// The same with rows of logits, which are looked at only as walks come to them.
template <class Group, class Number>
CRT_CODE int64_t audit(
    const Group& group, const Request& request, const Fallen& coins, Needs needs, const Fused<Number>&, int64_t node) {
  needs.reads = NONE;
  const int64_t reason = misshapen(group, request, coins, needs, node, [](int64_t) { return 1.0; });
  return reason ? node * FAULTS + reason : NEVER;
}

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// One request's draft tree as rules walk it: children in draw order, as links.
#pragma once

#include "group.cuh"

namespace crt {

// What rejections have left of the target's law at a node: (p - scale q)+ off the tried ids, not normalised.
struct Residual {
  double scale = 0, drawn = 0, mass = 1;
  bool open = true;  // closed once rounding has left nothing: then it is the target's law again
};

struct Softmax {
  double peak = 0, mass = 0;
  int64_t first = 0;  // the first id of the highest logit
  bool sound = false;
};

struct Node {
  int64_t token;
  int parent, child, sibling;  // child: the first one; sibling: the next one; 0 where there is none
  int same;                    // the node that stands for it where paths with the same ids are one
  int turn;                    // the child that is judged next, where leaves come first
  bool known;
  double chance;
  Residual left;
  Softmax target, draft;
};

// A padded request as it comes in.
struct Request {
  const int64_t *parents, *tokens;
  int64_t nodes, most, vocabulary;
};

CRT_CODE int64_t bounded(int64_t x, int64_t least, int64_t most) { return x < least ? least : x > most ? most : x; }

// Whether two nodes have the same ids before and at them.
CRT_CODE bool alike(const Node* nodes, int one, int other) {
  while (one != other) {
    if (one == 0 || other == 0 || nodes[one].token != nodes[other].token) return false;
    one = nodes[one].parent;
    other = nodes[other].parent;
  }
  return true;
}

// The first node that stands under `above`, or 0.
template <class Above> CRT_CODE int next(int after, int count, int above, Above of) {
  for (int node = after + 1; node < count; ++node) {
    if (of(node) == above) return node;
  }
  return 0;
}

// Fills `nodes`; `merged`: nodes with the same ids before and at them are one, whose children are all of theirs.
template <class Group> CRT_CODE void grow(const Group& group, const Request& request, Node* nodes, bool merged) {
  const int count = static_cast<int>(bounded(request.nodes, 1, request.most));
  const auto parent = [&](int node) { return nodes[node].parent; };
  const auto above = [&](int node) { return nodes[nodes[node].parent].same; };
  for (int node = group.rank(); node < count; node += group.size()) {
    nodes[node].parent = static_cast<int>(node ? bounded(request.parents[node], 0, node - 1) : 0);
    nodes[node].token = bounded(request.tokens[node], 0, request.vocabulary - 1);
    nodes[node].same = node;
    nodes[node].known = false;
  }
  group.wait();
  for (int node = group.rank(); node < count; node += group.size()) {
    nodes[node].child = next(node, count, node, parent);
  }
  group.wait();
  if (merged) {
    for (int node = group.rank(); node < count; node += group.size()) {
      int best = 2 * count;  // a node with children comes before any without: only that one has the draft's law
      for (int twin = node ? 1 : 0; twin < (node ? count : 1); ++twin) {
        const int rank = nodes[twin].child ? twin : twin + count;
        if (rank < best && alike(nodes, node, twin)) best = rank;
      }
      nodes[node].same = best % count;
    }
    group.wait();
    for (int node = group.rank(); node < count; node += group.size()) nodes[node].child = next(0, count, node, above);
  }
  for (int node = group.rank(); node < count; node += group.size()) {
    nodes[node].sibling = node ? next(node, count, above(node), above) : 0;
  }
  group.wait();
}

}  // namespace crt

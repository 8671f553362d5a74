// SPDX-License-Identifier: Apache-2.0
// One request's draft tree: children in draw order, as links.
#pragma once

#include "group.cuh"

namespace crt {

// The residual at a node: (p - scale q)_+ off the tried ids, not normalised.
struct Residual {
  double scale = 0, spent = 0, mass = 1;
  bool open = true;  // closed once rounding has left nothing: then it is the target's row again
};

// The node where a walk goes on, or the node where it ends and the final id.
struct Step {
  int next = 0, end = 0;
  int64_t id = -1;
};

struct Node {
  int64_t token;
  int parent, child, sibling;  // child: the first one; sibling: the next one; 0 where there is none
  int same;                    // the node that it is merged into where paths of the same ids are one
  int above;                   // the node that its parent is merged into; -1 for the root
  bool repeats;                // an earlier sibling has its id
  double p_token, q_token;     // the two probabilities of its id, once the rows of its parent are read

  // For rules that go from the leaves:
  bool children_tested;  // the chances of its children are computed
  double entry;          // the chance when it is entered
  double chance;         // what its children's rejections leave of that
  Residual left;         // of independent paths, multi_block.cuh keeps the scale and the share here
};

struct Tree {
  Node* nodes;
  int count;

  CRT_CODE Node& operator[](int node) const { return nodes[node]; }
};

// A padded request as it comes in.
struct Request {
  const int64_t *parents, *tokens;
  int64_t nodes, most, vocabulary;
};

CRT_CODE int64_t bounded(int64_t x, int64_t least, int64_t most) { return x < least ? least : x > most ? most : x; }

// Whether a sibling from `first` on, but before `until` (0: any), has the id.
CRT_CODE bool tried(const Tree& tree, int first, int until, int64_t token) {
  for (int child = first; child && child != until; child = tree[child].sibling) {
    if (tree[child].token == token) return true;
  }
  return false;
}

// Whether two nodes have the same ids before and at them.
CRT_CODE bool alike(const Tree& tree, int one, int other) {
  while (one != other) {
    if (one == 0 || other == 0 || tree[one].token != tree[other].token) return false;
    one = tree[one].parent;
    other = tree[other].parent;
  }
  return true;
}

// The first node after `after` that stands under `above`, or 0.
CRT_CODE int next(const Tree& tree, int after, int above) {
  for (int node = after + 1; node < tree.count; ++node) {
    if (tree[node].above == above) return node;
  }
  return 0;
}

// Copies the nodes of a request, absent ones too; values that are out of range stay out of range.
template <class Group> CRT_CODE void load(const Group& group, const Request& request, Node* nodes) {
  for (int node = group.rank(); node < request.most; node += group.size()) {
    nodes[node].token = request.tokens[node];
    nodes[node].parent = static_cast<int>(bounded(request.parents[node], -2, request.most));
  }
  group.wait();
}

// Makes a tree of loaded nodes. With `merged`, nodes on the same path of ids become one, with the children of all.
template <class Group> CRT_CODE Tree grow(const Group& group, const Request& request, Node* nodes, bool merged) {
  const Tree tree{nodes, static_cast<int>(bounded(request.nodes, 1, request.most))};
  const auto each = [&](auto act) {
    for (int node = group.rank(); node < tree.count; node += group.size()) act(node);
    group.wait();
  };
  each([&](int node) {
    tree[node].parent = static_cast<int>(node ? bounded(tree[node].parent, 0, node - 1) : 0);
    tree[node].token = bounded(tree[node].token, 0, request.vocabulary - 1);
    tree[node].same = node;
    tree[node].above = node ? tree[node].parent : -1;
    tree[node].children_tested = false;
  });
  each([&](int node) { tree[node].child = next(tree, node, node); });
  if (merged) {
    each([&](int node) {
      int best = 2 * tree.count;  // a node with children comes before any without: only that one has the draft's row
      for (int twin = node ? 1 : 0; twin < (node ? tree.count : 1); ++twin) {
        const int rank = tree[twin].child ? twin : twin + tree.count;
        if (rank < best && alike(tree, node, twin)) best = rank;
      }
      tree[node].same = best % tree.count;
    });
    each([&](int node) { tree[node].above = node ? tree[tree[node].parent].same : -1; });
    each([&](int node) { tree[node].child = next(tree, 0, node); });
  }
  each([&](int node) { tree[node].sibling = node ? next(tree, node, tree[node].above) : 0; });
  each([&](int node) { tree[node].repeats = node && tried(tree, tree[tree[node].above].child, node, tree[node].token); });
  return tree;
}

}  // namespace crt

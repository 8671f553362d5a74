// SPDX-License-Identifier: Apache-2.0
// What a rule needs to verify one request, and how a walk ends.
#pragma once

#include <utility>

#include "rows.cuh"

namespace crt {

constexpr double ACCEPT = 16777216.0;  // accept uniforms are below this
constexpr int64_t FINAL = int64_t(1) << 32;

// A request's uniforms.
struct Uniforms {
  const int64_t *accept, *final;

  CRT_CODE bool accepts(int node, double gain, double bar) const {
    return static_cast<double>(accept[node]) * bar < gain * ACCEPT;
  }

  // An id at the end of a walk, or -1 if the weights sum to nothing.
  template <class Group, class Row, class Weight>
  CRT_CODE int64_t draw(const Group& group, const Tree& tree, const Row& row, int node, int off, Weight weight) const {
    return pick(group, tree, row, off, final[node], weight);
  }
};

template <class Group_, class Reader_, class Uniforms_> struct Round {
  using Reader = Reader_;
  using Row = typename Reader::Row;

  const Group_& group;
  Reader& reader;
  Uniforms_& uniforms;
  Tree tree;

  using KeptRow = decltype(std::declval<Reader>().kept(std::declval<Group_>(), std::declval<Row>()));

  // Reads the rows of a node; if the round is `faulty` then, the walk ends.
  CRT_CODE Row row(int node) const { return reader.row(group, tree, node); }
  CRT_CODE KeptRow kept_row(int node) const { return reader.kept(group, row(node)); }  // to pass over them often
  CRT_CODE bool faulty() const { return reader.fault != NEVER; }
};

// Ends a walk at a node: samples the final id from the target's row.
template <class Round, class Row> CRT_APART Step end_walk(const Round& round, const Row& row, int node) {
  return {0, node, round.uniforms.draw(round.group, round.tree, row, node, 0, [](double p, double) { return p; })};
}

// The same by `weight`, without the ids of the children from `off` on; by the target's row if that sums to 0.
template <class Round, class Row, class Weight>
CRT_CODE Step end_walk(const Round& round, const Row& row, int node, int off, Weight weight) {
  const int64_t id = round.uniforms.draw(round.group, round.tree, row, node, off, weight);
  return id < 0 ? end_walk(round, row, node) : Step{0, node, id};
}

}  // namespace crt

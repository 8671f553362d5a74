// SPDX-License-Identifier: Apache-2.0
// Keys and values of accepted nodes move behind those that a row has committed.
// Reference: crt_nn.session.CachedSession.commit.
#pragma once

#include "group.cuh"

namespace crt {

// A layer's keys or values, `b s w` in words: tentative node n of a row lies in slot `bound` + n.
struct Shelf {
  uint32_t* words;
  int64_t slots, width, bound;
  const int64_t *path, *counts;  // b k, absent nodes (-1) at the right end; slots that each row has committed
  int64_t length;                // k
};

// Copies one word of each accepted node, `column`, in order. That is as good as reading all before writing any: a path
// goes down, so each node lies behind where it goes to and behind all nodes that moved before it.
CRT_CODE void keep(const Shelf& shelf, int64_t row, int64_t column) {
  uint32_t* words = shelf.words + row * shelf.slots * shelf.width + column;
  const int64_t* path = shelf.path + row * shelf.length;
  for (int64_t place = 0; place < shelf.length && path[place] >= 0; ++place) {
    const int64_t source = shelf.bound + path[place], target = shelf.counts[row] + place;
    if (source < shelf.slots && target < shelf.slots) words[target * shelf.width] = words[source * shelf.width];
  }
}

}  // namespace crt

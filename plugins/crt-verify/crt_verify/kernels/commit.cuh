// SPDX-License-Identifier: Apache-2.0
// Moves keys and values of accepted nodes behind those that a row has committed.
// Reference: crt_nn.session.CachedSession.commit.
#pragma once

#include "group.cuh"

namespace crt {

// A layer's keys or values, `b s w` in words: tentative node n of a row is in slot `bound` + n.
struct KVCache {
  uint32_t* words;
  int64_t slots, width, bound;
  const int64_t *path, *counts;  // b k, absent nodes (-1) last; slots that each row has committed
  int64_t length;                // k
};

// Copies one word, `column`, of each accepted node in order. No word is overwritten before it is read: a path goes
// down, so each node lies behind its destination and behind all nodes that moved before it.
CRT_CODE void keep(const KVCache& cache, int64_t row, int64_t column) {
  uint32_t* words = cache.words + row * cache.slots * cache.width + column;
  const int64_t* path = cache.path + row * cache.length;
  for (int64_t place = 0; place < cache.length && path[place] >= 0; ++place) {
    const int64_t source = cache.bound + path[place], target = cache.counts[row] + place;
    if (source < cache.slots && target < cache.slots) words[target * cache.width] = words[source * cache.width];
  }
}

}  // namespace crt

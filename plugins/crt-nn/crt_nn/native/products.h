// Products of rows with a matrix that lies in panels: 32 outputs of all inputs, the inputs one after another.
//
// Memory is read once for up to `GROUP` rows, and reading the next part of a panel overlaps with computing this one.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include "vectors.h"

namespace crt {

constexpr int PANEL = 32;
constexpr int ACROSS = PANEL / LANES;  // vectors of a panel
constexpr int PART = 64;  // inputs whose products are summed apart, which halves the digits that are lost
#ifdef __AVX512F__
constexpr int BLOCK = 12;  // rows whose sums fit the registers
#else
constexpr int BLOCK = 3;
#endif
constexpr int GROUP = 8 * BLOCK;

typedef Vector Sums[BLOCK][ACROSS];

// Adds the products of M rows and one part of N panels to sums. Few rows take several panels at once, as one sum waits
// for the one before.
template <int M, int N, class W, bool AHEAD>
inline __attribute__((always_inline)) void part(const float *__restrict x, const W *__restrict w, long stride, long size,
                                                Sums *__restrict sums) {
  Vector own[N][M][ACROSS];
#pragma GCC unroll 4
  for (int p = 0; p < N; p++)
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 8
      for (int v = 0; v < ACROSS; v++)
        own[p][m][v] = Vector{};
  for (long k = 0; k < size; k++) {
#pragma GCC unroll 4
    for (int p = 0; p < N; p++) {
      const W *at = w + p * stride + k * PANEL;
      if (AHEAD) {
        __builtin_prefetch(at + PART * PANEL);
        if (sizeof(W) == 4)
          __builtin_prefetch(at + PART * PANEL + PANEL / 2);
      }
      Vector row[ACROSS];
#pragma GCC unroll 8
      for (int v = 0; v < ACROSS; v++)
        row[v] = load(at + v * LANES);
#pragma GCC unroll 12
      for (int m = 0; m < M; m++)
#pragma GCC unroll 8
        for (int v = 0; v < ACROSS; v++)
          own[p][m][v] = fused(every(x[k * M + m]), row[v], own[p][m][v]);
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < N; p++)
#pragma GCC unroll 12
    for (int m = 0; m < M; m++)
#pragma GCC unroll 8
      for (int v = 0; v < ACROSS; v++)
        sums[p][m][v] += own[p][m][v];
}

template <int N, class W, bool AHEAD>
inline void part(long rows, const float *x, const W *w, long stride, long size, Sums *sums) {
  switch (rows) {
#define CRT_ROWS(m)                                                                                                     \
  case m:                                                                                                               \
    if constexpr (m <= BLOCK && m * N <= BLOCK)                                                                         \
      return part<m, N, W, AHEAD>(x, w, stride, size, sums);                                                            \
    break;
    CRT_ROWS(1) CRT_ROWS(2) CRT_ROWS(3) CRT_ROWS(4) CRT_ROWS(5) CRT_ROWS(6)
    CRT_ROWS(7) CRT_ROWS(8) CRT_ROWS(9) CRT_ROWS(10) CRT_ROWS(11) CRT_ROWS(12)
#undef CRT_ROWS
  }
  std::abort();  // more rows than sums: better no answer than zeros
}

// One part of a panel as floats, so that several blocks of rows need not widen it each; reads the next part ahead.
inline void widen(const Brain *w, long size, float *to) {
  for (long i = 0; i < size * PANEL; i += PANEL) {
    __builtin_prefetch(w + i + PART * PANEL);
    for (int v = 0; v < ACROSS; v++)
      put(to + i + v * LANES, load(w + i + v * LANES));
  }
}

// Rows in blocks of equal size, each with its inputs one after another: `k m`.
struct Blocks {
  long count, size, inward;
  std::vector<float> &values;

  template <class T>
  Blocks(const T *x, long rows, long inward, std::vector<float> &space)
      : count((rows + BLOCK - 1) / BLOCK), size((rows + count - 1) / count), inward(inward), values(space) {
    if (long(values.size()) < rows * inward)
      values.resize(rows * inward);
    for (long first = 0; first < rows; first += size) {
      long some = std::min(size, rows - first);
      float *to = values.data() + first * inward;
      for (long m = 0; m < some; m++)
        for (long k = 0; k < inward; k++)
          to[k * some + m] = wide(x[(first + m) * inward + k]);
    }
  }
};

template <class T, class W> struct Product {
  const T *x;
  const W *panels;
  const T *bias;  // or null
  const T *onto;  // or null: what the result is added to
  T *y;
  long rows, inward, outward;

  // N panels from `panel` on, for the rows of a group of blocks.
  template <int N> void some(const Blocks &blocks, long first, long last, long panel) const {
    Sums sums[GROUP / BLOCK][N];
    long stride = inward * PANEL;
    const W *w = panels + panel * stride;
    for (long row = first, b = 0; row < last; row += blocks.size, b++)
      for (auto &each : sums[b])
        std::memset(&each, 0, sizeof each);
    for (long k = 0; k < inward; k += PART) {
      long size = std::min<long>(PART, inward - k);
      float floats[PART * PANEL];
      if constexpr (std::is_same_v<W, Brain> && N == 1)
        if (blocks.count > 1)
          widen(w + k * PANEL, size, floats);
      for (long row = first, b = 0; row < last; row += blocks.size, b++) {
        long m = std::min(blocks.size, rows - row);
        const float *x = blocks.values.data() + row * inward + k * m;
        if (std::is_same_v<W, Brain> && N == 1 && blocks.count > 1)
          part<N, float, false>(m, x, floats, stride, size, sums[b]);
        else if (row == 0)
          part<N, W, true>(m, x, w + k * PANEL, stride, size, sums[b]);
        else
          part<N, W, false>(m, x, w + k * PANEL, stride, size, sums[b]);
      }
    }
    for (long row = first, b = 0; row < last; row += blocks.size, b++)
      for (long m = 0; m < std::min(blocks.size, rows - row); m++)
        for (int p = 0; p < N; p++)
          for (int v = 0; v < ACROSS; v++)
            finish(row + m, (panel + p) * PANEL + v * LANES, sums[b][p][m][v]);
  }

  void finish(long row, long at, Vector value) const {
    long left = outward - at;
    if (left <= 0)
      return;
    if (bias)
      value += load(bias + at, left);
    if (onto)
      value += load(onto + row * outward + at, left);
    put(y + row * outward + at, value, left);
  }

  void run(int threads) const {
    if (rows == 0)
      return;  // no blocks, whose size would be a division by 0
    static thread_local std::vector<float> space;
    Blocks blocks(x, rows, inward, space);
    long every = (outward + PANEL - 1) / PANEL;
    int together = rows == 1 && BLOCK >= 4 ? 4 : rows < 4 && 2 * rows <= BLOCK ? 2 : 1;  // sums of all fit the registers
    long chunks = (every + together - 1) / together, group = std::max<long>(1, GROUP / BLOCK) * blocks.size;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (long chunk = 0; chunk < chunks; chunk++)
      for (long first = 0; first < rows; first += group) {
        long last = std::min(first + group, rows), panel = chunk * together;
        if (together == 4 && panel + 4 <= every)
          some<4>(blocks, first, last, panel);
        else if (together == 2 && panel + 2 <= every)
          some<2>(blocks, first, last, panel);
        else
          for (long p = panel; p < std::min(panel + together, every); p++)
            some<1>(blocks, first, last, p);
      }
  }
};

}  // namespace crt

// What layers do to each row by itself.
#pragma once

#include <cmath>

#include "vectors.h"

namespace crt {

// Scales a row to unit mean square, `epsilon` added to it, then each channel by its gain.
template <class T, class G> void norm(const T *x, const G *gain, T *y, long rows, long width, float epsilon) {
  for (long row = 0; row < rows; row++, x += width, y += width) {
    Vector squares = {};
    for (long i = 0; i < width; i += LANES) {
      Vector some = load(x + i, width - i);
      squares = fused(some, some, squares);
    }
    float scale = 1.0f / std::sqrt(sum(squares) / float(width) + epsilon);
    for (long i = 0; i < width; i += LANES)
      put(y + i, load(x + i, width - i) * scale * load(gain + i, width - i), width - i);
  }
}

// The second half of a row, gated by the SiLU of the first.
template <class T> void gated(const T *x, T *y, long rows, long hidden) {
  for (long row = 0; row < rows; row++, x += 2 * hidden, y += hidden)
    for (long i = 0; i < hidden; i += LANES) {
      Vector gate = load(x + i, hidden - i), up = load(x + hidden + i, hidden - i);
      put(y + i, gate / (1.0f + exponential(-gate)) * up, hidden - i);
    }
}

// Multiplies pairs of channels, as complex numbers, by those of their position, in place; `heads` of `all` heads.
template <class T>
void rotated(T *x, const float *by, long positions, long heads, long all, long channels) {
  for (long at = 0; at < positions; at++, by += channels)
    for (long head = 0; head < heads; head++) {
      T *row = x + (at * all + head) * channels;
      for (long i = 0; i < channels; i += LANES) {
        long left = channels - i;
        Vector value = load(row + i, left), turn = load(by + i, left);
        constexpr Whole swap = lanes([](int i) { return i ^ 1; }), even = lanes([](int i) { return i & ~1; });
        constexpr Whole sign = lanes([](int i) { return i % 2 ? 1 : -1; });
        Vector real = __builtin_shuffle(turn, even), imaginary = __builtin_shuffle(turn, even | 1) * __builtin_convertvector(sign, Vector);
        put(row + i, fused(value, real, __builtin_shuffle(value, swap) * imaginary), left);
      }
    }
}

}  // namespace crt

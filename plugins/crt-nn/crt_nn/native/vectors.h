// Vectors of 16 floats, as GCC lowers them to what a processor has.
//
// Every sum has an order that depends on nothing but the number of its terms, so that a row of a result has the same
// bits whatever rows stand beside it.
#pragma once

#include <cstdint>
#include <cstring>

namespace crt {

constexpr int LANES = 16;
typedef float Vector __attribute__((vector_size(64)));
typedef int32_t Whole __attribute__((vector_size(64)));
typedef uint32_t Bits __attribute__((vector_size(64)));
typedef float Loose __attribute__((vector_size(64), aligned(4)));
typedef uint16_t Half __attribute__((vector_size(32), aligned(2)));

// A bfloat16: the upper half of a float.
struct Brain {
  uint16_t bits;
};

inline Vector load(const float *at) { return *reinterpret_cast<const Loose *>(at); }

inline Vector load(const Brain *at) {
  Bits wide = __builtin_convertvector(*reinterpret_cast<const Half *>(at), Bits) << 16;
  return (Vector)wide;
}

inline float wide(float value) { return value; }

inline float wide(Brain value) {
  uint32_t bits = uint32_t(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

inline void put(float *at, Vector value) { *reinterpret_cast<Loose *>(at) = value; }

// Rounds to the nearest, ties to even; NaN stays NaN.
inline void put(Brain *at, Vector value) {
  Bits bits = (Bits)value;
  Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  Bits nan = (bits >> 16) | 0x40;
  Whole number = value == value;
  rounded = number ? rounded : nan;
  *reinterpret_cast<Half *>(at) = __builtin_convertvector(rounded, Half);
}

// The first `count` of 16 values; zeros behind them.
template <class T> inline Vector load(const T *at, long count) {
  if (count >= LANES)
    return load(at);
  T some[LANES] = {};
  std::memcpy(some, at, count * sizeof(T));
  return load(some);
}

template <class T> inline void put(T *at, Vector value, long count) {
  if (count >= LANES)
    return put(at, value);
  T some[LANES];
  put(some, value);
  std::memcpy(at, some, count * sizeof(T));
}

// Turns a square of 16 vectors: lane i of vector j becomes lane j of vector i.
inline void turn(Vector *square) {
  const Whole low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  const Whole high = low + 8;
  for (int round = 0; round < 4; round++) {
    Vector next[LANES];
    for (int i = 0; i < LANES / 2; i++) {
      next[2 * i] = __builtin_shuffle(square[i], square[i + 8], low);
      next[2 * i + 1] = __builtin_shuffle(square[i], square[i + 8], high);
    }
    std::memcpy(square, next, sizeof next);
  }
}

// The sum of all lanes, by halves.
inline float sum(Vector value) {
  typedef float Eight __attribute__((vector_size(32)));
  typedef float Four __attribute__((vector_size(16)));
  Eight low, high;
  std::memcpy(&low, &value, 32);
  std::memcpy(&high, reinterpret_cast<const char *>(&value) + 32, 32);
  low += high;
  Four a, b;
  std::memcpy(&a, &low, 16);
  std::memcpy(&b, reinterpret_cast<const char *>(&low) + 16, 16);
  a += b;
  return (a[0] + a[2]) + (a[1] + a[3]);
}

// e to the power of a value; 0 below -87, and as at 88 above.
// The remainder of a division by ln 2 is at most 0.35: six terms of a series of minimax coefficients, as in Cephes' expf.
inline Vector exponential(Vector value) {
  Whole below = value < -87.0f;
  Whole above = value > 88.0f;
  Vector x = below ? (Vector{} - 87.0f) : value;
  x = above ? (Vector{} + 88.0f) : x;
  Vector shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: the nearest whole number in the low bits
  Whole power = (Whole)shifted - 0x4b400000;
  Vector whole = shifted - 12582912.0f;
  Vector rest = x - whole * 0.693359375f;
  rest = rest + whole * 2.12194440e-4f;
  Vector series = rest * 1.9875691500e-4f + 1.3981999507e-3f;
  series = series * rest + 8.3334519073e-3f;
  series = series * rest + 4.1665795894e-2f;
  series = series * rest + 1.6666665459e-1f;
  series = series * rest + 5.0000001201e-1f;
  series = series * rest * rest + rest + 1.0f;
  Whole scale = (power + 127) << 23;
  Vector result = series * (Vector)scale;
  return below ? Vector{} : result;
}

}  // namespace crt

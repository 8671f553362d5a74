// Vectors as wide as a processor's registers: of wider ones GCC keeps sums in memory, which takes 20 times as long.
//
// Every sum has an order that depends on nothing but the number of its terms, so that a row of a result has the same
// bits whatever rows stand beside it. Products are added by `fused` alone: a compiler that may fuse others does so in
// one function and not in the next.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__FMA__)
#include <immintrin.h>
#endif

namespace crt {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Whole __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef float Loose __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint16_t Half __attribute__((vector_size(2 * LANES), aligned(2)));

// A number for each lane, by its index, which the compiler knows.
template <class F, int... I> constexpr Whole lanes(F number, std::integer_sequence<int, I...>) { return Whole{number(I)...}; }

template <class F> constexpr Whole lanes(F number) { return lanes(number, std::make_integer_sequence<int, LANES>()); }

// The same value in all lanes.
inline Vector every(float value) { return value - Vector{}; }

// a * b + c, rounded once where the processor can.
inline Vector fused(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX__) && defined(__FMA__)
  return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

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

// The first `count` values of a vector; zeros behind them.
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

// Turns a square of vectors: lane i of vector j becomes lane j of vector i.
inline void turn(Vector *square) {
  constexpr int HALF = LANES / 2;
  constexpr Whole low = lanes([](int i) { return i / 2 + i % 2 * LANES; });
  constexpr Whole high = lanes([](int i) { return i / 2 + i % 2 * LANES + HALF; });
  for (int round = 1; round < LANES; round *= 2) {
    Vector next[LANES];
    for (int i = 0; i < HALF; i++) {
      next[2 * i] = __builtin_shuffle(square[i], square[i + HALF], low);
      next[2 * i + 1] = __builtin_shuffle(square[i], square[i + HALF], high);
    }
    std::memcpy(square, next, sizeof next);
  }
}

// The sum of all lanes, by halves.
inline float sum(Vector value) {
  float all[LANES];
  put(all, value);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++)
      all[i] += all[i + half];
  return all[0];
}

// e to the power of a value; 0 below -87, and as at 88 above.
// The remainder of a division by ln 2 is at most 0.35: six terms of a series of minimax coefficients, as in Cephes' expf.
inline Vector exponential(Vector value) {
  Whole below = value < -87.0f;
  Whole above = value > 88.0f;
  Vector x = below ? (Vector{} - 87.0f) : value;
  x = above ? (Vector{} + 88.0f) : x;
  const float shift = 12582912.0f;  // 1.5 * 2^23: the nearest whole number in the low bits
  Vector shifted = fused(x, every(1.44269504088896341f), every(shift));
  Whole power = (Whole)shifted - 0x4b400000;
  Vector whole = shifted - shift;
  Vector rest = fused(whole, every(-0.693359375f), x);
  rest = fused(whole, every(2.12194440e-4f), rest);
  Vector series = every(1.9875691500e-4f);
  for (float next : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    series = fused(series, rest, every(next));
  series = fused(series * rest, rest, rest) + 1.0f;
  Whole scale = (power + 127) << 23;
  Vector result = series * (Vector)scale;
  return below ? Vector{} : result;
}

}  // namespace crt

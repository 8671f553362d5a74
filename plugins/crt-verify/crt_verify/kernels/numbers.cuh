// SPDX-License-Identifier: Apache-2.0
// Numbers as rows hold them, widened without any library's types.
#pragma once

#include <cstring>

#include "group.cuh"

namespace crt {

struct BFloat16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

// The lowest bits of a widened number, which are 0.
template <class Number> constexpr int GRAIN = 0;
template <> constexpr int GRAIN<BFloat16> = 16;
template <> constexpr int GRAIN<Half> = 13;

CRT_CODE float as_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

CRT_CODE double widen(double x) { return x; }
CRT_CODE float widen(float x) { return x; }
CRT_CODE float widen(BFloat16 x) { return as_float(static_cast<uint32_t>(x.bits) << 16); }

CRT_CODE float widen(Half x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000) << 16, rest = static_cast<uint32_t>(x.bits & 0x7FFF) << 13;
  const bool finite = (x.bits & 0x7C00) != 0x7C00;
  const float size = finite ? as_float(rest) * as_float(0x77800000) : as_float(rest | 0x7F800000);  // 2**112: the bias
  return sign ? -size : size;
}

}  // namespace crt

// SPDX-License-Identifier: Apache-2.0
// e to a power, to the precision of float32: on a host in steps that its compiler makes vectors of, unlike a call.
#pragma once

#include <cmath>

#include "numbers.cuh"

namespace crt {

#ifdef __CUDACC__

CRT_CODE float exponential(float power, bool counts = true) { return counts ? expf(power) : 0; }

#else

// Powers are at most 0; below -700, where no weight is left by far, it is 0. The rest of a division by ln 2 is at most
// 0.35 either way: six terms with the minimax coefficients of Cephes' expf, then a power of two in double, which has no
// subnormal numbers there.
CRT_CODE double exponential(float power, bool counts = true) {
  const bool none = (power < -700.0f) | !counts;  // `||` would branch
  const float x = none ? 0.0f : power;
  const float shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2**23: the nearest integer in the low bits
  const float whole = shifted - 12582912.0f;
  const float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float series = rest * 1.9875691500e-4f + 1.3981999507e-3f;
  series = series * rest + 8.3334519073e-3f;
  series = series * rest + 4.1665795894e-2f;
  series = series * rest + 1.6666665459e-1f;
  series = series * rest + 5.0000001201e-1f;
  series = series * rest * rest + rest + 1.0f;
  int32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  const uint64_t doubled = static_cast<uint64_t>(static_cast<int64_t>(none ? 0 : bits - 0x4b400000 + 1023)) << 52;
  double scale;
  memcpy(&scale, &doubled, sizeof scale);
  return series * scale;
}

#endif

}  // namespace crt

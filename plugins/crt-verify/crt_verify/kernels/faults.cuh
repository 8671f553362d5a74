// SPDX-License-Identifier: Apache-2.0
// The numbers of crt_verify.verdict.Fault; test_faults.py compares them.
#pragma once

#include <cstdint>

namespace crt {

enum Fault : int64_t {
  NO_FAULT,
  TARGET_ENTRY,
  TARGET_SUM,
  DRAFT_ENTRY,
  DRAFT_SUM,
  RULED_OUT,
  NOT_A_TREE,
  NOT_A_CHAIN,
  UNIFORM_RANGE,
  FAULTS  // how many there are
};

constexpr int64_t NEVER = int64_t(1) << 62;  // a code larger than that of any fault

}  // namespace crt

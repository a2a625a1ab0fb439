// How long to wait before trying again: full jitter, so that who failed together does not come back together.
// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#pragma once

#include <algorithm>
#include <cstdint>

namespace corral::core {

/// Evenly spread from 0 to a window that doubles with each failure in a row, from `first_ms` up to `most_ms`. `random`:
/// 64 random bits.
constexpr uint32_t full_jitter_ms(uint32_t first_ms, uint32_t most_ms, uint32_t failures, uint64_t random) {
  const uint64_t window = std::min<uint64_t>(most_ms, uint64_t{first_ms} << std::min(failures, 30u));
  return static_cast<uint32_t>(random % (window + 1));
}

}  // namespace corral::core

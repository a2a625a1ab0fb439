// The cursor of a SCAN over the whole cluster, in one number below 2^53 (clients in JavaScript lose precision above).
//
//   bits 46..52  when the scan began, in periods of two minutes of the wall clock, modulo 128
//   bits 30..45  which master is being scanned: a tag of 16 bits made from its name; or kRelist
//   bits  0..29  that master's own cursor; with kRelist, the next slot to list again
//
// It holds all there is to know, so it needs no memory here and is the same for any proxy that sees the same masters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxy/core/slot_map.h"

namespace corral::core {

struct ScanCursor {
  static constexpr uint16_t kRelist = 0xFFFF;
  static constexpr uint64_t kMaxPosition = (1u << 30) - 1;
  static constexpr int64_t kPeriodUs = 120'000'000;

  uint16_t tag = 0;
  uint32_t position = 0;
  int64_t began_us = 0;  // the start of its period

  /// A scan that begins now, at the first master.
  static ScanCursor begin(int64_t now_us);
  /// Nothing if it is no cursor of ours.
  static std::optional<ScanCursor> decode(uint64_t number, int64_t now_us);
  uint64_t encode() const;
};

/// A master in the order of the scan.
struct ScanStop {
  uint16_t tag;  // unique, 1 ... 0xFFFE
  NodeId node;
};

/// The masters by tag. The same masters always have the same tags.
std::vector<ScanStop> scan_order(std::span<const SlotMap::Master> masters);

}  // namespace corral::core

// How many of the reads that miss the near cache are to fill it. A fill costs the node and the proxy more than the
// plain read that it replaces (two commands more, an invalidation some time), which only hits on it return. So hits
// earn fills: as long as they come, every miss may fill; where they do not, as in reads without locality, one of many
// is let through, to find out whether that has changed.
#pragma once

#include <cstdint>

namespace corral::policy {

class FillBudget {
 public:
  void on_hit() {
    if (hits_ < kMost) ++hits_;
  }
  /// Whether the next miss is to fill.
  bool take() {
    if (hits_ >= kHitsPerFill) {
      hits_ -= kHitsPerFill;
      return true;
    }
    // Those that are let through are spread so that no pattern of requests falls in with them (Weyl's sequence).
    spread_ += 0x9E3779B97F4A7C15u;
    return spread_ < UINT64_MAX / kOneOf;
  }

 private:
  static constexpr uint32_t kHitsPerFill = 3;  // what a fill costs more than a plain read, in what a hit saves
  static constexpr uint32_t kOneOf = 64;
  static constexpr uint32_t kAtFirst = 16 * 1024 * kHitsPerFill, kMost = 64 * kAtFirst;

  uint32_t hits_ = kAtFirst;  // not spent yet
  uint64_t spread_ = 0;
};

}  // namespace corral::policy

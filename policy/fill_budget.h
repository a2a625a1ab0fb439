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
  /// Whether the next miss is to fill. `random`: 64 random bits.
  bool take(uint64_t random) {
    if (!is_spent()) {
      hits_ -= kHitsPerFill;
      return true;
    }
    return random % kOneOf == 0;
  }
  /// Whether take() will look at its argument.
  bool is_spent() const { return hits_ < kHitsPerFill; }

 private:
  static constexpr uint32_t kHitsPerFill = 3;  // what a fill costs more than a plain read, in what a hit saves
  static constexpr uint32_t kOneOf = 64;
  static constexpr uint32_t kAtFirst = 16 * 1024 * kHitsPerFill, kMost = 64 * kAtFirst;

  uint32_t hits_ = kAtFirst;  // not spent yet
};

}  // namespace corral::policy

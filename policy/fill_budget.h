// How many of the reads that miss the near cache are to fill it. A fill costs the node and the proxy more than the
// plain read that it replaces (two commands more, over a connection of its own; an invalidation some time), which only
// hits on it return. So hits earn fills: as long as they come, every miss may fill; where they do not, as in reads
// without locality, one of many is let through, to find out whether that has changed.
//
// One of how many? Where nothing returns it, such a fill costs ten plain reads or so, as it shares its writes and
// wake-ups with few others: at one of 64 that was a tenth more CPU for every request, at one of 1024 it cannot be
// measured. And there is little to lose by it. Each hit earns a third of a fill, which earns as many hits as its key
// is worth, so hits grow exponentially, and the share matters only for where that begins. With an empty cache and
// nothing earned, keys that are asked for by Zipf's law give the same hit ratio with 64 and with 1024 from 15,000
// requests on. A hundred thousand keys that are asked for alike, the least of what can be called locality, take twice
// as many requests with 1024 (2,500,000). At 4096 both would be late. A cold cache is filled from what it has at first.
#pragma once

#include <algorithm>
#include <cstdint>

namespace corral::policy {

class FillBudget {
 public:
  void on_hits(uint32_t hits) { hits_ = std::min(hits_ + hits, kMost); }
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

  static constexpr uint32_t kHitsPerFill = 3;  // what a fill costs more than a plain read, in what a hit saves
  static constexpr uint32_t kOneOf = 1024;
  static constexpr uint32_t kFillsAtFirst = 16 * 1024;

 private:
  static constexpr uint32_t kMost = 64 * kFillsAtFirst * kHitsPerFill;

  uint32_t hits_ = kFillsAtFirst * kHitsPerFill;  // not spent yet
  uint64_t spread_ = 0;
};

}  // namespace corral::policy

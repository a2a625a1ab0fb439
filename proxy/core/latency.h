// How long things took: counted in buckets, which is cheap and enough to tell percentiles from.
//
// The buckets are log-linear, as in HdrHistogram (http://hdrhistogram.org): single microseconds up to 7, above that
// four for each doubling. So what is told of a time is at most a quarter too long. Only one thread adds; any may read.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "proxy/core/stats.h"

namespace corral::core {

/// A time in microseconds, which fits 32 bits (71 minutes), has one of these.
struct LatencyBuckets {
  static constexpr uint32_t kExact = 8;  // single microseconds
  static constexpr size_t kCount = kExact + 29 * 4;

  static constexpr size_t of(uint32_t us) {
    if (us < kExact) return us;
    const auto doubling = static_cast<uint32_t>(std::bit_width(us)) - 1;
    return kExact + (doubling - 3) * 4 + (us >> (doubling - 2) & 3);
  }
  /// All times in a bucket are below this.
  static constexpr uint64_t end_us(size_t bucket) {
    if (bucket < kExact) return bucket + 1;
    const uint64_t doubling = 3 + (bucket - kExact) / 4, part = (bucket - kExact) % 4;
    return (5 + part) << (doubling - 2);
  }
};

class LatencyHistogram {
 public:
  void add(uint32_t us, uint64_t times = 1) {
    buckets_[LatencyBuckets::of(us)].add(times);
    sum_us_.add(us * times);
  }
  void reset() {
    for (Counter& count : buckets_) count.subtract(count.get());
    sum_us_.subtract(sum_us_.get());
  }

 private:
  friend struct LatencyCounts;
  std::array<Counter, LatencyBuckets::kCount> buckets_;
  Counter sum_us_;
};

/// What histograms held at a moment, added up.
struct LatencyCounts {
  std::array<uint64_t, LatencyBuckets::kCount> buckets{};
  uint64_t sum_us = 0;

  void add(const LatencyHistogram& histogram);
  void add(const LatencyCounts& other);
  /// Takes off what was there earlier.
  void subtract(const LatencyCounts& earlier);
  uint64_t count() const;
  /// How many took less than 2^exponent microseconds; exact.
  uint64_t count_below_power(uint32_t exponent) const;
  /// The time that `share` of all took at most, the bucket's end; 0 if there is nothing.
  uint64_t quantile_us(double share) const;
};

}  // namespace corral::core

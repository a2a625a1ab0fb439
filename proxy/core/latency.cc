#include "proxy/core/latency.h"

namespace corral::core {

void LatencyCounts::add(const LatencyHistogram& histogram) {
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += histogram.buckets_[i].get();
  sum_us += histogram.sum_us_.get();
}

void LatencyCounts::add(const LatencyCounts& other) {
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  sum_us += other.sum_us;
}

void LatencyCounts::subtract(const LatencyCounts& earlier) {
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] -= earlier.buckets[i];
  sum_us -= earlier.sum_us;
}

uint64_t LatencyCounts::count() const {
  uint64_t sum = 0;
  for (const uint64_t count : buckets) sum += count;
  return sum;
}

uint64_t LatencyCounts::count_below_power(uint32_t exponent) const {
  uint64_t sum = 0;
  for (size_t i = 0; i < buckets.size() && LatencyBuckets::end_us(i) <= uint64_t{1} << exponent; ++i) sum += buckets[i];
  return sum;
}

uint64_t LatencyCounts::quantile_us(double share) const {
  const auto wanted = share * static_cast<double>(count());
  uint64_t sum = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    sum += buckets[i];
    if (sum > 0 && static_cast<double>(sum) >= wanted) return LatencyBuckets::end_us(i);
  }
  return 0;
}

}  // namespace corral::core

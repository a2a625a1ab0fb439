// Histograms of times: their buckets, what is told from them, and runs of replies.
#include "proxy/core/latency.h"

#include <gtest/gtest.h>

#include "fake_transport.h"
#include "proxy/core/reply_times.h"

namespace corral::core {
namespace {

constexpr uint16_t kId = 3;  // of any command

LatencyCounts counts_of(const LatencyHistogram& histogram) {
  LatencyCounts counts;
  counts.add(histogram);
  return counts;
}

TEST(LatencyBucketsTest, EachTimeIsInABucketThatEndsAboveItAndAtMostAQuarterAbove) {
  for (uint64_t us = 0; us <= UINT32_MAX; us = us < 100'000 ? us + 1 : us + us / 1000) {
    const size_t bucket = LatencyBuckets::of(static_cast<uint32_t>(us));
    ASSERT_LT(bucket, LatencyBuckets::kCount);
    ASSERT_LT(us, LatencyBuckets::end_us(bucket));
    ASSERT_LE(LatencyBuckets::end_us(bucket), us + us / 4 + 1) << us;
    ASSERT_GE(us, bucket == 0 ? 0 : LatencyBuckets::end_us(bucket - 1));
  }
  EXPECT_EQ(LatencyBuckets::of(UINT32_MAX), LatencyBuckets::kCount - 1);
}

TEST(LatencyHistogramTest, PowersOfTwoSeparateExactly) {
  LatencyHistogram histogram;
  for (const uint32_t us : {0, 1, 15, 16, 1023, 1024}) histogram.add(us);
  const LatencyCounts counts = counts_of(histogram);
  EXPECT_EQ(counts.count_below_power(0), 1u);
  EXPECT_EQ(counts.count_below_power(4), 3u);
  EXPECT_EQ(counts.count_below_power(10), 5u);
  EXPECT_EQ(counts.count_below_power(11), 6u);
  EXPECT_EQ(counts.count_below_power(32), 6u);
  EXPECT_EQ(counts.sum_us, 0u + 1 + 15 + 16 + 1023 + 1024);
}

TEST(LatencyHistogramTest, QuantilesAreTheEndsOfTheirBuckets) {
  LatencyHistogram histogram;
  EXPECT_EQ(counts_of(histogram).quantile_us(0.5), 0u);
  histogram.add(100, 98);
  histogram.add(5000);
  histogram.add(70'000);
  EXPECT_EQ(counts_of(histogram).quantile_us(0.5), LatencyBuckets::end_us(LatencyBuckets::of(100)));
  EXPECT_EQ(counts_of(histogram).quantile_us(0.99), LatencyBuckets::end_us(LatencyBuckets::of(5000)));
  EXPECT_EQ(counts_of(histogram).quantile_us(1), LatencyBuckets::end_us(LatencyBuckets::of(70'000)));
}

TEST(LatencyHistogramTest, WhatWasThereEarlierCanBeTakenOff) {
  LatencyHistogram histogram;
  histogram.add(10, 5);
  const LatencyCounts earlier = counts_of(histogram);
  histogram.add(2000, 3);
  LatencyCounts since = counts_of(histogram);
  since.subtract(earlier);
  EXPECT_EQ(since.count(), 3u);
  EXPECT_EQ(since.sum_us, 6000u);
}

TEST(ReplyTimesTest, ManyDifferentOnesAreAllCounted) {
  FakeTransport transport;
  TimesByGroup by_group;
  CommandTimes by_command;
  ReplyTimes times(transport, by_group, by_command);
  transport.clock = 100;
  for (uint32_t i = 0; i < 1000; ++i) times.add(ReplyTimes::who(i, CommandGroup::kRead, kId));
  for (uint32_t i = 0; i < 1000; ++i) times.add(ReplyTimes::who(7, CommandGroup::kLocal, kId));
  times.settle();
  EXPECT_FALSE(times.any());
  EXPECT_EQ(counts_of(by_group[static_cast<size_t>(CommandGroup::kRead)]).count(), 1000u);
  const LatencyCounts local = counts_of(by_group[static_cast<size_t>(CommandGroup::kLocal)]);
  EXPECT_EQ(local.count(), 1000u);
  EXPECT_EQ(local.sum_us, 1000u * (100'000 - 7));
}

TEST(CommandTimesTest, EachCommandIsCountedUnderItsNameUntilItIsReset) {
  CommandTimes times;
  const uint16_t get = resp::find_command("get")->id;
  const uint16_t id = resp::find_subcommand(*resp::find_command("client"), "id")->id;
  times.add(get, 100, 3);
  times.add(id, 7, 1);
  times.add(resp::kUnlistedCommand, 7, 1);
  std::map<std::string_view, LatencyCounts> sums;
  times.add_to(sums);
  times.add_to(sums);  // of another worker, say
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums.at("get").count(), 6u);
  EXPECT_EQ(sums.at("get").sum_us, 600u);
  EXPECT_EQ(sums.at("client|id").count(), 2u);
  times.reset();
  times.add(get, 5, 1);
  sums.clear();
  times.add_to(sums);
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums.at("get").count(), 1u);
}

TEST(ReplyTimesTest, AClockThatHasComeRoundMakesNoDifference) {
  FakeTransport transport;
  TimesByGroup by_group;
  CommandTimes by_command;
  ReplyTimes times(transport, by_group, by_command);
  transport.clock = (uint64_t{1} << 32) / 1000 + 1;  // its low half in us: 704
  times.add(ReplyTimes::who(UINT32_MAX - 99, CommandGroup::kRead, kId));
  times.settle();
  EXPECT_EQ(counts_of(by_group[0]).sum_us, transport.clock * 1000 - (uint64_t{1} << 32) + 100);
}

}  // namespace
}  // namespace corral::core

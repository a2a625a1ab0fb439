// What the samples of a process' counters come to.
#include "proxy/admin/history.h"

#include <gtest/gtest.h>

namespace corral::admin {
namespace {

Sample sample_at(uint64_t second, std::vector<std::pair<std::string_view, uint64_t>> totals) {
  Sample sample;
  sample.at_us = 5'000'000 + second * 1'000'000;
  sample.time_ms = static_cast<int64_t>(second * 1000);
  sample.totals = std::move(totals);
  return sample;
}

core::LatencyCounts times_of(uint32_t us, uint64_t count) {
  core::LatencyHistogram histogram;
  histogram.add(us, count);
  core::LatencyCounts counts;
  counts.add(histogram);
  return counts;
}

TEST(HistoryTest, RatesAndShares) {
  Sample before = sample_at(0, {{"requests", 100}, {"near_cache_hits", 10}, {"upstream_commands", 50}});
  Sample after = sample_at(2, {{"requests", 300},
                               {"near_cache_hits", 100},
                               {"near_cache_misses", 30},
                               {"reads_shared", 10},
                               {"upstream_commands", 150},
                               {"waits_filled", 4},
                               {"stale_served", 2}});
  before.errors = 5;
  after.errors = 6;
  const Figures figures = figures_between(before, after);
  EXPECT_EQ(figures.seconds, 2);
  EXPECT_EQ(figures.requests, 100);
  EXPECT_EQ(figures.answered_here, 50);
  EXPECT_EQ(figures.origin_saved, 3);
  EXPECT_EQ(figures.errors, 0.5);
  EXPECT_EQ(figures.hit_share, 0.75);
  EXPECT_EQ(figures.saved_share, 0.5) << "100 of 200 commands";
}

TEST(HistoryTest, WhatThereIsNothingToTellFromIsNotThere) {
  const Figures figures = figures_between(sample_at(0, {}), sample_at(1, {{"upstream_commands", 9}}));
  EXPECT_EQ(figures.requests, 0);
  EXPECT_FALSE(figures.hit_share || figures.saved_share || figures.p50_us || figures.p99_us);
  EXPECT_EQ(figures_between(sample_at(1, {}), sample_at(1, {})).seconds, 0);
  Sample reset = sample_at(0, {});
  reset.errors = 7;
  EXPECT_EQ(figures_between(reset, sample_at(1, {})).errors, 0) << "CONFIG RESETSTAT";
}

TEST(HistoryTest, PercentilesAreOfTheTimeBetweenAndWithoutWhatBlocks) {
  constexpr auto kRead = static_cast<size_t>(core::CommandGroup::kRead);
  constexpr auto kBlocking = static_cast<size_t>(core::CommandGroup::kBlocking);
  Sample before = sample_at(0, {}), after = sample_at(1, {});
  before.times[kRead] = times_of(1'000'000, 1000);
  after.times[kRead] = before.times[kRead];
  after.times[kRead].add(times_of(5, 98));
  after.times[kRead].add(times_of(7, 2));
  after.times[kBlocking] = times_of(60'000'000, 1000);
  const Figures figures = figures_between(before, after);
  EXPECT_EQ(figures.p50_us, 6u);
  EXPECT_EQ(figures.p99_us, 8u);
}

TEST(HistoryTest, KeepsAWindowAndAsManyPoints) {
  History history;
  EXPECT_TRUE(history.empty());
  constexpr uint64_t kSeconds = 1000;
  for (uint64_t second = 0; second < kSeconds; ++second) {
    history.add(sample_at(second, {{"requests", second * second}}));
    EXPECT_EQ(history.points().size(), std::min<uint64_t>(second, History::kKept));
  }
  EXPECT_EQ(history.window().seconds, History::kWindow);
  EXPECT_EQ(history.last_second().requests, 2 * (kSeconds - 1) - 1);
  EXPECT_EQ(history.points().back().figures.requests, history.last_second().requests);
  EXPECT_EQ(history.points().back().time_ms, (kSeconds - 1) * 1000);
  EXPECT_EQ(history.points().front().time_ms, (kSeconds - History::kKept) * 1000);
}

TEST(HistoryTest, OneSampleIsNoStretch) {
  History history;
  history.add(sample_at(0, {{"requests", 5}}));
  EXPECT_TRUE(history.points().empty());
  EXPECT_EQ(history.window().requests, 0);
  EXPECT_EQ(history.last_second().seconds, 0);
}

}  // namespace
}  // namespace corral::admin

// When the near cache is narrowed, and when it is widened again.
#include "policy/locality.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "support.h"

namespace corral::policy {
namespace {

constexpr uint32_t kBatch = 1024;

/// Reads until it turns, of which so many percent are found; `most` if it does not.
uint64_t reads_until_turn(Locality& locality, uint32_t found_percent, uint64_t most) {
  for (uint64_t reads = kBatch; reads < most; reads += kBatch) {
    if (locality.add({.looked = kBatch, .found = kBatch * found_percent / 100})) return reads;
  }
  return most;
}

/// The same where it is narrow: of a sample it is looked for.
uint64_t narrow_reads_until_turn(Locality& locality, uint32_t found_percent, uint32_t repeated_percent, uint64_t most) {
  constexpr uint32_t kReads = 8 * kBatch, kLooked = kReads / Locality::kSampleOf, kPassed = kReads - kLooked;
  for (uint64_t reads = kReads; reads < most; reads += kReads) {
    if (locality.add({.looked = kLooked,
                      .found = (kLooked * found_percent + 99) / 100,
                      .passed = kPassed,
                      .repeated = (kPassed * repeated_percent + 99) / 100})) {
      return reads;
    }
  }
  return most;
}

Locality narrowed() {
  Locality locality;
  reads_until_turn(locality, 0, 1u << 30);
  return locality;
}

TEST(Locality, NarrowsWhenHardlyAnythingIsFoundButNotBeforeTheCacheCouldBeFilled) {
  Locality locality;
  EXPECT_EQ(reads_until_turn(locality, 0, 1u << 30), Locality::kTrialWindows * Locality::kWindow);
  EXPECT_TRUE(locality.narrow());
}

TEST(Locality, StaysWideWhileThereIsMoreThanTheThreshold) {
  Locality locality;
  constexpr uint64_t kMost = 1u << 26;
  EXPECT_EQ(reads_until_turn(locality, Locality::kNarrowPercent + 1, kMost), kMost);
  EXPECT_FALSE(locality.narrow());
  EXPECT_LE(reads_until_turn(locality, 0, kMost), 2 * Locality::kWindow);
}

TEST(Locality, StaysNarrowBetweenTheThresholds) {
  Locality locality = narrowed();
  constexpr uint64_t kMost = 1u << 26;
  EXPECT_EQ(narrow_reads_until_turn(locality, Locality::kNarrowPercent + 1, 0, kMost), kMost);
}

TEST(Locality, WidensForWhatIsFoundInTheSampleOrForWhatIsRepeatedOutsideOfIt) {
  Locality found = narrowed(), repeated = narrowed();
  constexpr uint64_t kWindow = Locality::kNarrowWindows * Locality::kWindow;
  EXPECT_EQ(narrow_reads_until_turn(found, Locality::kWidenPercent + 1, 0, 1u << 30), kWindow);
  EXPECT_FALSE(found.narrow());
  EXPECT_EQ(narrow_reads_until_turn(repeated, 0, Locality::kWidenPercent + 1, 1u << 30), kWindow);
  EXPECT_FALSE(repeated.narrow());
}

TEST(Locality, WaitsTwiceAsLongAfterEachTrialThatCameToNothingUpToABound) {
  Locality locality = narrowed();
  constexpr uint64_t kWindow = Locality::kNarrowWindows * Locality::kWindow;
  constexpr uint64_t kBound = uint64_t{Locality::kMostNarrowWindows} * Locality::kWindow;
  for (uint64_t wait = kWindow; wait <= 4 * kBound; wait *= 2) {
    EXPECT_EQ(narrow_reads_until_turn(locality, 50, 0, 1u << 30), std::min(wait, kBound));
    reads_until_turn(locality, 0, 1u << 30);
  }
  narrow_reads_until_turn(locality, 50, 0, 1u << 30);
  reads_until_turn(locality, 50, uint64_t{Locality::kLongWindows + 1} * Locality::kWindow);
  reads_until_turn(locality, 0, 1u << 30);
  EXPECT_EQ(narrow_reads_until_turn(locality, 50, 0, 1u << 30), kWindow) << "one that did not forgets them";
}

TEST(Locality, ForgetsAllWhenStartedAnew) {
  Locality locality = narrowed();
  locality.start_anew();
  EXPECT_FALSE(locality.narrow());
  EXPECT_EQ(reads_until_turn(locality, 0, 1u << 30), Locality::kTrialWindows * Locality::kWindow);
}

TEST(Repeats, MeetsHotKeysAgainAndHardlyAnyOfMillions) {
  auto random = test::seeded_generator("Repeats");
  constexpr uint32_t kReads = 100'000;
  const auto percent_of = [&](uint64_t hot_percent) {
    Repeats repeats;
    uint32_t met = 0;
    for (uint32_t i = 0; i < kReads; ++i) {
      const uint64_t key = test::below(random, 100) < hot_percent ? 1 : 2 + test::below(random, 10'000'000);
      met += repeats.note(key * 0x9E3779B97F4A7C15u);
    }
    return 100.0 * met / kReads;
  };
  EXPECT_LT(percent_of(0), 1);
  EXPECT_GT(percent_of(20), 15);
}

}  // namespace
}  // namespace corral::policy

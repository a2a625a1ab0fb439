// Which misses fill the near cache: hardly any where nothing comes of it, and soon enough all where something does.
#include "policy/fill_budget.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "support.h"

namespace corral::policy {
namespace {

using test::below;

uint32_t fills_of(FillBudget& budget, uint32_t misses) {
  uint32_t fills = 0;
  for (uint32_t i = 0; i < misses; ++i) fills += budget.take();
  return fills;
}

FillBudget spent() {
  FillBudget budget;
  fills_of(budget, FillBudget::kFillsAtFirst);
  return budget;
}

/// A cache that keeps all, of this many keys.
class Cache {
 public:
  explicit Cache(size_t keys) : kept_(keys) {}

  /// The share of hits among `reads` of keys that `next` chooses.
  template <class F>
  double hit_ratio(FillBudget& budget, uint32_t reads, F&& next) {
    uint32_t hits = 0;
    for (uint32_t i = 0; i < reads; ++i) {
      const size_t key = next();
      if (kept_[key]) {
        budget.on_hits(1);
        ++hits;
      } else if (budget.take()) {
        kept_[key] = true;
      }
    }
    return static_cast<double>(hits) / reads;
  }

 private:
  std::vector<bool> kept_;
};

TEST(FillBudget, ColdCacheIsFilledByEveryMiss) {
  FillBudget budget;
  EXPECT_EQ(fills_of(budget, FillBudget::kFillsAtFirst), FillBudget::kFillsAtFirst);
}

TEST(FillBudget, WithoutHitsOneOfManyFills) {
  FillBudget budget = spent();
  constexpr uint32_t kFills = 1000;
  EXPECT_NEAR(fills_of(budget, kFills * FillBudget::kOneOf), kFills, 5);
}

// A client that reads a few keys in turn has each of them tried.
TEST(FillBudget, PatternOfRequestsDoesNotFallInWithThoseLetThrough) {
  for (const uint32_t period : {2u, 3u, 16u, 50u, 1024u}) {
    FillBudget budget = spent();
    std::vector<uint32_t> fills(period);
    constexpr uint32_t kFills = 20;
    for (uint32_t i = 0; i < kFills * FillBudget::kOneOf * period; ++i) fills[i % period] += budget.take();
    for (const uint32_t one : fills) EXPECT_NEAR(one, kFills, kFills / 2) << "of " << period;
  }
}

TEST(FillBudget, HitsEarnFills) {
  FillBudget budget = spent();
  constexpr uint32_t kFills = 1000;
  for (uint32_t i = 0; i < kFills * FillBudget::kHitsPerFill; ++i) budget.on_hits(1);
  EXPECT_EQ(fills_of(budget, kFills), kFills);
  EXPECT_LT(fills_of(budget, kFills), 5u);
}

// By Zipf's law, exponent 1: the number of a key is spread evenly over the logarithms.
TEST(FillBudget, LocalityIsFoundSoon) {
  auto random = test::seeded_generator("FillBudget.LocalityIsFoundSoon");
  constexpr size_t kKeys = 100'000;
  FillBudget budget = spent();
  Cache cache(kKeys);
  const auto next = [&] {
    const double part = std::uniform_real_distribution<double>(0, 1)(random);
    return static_cast<size_t>(std::pow(static_cast<double>(kKeys), part)) - 1;
  };
  cache.hit_ratio(budget, 45'000, next);  // after 15,000 it is so with 99 of 100 seeds
  EXPECT_GT(cache.hit_ratio(budget, 15'000, next), 0.5);
  cache.hit_ratio(budget, 600'000, next);
  EXPECT_GT(cache.hit_ratio(budget, 100'000, next), 0.9);
}

TEST(FillBudget, KeysAskedForAlikeThatFitAreAllKept) {
  auto random = test::seeded_generator("FillBudget.KeysAskedForAlikeThatFitAreAllKept");
  constexpr size_t kKeys = 100'000;
  FillBudget budget = spent();
  Cache cache(kKeys);
  const auto next = [&] { return below(random, kKeys); };
  cache.hit_ratio(budget, 3'000'000, next);
  EXPECT_GT(cache.hit_ratio(budget, 100'000, next), 0.95);
}

}  // namespace
}  // namespace corral::policy

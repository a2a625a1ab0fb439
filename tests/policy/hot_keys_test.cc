// Space-Saving against exact counts: its bounds at every moment, the ten hottest of a zipf stream, decay and sampling.
#include "policy/hot_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "policy/key_table.h"
#include "support.h"

namespace corral::policy {
namespace {

uint64_t hash_of(std::string_view key) { return KeyTable::hash(key); }

void add(HotKeys& hot, const std::string& key, uint32_t weight = 1) { hot.add(key, hash_of(key), weight); }

std::vector<std::string> names(const std::vector<HotKey>& keys) {
  std::vector<std::string> result;
  for (const HotKey& key : keys) result.push_back(key.key);
  return result;
}

// Numbers by zipf: number i is drawn in proportion to 1 / (i + 1)^s.
class Zipf {
 public:
  Zipf(size_t count, double s) : sums_(count) {
    for (size_t i = 0; i < count; ++i) sums_[i] = std::pow(static_cast<double>(i + 1), -s) + (i > 0 ? sums_[i - 1] : 0);
  }
  template <class Random>
  size_t draw(Random& random) const {
    const double at = std::generate_canonical<double, 53>(random) * sums_.back();
    return static_cast<size_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

TEST(HotKeysTest, FewKeysAreCountedExactly) {
  HotKeys hot(1000);
  for (int i = 0; i < 30; ++i) add(hot, "a");
  add(hot, "b", 10);
  add(hot, "c", 20);
  const auto top = hot.top(10, 3000);
  EXPECT_EQ(names(top), (std::vector<std::string>{"a", "c", "b"}));
  EXPECT_DOUBLE_EQ(top[0].reads_per_second, 15);
  EXPECT_DOUBLE_EQ(top[1].reads_per_second, 10);
  EXPECT_DOUBLE_EQ(top[2].error, 0);
  EXPECT_EQ(hot.top(2, 3000).size(), 2u);
  EXPECT_TRUE(HotKeys(0).top(10, 0).empty());
}

TEST(HotKeysTest, LongKeysAreCutAndToldApartAllTheSame) {
  HotKeys hot(0);
  const std::string start(1000, 'x');
  add(hot, start + "1", 2);
  add(hot, start + "2", 1);
  const auto top = hot.top(10, 1000);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_TRUE(top[0].cut);
  EXPECT_EQ(top[0].key, start.substr(0, HotKeys::kMostKeyBytes));
  EXPECT_DOUBLE_EQ(top[0].reads_per_second, 2);
}

// The exact counts, decayed as those of the sketch are.
struct Model {
  std::map<std::string, double> counts;
  double sum = 0;
  void add(const std::string& key, uint32_t weight) {
    counts[key] += weight;
    sum += weight;
  }
  void halve() {
    for (auto& [key, count] : counts) count /= 2;
    sum /= 2;
  }
};

TEST(HotKeysTest, BoundsHoldForEachKeyAtAnyTime) {
  auto random = test::seeded_generator("HotKeys");
  HotKeys hot(0);
  Model model;
  const Zipf zipf(50'000, 0.7);
  uint64_t now_ms = 0;
  for (int step = 0; step < 400'000; ++step) {
    // At times there are keys that never come again.
    const bool rare = step % 90'000 > 60'000;
    const std::string key = rare ? "once" + std::to_string(step) : std::to_string(zipf.draw(random));
    const uint32_t weight = 1 + static_cast<uint32_t>(test::below(random, 5));
    add(hot, key, weight);
    model.add(key, weight);
    if (step % 40'000 == 39'999) {
      now_ms += HotKeys::kHalfLifeMs;
      hot.decay(now_ms);
      model.halve();
    }
    if (step % 20'000 != 19'999) continue;
    double earlier_s = 0;
    for (uint64_t i = 0; i < now_ms; i += HotKeys::kHalfLifeMs)
      earlier_s = (earlier_s + HotKeys::kHalfLifeMs / 1000.0) / 2;
    const double seconds = std::max(earlier_s, 0.001);
    std::map<std::string, HotKey> told;
    for (const HotKey& one : hot.top(HotKeys::kCounters, now_ms)) told[one.key] = one;
    const double bound = model.sum / HotKeys::kCounters;
    for (const auto& [name, one] : told) {
      const double least = one.reads_per_second * seconds, error = one.error * seconds, truth = model.counts[name];
      ASSERT_LE(least, truth * 1.000001 + 1e-6) << name << " at step " << step;
      ASSERT_GE(least + error, truth * 0.999999 - 1e-6) << name << " at step " << step;
      ASSERT_LE(error, bound * 1.000001) << name << " at step " << step;
    }
    for (const auto& [name, truth] : model.counts) {
      ASSERT_TRUE(truth <= bound || told.contains(name)) << name << " has " << truth << " at step " << step;
    }
  }
}

// The ten hottest of `exact`, in order.
std::vector<std::string> ten_hottest(const std::vector<double>& exact) {
  std::vector<size_t> order(exact.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 10, order.end(),
                    [&](size_t a, size_t b) { return exact[a] > exact[b]; });
  std::vector<std::string> result;
  for (int i = 0; i < 10; ++i) result.push_back("key:" + std::to_string(order[static_cast<size_t>(i)]));
  return result;
}

// As a worker does it: 250,000 reads a second for half a minute, of which so many are sampled as at that rate.
TEST(HotKeysTest, TenHottestOfAZipfStreamOverAMillionKeysAreFoundInOrderWithinFivePercent) {
  std::mt19937_64 random(20260611);  // one in a thousand others is unlucky with its samples
  constexpr size_t kKeys = 1'000'000;
  constexpr uint64_t kReadsAMs = 250, kRunMs = 30'000;
  const Zipf zipf(kKeys, 0.99);
  std::vector<double> exact(kKeys, 0);
  HotKeys hot(0);
  ReadSampler sampler;
  double earlier_ms = 0;
  for (uint64_t now_ms = 0; now_ms < kRunMs; ++now_ms) {
    for (uint64_t i = 0; i < kReadsAMs; ++i) {
      const size_t number = zipf.draw(random);
      ++exact[number];
      if (sampler.due()) add(hot, "key:" + std::to_string(number), sampler.take(random()));
    }
    if (now_ms % 100 == 99) sampler.adapt(100 * kReadsAMs, 100);
    if (now_ms % HotKeys::kHalfLifeMs != HotKeys::kHalfLifeMs - 1) continue;
    hot.decay(now_ms + 1);
    for (double& count : exact) count /= 2;
    earlier_ms = (earlier_ms + HotKeys::kHalfLifeMs) / 2;
  }
  EXPECT_EQ(sampler.interval(), 5u);
  const auto top = hot.top(10, kRunMs);
  EXPECT_EQ(names(top), ten_hottest(exact));
  for (const HotKey& key : top) {
    const double truth = exact[std::stoul(key.key.substr(4))] / earlier_ms * 1000;
    EXPECT_NEAR(key.reads_per_second, truth, truth * 0.05) << key.key;
  }
}

TEST(HotKeysTest, WhereNoKeyIsHotNoneIsToldToBe) {
  auto random = test::seeded_generator("HotKeysUniform");
  HotKeys hot(0);
  for (int i = 0; i < 500'000; ++i) add(hot, std::to_string(test::below(random, 1'000'000)));
  for (const HotKey& key : hot.top(10, 1000)) EXPECT_LT(key.reads_per_second, 20) << key.key;
}

TEST(HotKeysTest, WhatWasHotIsForgottenAndRatesFollow) {
  HotKeys hot(0);
  for (uint64_t second = 0; second < 60; ++second) {
    add(hot, "old", 100);
    hot.decay(second * 1000);
  }
  EXPECT_NEAR(hot.top(1, 60'000)[0].reads_per_second, 100, 5);
  for (uint64_t second = 60; second < 180; ++second) {
    add(hot, "new", 100);
    hot.decay(second * 1000);
  }
  const auto top = hot.top(2, 180'000);
  EXPECT_EQ(top[0].key, "new");
  EXPECT_NEAR(top[0].reads_per_second, 100, 6);
  EXPECT_LT(top[1].reads_per_second, 1);
}

TEST(HotKeysTest, PartsOfSeveralWorkersAreAddedUp) {
  HotKeys a(0), b(0);
  add(a, "x", 10);
  add(a, "y", 6);
  add(b, "y", 7);
  const std::vector<std::vector<HotKey>> parts = {a.top(10, 1000), b.top(10, 1000)};
  const auto merged = merge_hot_keys(parts, 10);
  EXPECT_EQ(names(merged), (std::vector<std::string>{"y", "x"}));
  EXPECT_DOUBLE_EQ(merged[0].reads_per_second, 13);
  EXPECT_EQ(merge_hot_keys(parts, 1).size(), 1u);
}

TEST(ReadSamplerTest, FewCommandsAreAllSampled) {
  ReadSampler sampler;
  sampler.adapt(3000, 100);  // 30,000 a second
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(sampler.due());
    ASSERT_EQ(sampler.take(i), 1u);
  }
}

TEST(ReadSamplerTest, WeightsComeToTheNumberOfCommands) {
  auto random = test::seeded_generator("ReadSampler");
  ReadSampler sampler;
  double weights = 0;
  constexpr int kCommands = 2'000'000;
  for (int i = 0; i < kCommands; ++i) {
    if (i % 50'000 == 0) sampler.adapt(i / 50'000 % 2 == 0 ? 100'000 : 30'000, 100);
    if (sampler.due()) weights += sampler.take(random());
  }
  EXPECT_NEAR(weights, kCommands, kCommands * 0.01);
}

TEST(ReadSamplerTest, PatternsAreNotMissed) {
  auto random = test::seeded_generator("ReadSamplerPattern");
  ReadSampler sampler;
  sampler.adapt(16 * ReadSampler::kSamplesASecond, 1000);
  std::vector<double> counts(16, 0);
  for (size_t i = 0; i < 1'600'000; ++i) {
    if (sampler.due()) counts[i % 16] += sampler.take(random());
  }
  for (const double count : counts) EXPECT_NEAR(count, 100'000, 8'000);
}

}  // namespace
}  // namespace corral::policy

// The largest keys seen lately.
#include "policy/big_keys.h"

#include <gtest/gtest.h>

namespace corral::policy {
namespace {

constexpr uint64_t kKiB = 1024;

class BigKeysTest : public testing::Test {
 protected:
  void see(const std::string& key, uint64_t bytes, uint64_t now_ms = 0) {
    big.note(key, std::hash<std::string>()(key), bytes, 0, "get", now_ms);
  }
  std::vector<std::pair<std::string, uint64_t>> told() const {
    std::vector<std::pair<std::string, uint64_t>> result;
    for (const BigKey& key : big.keys()) result.emplace_back(key.key, key.bytes);
    return result;
  }
  BigKeys big;
};

using Told = std::vector<std::pair<std::string, uint64_t>>;

TEST_F(BigKeysTest, LargestComesFirstAndSmallOnesDoNot) {
  see("a", 20 * kKiB);
  see("b", 30 * kKiB);
  see("small", 10 * kKiB);
  EXPECT_EQ(told(), (Told{{"b", 30 * kKiB}, {"a", 20 * kKiB}}));
}

TEST_F(BigKeysTest, KeySeenAgainIsAsLargeAsItWasLast) {
  see("a", 20 * kKiB);
  see("b", 30 * kKiB);
  see("a", 40 * kKiB);
  see("b", 17 * kKiB);
  EXPECT_EQ(told(), (Told{{"a", 40 * kKiB}, {"b", 17 * kKiB}}));
}

TEST_F(BigKeysTest, OnlyTheLargestAreKept) {
  for (uint64_t i = 0; i < 100; ++i) see(std::to_string(i), (20 + i) * kKiB);
  EXPECT_EQ(big.keys().size(), BigKeys::kMost);
  EXPECT_EQ(told().front().first, "99");
  EXPECT_EQ(told().back().first, "68");
  EXPECT_EQ(big.least_bytes(), 88 * kKiB) << "smaller ones need not be noted";
}

TEST_F(BigKeysTest, WhatIsNotSeenForLongIsForgotten) {
  see("a", 20 * kKiB, 1000);
  see("b", 30 * kKiB, 2000);
  see("a", 20 * kKiB, 5000);
  big.forget(2000 + BigKeys::kForgetMs + 1);
  EXPECT_EQ(told(), (Told{{"a", 20 * kKiB}}));
  EXPECT_EQ(big.least_bytes(), BigKeys::kLeastBytes);
}

TEST_F(BigKeysTest, PartsOfSeveralWorkersAreMerged) {
  see("a", 20 * kKiB, 1);
  see("b", 50 * kKiB, 1);
  BigKeys other;
  other.note("b", std::hash<std::string>()("b"), 18 * kKiB, 0, "get", 2);
  other.note("c", std::hash<std::string>()("c"), 30 * kKiB, 7, "hgetall", 2);
  const auto merged = merge_big_keys(std::vector<std::vector<BigKey>>{big.keys(), other.keys()}, 2);
  ASSERT_EQ(merged.size(), 2u);
  EXPECT_EQ(merged[0].key, "c");
  EXPECT_EQ(merged[0].elements, 7u);
  EXPECT_EQ(merged[1].key, "a");
}

}  // namespace
}  // namespace corral::policy

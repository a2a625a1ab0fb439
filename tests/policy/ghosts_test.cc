// What is remembered of evicted entries, against a map from hash to time.
#include "policy/ghosts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "support.h"

namespace corral::policy {
namespace {

using test::below;

/// Hashes that fall into the first bucket of any table, each with a tag of its own.
uint32_t in_first_bucket(uint32_t i) { return i + 1; }

TEST(Ghosts, IsTakenOnce) {
  Ghosts ghosts;
  ghosts.add(77, 5, 6);
  EXPECT_EQ(ghosts.take(78), std::nullopt);
  EXPECT_EQ(ghosts.take(77), 5u);
  EXPECT_EQ(ghosts.take(77), std::nullopt);
}

TEST(Ghosts, AddedAgainHasTheLaterTime) {
  Ghosts ghosts;
  ghosts.add(77, 5, 6);
  ghosts.add(77, 9, 9);
  EXPECT_EQ(ghosts.take(77), 9u);
  EXPECT_EQ(ghosts.take(77), std::nullopt);
}

TEST(Ghosts, HashWhoseTagWouldBeZeroIsRemembered) {
  Ghosts ghosts;
  ghosts.add(0x12340000, 1, 2);
  EXPECT_EQ(ghosts.take(0x12340000), 1u);
}

TEST(Ghosts, FullBucketForgetsTheOneUsedLongestAgo) {
  Ghosts ghosts;
  for (uint32_t i = 0; i <= Ghosts::kBucketSize; ++i) ghosts.add(in_first_bucket(i), 100 + (i ^ 1), 200);
  EXPECT_EQ(ghosts.take(in_first_bucket(1)), std::nullopt);  // of time 100
  EXPECT_EQ(ghosts.take(in_first_bucket(0)), 101u);
  for (uint32_t i = 2; i <= Ghosts::kBucketSize; ++i) EXPECT_EQ(ghosts.take(in_first_bucket(i)), 100 + (i ^ 1)) << i;
}

TEST(Ghosts, TimeMayWrapAround) {
  Ghosts ghosts;
  for (uint32_t i = 0; i <= Ghosts::kBucketSize; ++i) ghosts.add(in_first_bucket(i), UINT32_MAX - 5 + i, 50);
  EXPECT_EQ(ghosts.take(in_first_bucket(0)), std::nullopt);
  EXPECT_EQ(ghosts.take(in_first_bucket(Ghosts::kBucketSize)), 4u);
}

TEST(Ghosts, GrowingForgetsNothing) {
  auto random = test::seeded_generator("Ghosts.GrowingForgetsNothing");
  Ghosts ghosts;
  std::map<uint32_t, uint32_t> known;
  for (int round = 0; round < 8; ++round) {
    const uint32_t hash = static_cast<uint32_t>(random());
    ghosts.add(hash, static_cast<uint32_t>(round), 100);
    known[hash] = static_cast<uint32_t>(round);
    const size_t bytes = ghosts.bytes_grown();
    ghosts.grow();
    EXPECT_EQ(ghosts.bytes(), bytes);
  }
  EXPECT_EQ(ghosts.capacity(), 256 * Ghosts::kBucketSize);
  for (const auto& [hash, time] : known) EXPECT_EQ(ghosts.take(hash), time);
}

// Each bucket as a list of what it holds: the model is exact but for two hashes of one bucket with the same low bits,
// which the hashes here avoid.
TEST(Ghosts, BehavesLikeBucketsOfLists) {
  auto random = test::seeded_generator("Ghosts.BehavesLikeBucketsOfLists");
  Ghosts ghosts;
  for (int i = 0; i < 3; ++i) ghosts.grow();
  std::vector<std::map<uint32_t, uint32_t>> model(8);  // time by hash
  for (uint32_t now = 0; now < 20000; ++now) {
    const uint32_t key = static_cast<uint32_t>(below(random, 200));
    const uint32_t hash = (key * 0x01000193U) << 16 | (key + 1);
    auto& bucket = model[hash >> 29];
    if (below(random, 3) == 0) {
      const auto known = bucket.find(hash);
      ASSERT_EQ(ghosts.take(hash), known == bucket.end() ? std::nullopt : std::optional(known->second));
      if (known != bucket.end()) bucket.erase(known);
      continue;
    }
    const auto older = [](const auto& a, const auto& b) { return a.second < b.second; };
    if (!bucket.contains(hash) && bucket.size() == Ghosts::kBucketSize) {
      bucket.erase(std::min_element(bucket.begin(), bucket.end(), older));
    }
    // Times need not come in order, but are told apart here, so that the oldest is one.
    uint32_t time = now * 8 + static_cast<uint32_t>(below(random, 8));
    if (below(random, 4) == 0) time /= 2;
    while (std::any_of(bucket.begin(), bucket.end(), [&](const auto& ghost) { return ghost.second == time; })) ++time;
    bucket[hash] = time;
    ghosts.add(hash, time, now * 8 + 100);
  }
}

}  // namespace
}  // namespace corral::policy

// What the eviction policy promises of scans, loops, bursts, and of entries that the caller takes away or that change
// their size. That it does what its header says in all cases is for eviction_model_test.cc.
#include "policy/eviction.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "eviction_cache.h"

namespace corral::policy {
namespace {

using Queue = EvictionNode::Queue;

TEST(Eviction, ScanLeavesTheHotSetAlone) {
  constexpr uint32_t kHot = 500, kScanned = 200'000;
  Cache cache(Cache::memory_for(1000), kHot + kScanned);
  for (int round = 0; round < 20; ++round) {
    for (uint32_t key = 0; key < kHot; ++key) cache.read(key);
    for (uint32_t key = 0; key < 100; ++key) cache.read(kHot + static_cast<uint32_t>(round) * 100 + key);
  }
  size_t misses = 0;
  for (uint32_t i = 2000; i < kScanned; ++i) {
    EXPECT_FALSE(cache.read(kHot + i));
    misses += !cache.read(i % kHot);
  }
  EXPECT_EQ(misses, 0u);
}

TEST(Eviction, OneScanInOneGoLeavesTheHotSetAlone) {
  constexpr uint32_t kHot = 500, kScanned = 100'000;
  Cache cache(Cache::memory_for(1000), kHot + kScanned);
  for (uint32_t i = 0; i < 20 * kHot; ++i) {
    cache.read(i % kHot);
    if (i % 5 == 0) cache.read(kHot + i);
  }
  for (uint32_t i = 20 * kHot; i < kScanned; ++i) cache.read(kHot + i);
  for (uint32_t key = 0; key < kHot; ++key) EXPECT_TRUE(cache.has(key)) << key;
}

double hit_ratio_of_loop(Cache& cache, uint32_t first, uint32_t length) {
  size_t hits = 0;
  for (int round = 0; round < 30; ++round) {
    for (uint32_t i = 0; i < length; ++i) hits += cache.read(first + i) && round >= 10;
  }
  return static_cast<double>(hits) / length / 20;
}

TEST(Eviction, LoopLongerThanTheCacheHitsWhatFits) {
  // Whether or not the loop is short enough for its ghosts to be remembered. An LRU and the original hit nothing.
  for (const uint32_t length : {1100u, 1500u, 2000u, 3000u, 10'000u}) {
    Cache cache(Cache::memory_for(1000), length);
    EXPECT_GT(hit_ratio_of_loop(cache, 0, length), 0.8 * 1000 / length) << length;
  }
}

TEST(Eviction, LoopAfterOtherWorkHitsToo) {
  for (const uint32_t length : {1100u, 1500u, 2000u}) {
    Cache cache(Cache::memory_for(1000), 20'000 + length);
    for (uint32_t i = 0; i < 100'000; ++i) cache.read(i * 7919 % 20'000 / (1 + i % 50));
    EXPECT_GT(hit_ratio_of_loop(cache, 20'000, length), 0.5 * 1000 / length) << length;
  }
}

TEST(Eviction, LoopLeavesTheHotSetAlone) {
  constexpr uint32_t kHot = 300, kLoop = 2000;
  Cache cache(Cache::memory_for(1000), kHot + kLoop);
  size_t misses = 0;
  for (uint32_t i = 0; i < 100'000; ++i) {
    const bool hit = cache.read(i % kHot);
    if (i > 5000) misses += !hit;
    cache.read(kHot + i % kLoop);
  }
  EXPECT_EQ(misses, 0u);
}

TEST(Eviction, NewHotSetReplacesTheOld) {
  constexpr uint32_t kHot = 700;
  Cache cache(Cache::memory_for(1000), 2 * kHot + 100'000);
  uint32_t other = 2 * kHot;
  const auto work = [&](uint32_t first, int rounds) {
    size_t hits = 0;
    for (int round = 0; round < rounds; ++round) {
      for (uint32_t i = 0; i < kHot; ++i) {
        hits += cache.read(first + i) && round == rounds - 1;
        if (i % 7 == 0) cache.read(other++);
      }
    }
    return hits;
  };
  EXPECT_EQ(work(0, 30), kHot);
  EXPECT_EQ(work(kHot, 30), kHot);
}

TEST(Eviction, GhostDoesNotWinWhereAllIsHot) {
  Cache cache(Cache::memory_for(700), 10'000);
  for (uint32_t key = 0; key < 700; ++key) cache.read(key);
  for (uint32_t key = 0; key < 700; ++key) {
    for (int i = 0; i < 3 && cache.queue(key) == Queue::kMain; ++i) cache.read(key);
  }
  for (uint32_t key = 1000; key < 1300; ++key)
    cache.read(key);  // 1000 goes again, used later than any in the main queue
  EXPECT_FALSE(cache.has(1000));
  cache.read(1000);
  EXPECT_EQ(cache.queue(1000), Queue::kSmall);
}

TEST(Eviction, BurstOfHitsRightAfterTheMissDoesNotCount) {
  Cache cache(Cache::memory_for(700), 10'000);
  for (uint32_t key = 0; key < 1000; ++key) cache.read(key);  // past the wide start
  cache.read(5000);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(cache.read(5000));
  EXPECT_EQ(cache.nodes[5000].hits, 0);
  for (uint32_t key = 1000; key < 1050; ++key) cache.read(key);
  EXPECT_TRUE(cache.read(5000));
  EXPECT_EQ(cache.nodes[5000].hits, 1);
  for (uint32_t key = 1050; key < 1200; ++key) cache.read(key);
  EXPECT_EQ(cache.queue(5000), Queue::kMain);
}

TEST(Eviction, InvalidatedEntryThatWasHitComesBackToTheMainQueue) {
  Cache cache(Cache::memory_for(700), 10'000);
  for (uint32_t key = 0; key < 1000; ++key) cache.read(key);
  cache.read(5000);
  cache.read(5001);
  for (uint32_t key = 1000; key < 1050; ++key) cache.read(key);
  cache.read(5000);
  cache.remove(5000);
  cache.remove(5001);
  EXPECT_FALSE(cache.has(5000));
  cache.read(5000);
  cache.read(5001);
  EXPECT_EQ(cache.queue(5000), Queue::kMain);
  EXPECT_EQ(cache.queue(5001), Queue::kSmall);
}

TEST(Eviction, NothingIsLeftWhenAllIsRemoved) {
  Cache cache(Cache::memory_for(100), 300);
  for (uint32_t i = 0; i < 1000; ++i) cache.read(i * i % 300);
  for (uint32_t key = 0; key < 300; ++key) {
    if (cache.has(key)) cache.remove(key);
  }
  EXPECT_EQ(cache.eviction.entries(), 0u);
  EXPECT_EQ(cache.eviction.bytes(), cache.eviction.ghost_bytes());
  EXPECT_EQ(cache.eviction.evict(), nullptr);
}

TEST(Eviction, EntryThatGrowsMakesOthersGo) {
  Cache cache(Cache::memory_for(100), 101);
  for (uint32_t key = 0; key < 100; ++key) cache.read(key);
  EXPECT_EQ(cache.eviction.entries(), 100u);
  cache.eviction.resize(cache.nodes[99], 11 * kEntryBytes);
  EXPECT_EQ(cache.evict().size(), 10u);
  EXPECT_LE(cache.eviction.bytes(), Cache::memory_for(100));
  cache.eviction.resize(cache.nodes[99], kEntryBytes);
  EXPECT_EQ(cache.eviction.evict(), nullptr);
  cache.read(100);
  EXPECT_EQ(cache.eviction.entries(), 91u);
}

TEST(Eviction, EntryLargerThanTheMemoryGoesAtOnceOrTakesTheOthersWithIt) {
  Cache cache(1000, 3);
  cache.read(0, 1001);
  EXPECT_EQ(cache.eviction.entries(), 0u);
  cache.read(1, 10);
  cache.read(2, 2000);
  EXPECT_FALSE(cache.has(2));
  EXPECT_LE(cache.eviction.bytes(), 1000u);
}

TEST(Eviction, GhostsOfSmallEntriesTakeASixteenthAtMost) {
  constexpr uint64_t kMemory = 1 << 20;
  Cache cache(kMemory, 100'000);
  for (uint32_t key = 0; key < 100'000; ++key) cache.read(key, 40);
  EXPECT_EQ(cache.eviction.ghost_bytes(), kMemory / 16);
  EXPECT_LE(cache.eviction.bytes(), kMemory);
  EXPECT_GT(cache.eviction.bytes(), kMemory - 40);
}

TEST(Eviction, TimeMayWrapAround) {
  Cache cache(Cache::memory_for(1000), 2000);
  // An entry as large as the memory that comes and goes makes some 4000 to 8000 of 2^32 units pass.
  EvictionNode large;
  for (int i = 0; i < 1'200'000; ++i) {
    cache.eviction.insert(large, 1, UINT32_MAX);
    cache.eviction.remove(large);
    if (i % 1000 == 0) {
      for (uint32_t key = 0; key < 20; ++key) cache.read(key);
    }
    if (i > 2000 && i % 1000 == 0) {
      for (uint32_t key = 0; key < 20; ++key) ASSERT_TRUE(cache.has(key));
    }
  }
  for (uint32_t i = 0; i < 100'000; ++i) {
    cache.read(100 + i % 1900);
    EXPECT_TRUE(cache.read(i % 20));
  }
}

}  // namespace
}  // namespace corral::policy

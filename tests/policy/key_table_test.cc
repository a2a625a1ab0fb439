// What the key table promises of single cases: sizes at the edges of blocks, what cannot fit, memory that is bounded
// and not touched before it is used, and walks. That it agrees with a map is for key_table_model_test.cc.
#include "policy/key_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CORRAL_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CORRAL_SANITIZED
#endif
#endif

namespace corral::policy {
namespace {

constexpr KeyRead kGet{1, 2, ""};

std::string contents(const KeyReply& reply) {
  std::string copy(reply.size(), '\0');
  reply.copy_to(copy.data());
  return copy;
}

/// The table with one shard, as a map from keys to replies to GET.
struct Store {
  explicit Store(uint64_t memory_bytes = 1 << 20) : table(memory_bytes), shard(table.shard_at(0)) {}

  KeyEntry* find(std::string_view key, uint16_t database = 0) { return shard.find(key, KeyTable::hash(key), database); }
  KeyEntry* insert(std::string_view key, std::string_view value, uint16_t database = 0) {
    return shard.insert(key, KeyTable::hash(key), database, kGet, value, 0, 0);
  }
  std::string get(std::string_view key, uint16_t database = 0) {
    KeyEntry* const entry = find(key, database);
    if (entry == nullptr) return "none";
    const KeyReply* const reply = KeyShard::find_reply(*entry, kGet);
    return reply == nullptr ? "no reply" : contents(*reply);
  }

  KeyTable table;
  KeyShard& shard;
};

std::string text(size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>('a' + (i * 7 + i / 26) % 26);
  return text;
}

std::string numbered(const char* name, size_t number) { return std::string(name).append(std::to_string(number)); }

TEST(KeyTable, KeysOfAllSizes) {
  Store store;
  const std::vector<size_t> sizes = {0, 1, 47, 48, 49, 52, 53, 171, 172, 173, 296, 297, 10'240};
  for (const size_t size : sizes) ASSERT_NE(store.insert(text(size), numbered("v", size)), nullptr);
  for (const size_t size : sizes) {
    EXPECT_EQ(store.get(text(size)), numbered("v", size));
    EXPECT_EQ(store.find(text(size))->key_size(), size);
    EXPECT_EQ(store.get(text(size) + "x"), "none");
    if (size != 0) {
      EXPECT_EQ(store.get(text(size - 1) + "#"), "none");
    }
  }
  std::set<std::string> seen;
  store.shard.for_each([&](KeyEntry&, std::string_view key) { return seen.emplace(key), false; });
  EXPECT_EQ(seen.size(), sizes.size());
  for (const size_t size : sizes) EXPECT_TRUE(seen.contains(text(size)));
}

TEST(KeyTable, KeysOfOneHashThatDifferOnlyInTheirLastByte) {
  Store store;
  for (const size_t size : {1, 48, 49, 172, 173, 1000}) {
    for (const char last : {'x', 'y'}) {
      const std::string key = text(size - 1) + last;
      ASSERT_NE(store.shard.insert(key, 5, 0, kGet, key, 0, 0), nullptr);
    }
    for (const char last : {'x', 'y'}) {
      const std::string key = text(size - 1) + last;
      EXPECT_EQ(contents(*KeyShard::find_reply(*store.shard.find(key, 5, 0), kGet)), key);
    }
    EXPECT_EQ(store.shard.find(text(size - 1) + 'z', 5, 0), nullptr);
  }
}

TEST(KeyTable, ValuesOfAllSizes) {
  for (size_t size = 0; size < 700; ++size) {
    for (const size_t args_size :
         {size_t{0}, size_t{1}, size_t{99}, size_t{100}, size_t{101}, size_t{224}, size % 300}) {
      Store store(64 << 10);
      const std::string args = text(args_size), value = text(size);
      KeyEntry* const entry = store.shard.insert("key", KeyTable::hash("key"), 0, {2, 3, args}, value, 77, 5);
      ASSERT_NE(entry, nullptr);
      const KeyReply* const reply = KeyShard::find_reply(*entry, {2, 3, args});
      ASSERT_NE(reply, nullptr);
      ASSERT_EQ(contents(*reply), value);
      EXPECT_EQ(reply->until_ms(), 77u);
      EXPECT_EQ(reply->flags(), 5u);
      EXPECT_EQ(KeyShard::find_reply(*entry, {2, 2, args}), nullptr);
      EXPECT_EQ(KeyShard::find_reply(*entry, {3, 3, args}), nullptr);
      EXPECT_EQ(KeyShard::find_reply(*entry, {2, 3, args + "x"}), nullptr);
      if (args_size != 0) {
        std::string other = args;
        other.back() = '#';
        EXPECT_EQ(KeyShard::find_reply(*entry, {2, 3, other}), nullptr);
      }
    }
  }
}

TEST(KeyTable, DatabasesAreApartButForInvalidations) {
  Store store;
  for (uint16_t database = 0; database < 16; ++database) store.insert("key", std::to_string(database), database);
  store.insert("other", "o");
  for (uint16_t database = 0; database < 16; ++database)
    EXPECT_EQ(store.get("key", database), std::to_string(database));
  EXPECT_EQ(store.get("key", 16), "none");
  EXPECT_EQ(store.shard.erase_all("key", KeyTable::hash("key")), 16u);
  EXPECT_EQ(store.shard.erase_all("key", KeyTable::hash("key")), 0u);
  EXPECT_EQ(store.shard.entries(), 1u);
  EXPECT_EQ(store.get("other"), "o");
}

TEST(KeyTable, OldestReplyGoesWhenThereAreTooMany) {
  Store store;
  KeyEntry* const entry = store.insert("hash", "whole");
  for (size_t i = 1; i < KeyShard::kMostReplies; ++i) {
    ASSERT_TRUE(store.shard.add_reply(*entry, {2, 2, std::to_string(i)}, "v", 0, 0));
  }
  EXPECT_NE(KeyShard::find_reply(*entry, kGet), nullptr);
  ASSERT_TRUE(store.shard.add_reply(*entry, {2, 2, "7"}, "again", 0, 0));
  EXPECT_NE(KeyShard::find_reply(*entry, kGet), nullptr);
  ASSERT_TRUE(store.shard.add_reply(*entry, {2, 2, "one more"}, "v", 0, 0));
  EXPECT_EQ(KeyShard::find_reply(*entry, kGet), nullptr);
  EXPECT_EQ(entry->replies(), KeyShard::kMostReplies);
  EXPECT_EQ(contents(*KeyShard::find_reply(*entry, {2, 2, "7"})), "again");
}

TEST(KeyTable, RepliesThatComeInPlaceOfOthersCostNoMoreThanThose) {
  Store store(64 << 10);
  KeyEntry* const entry = store.insert("key", "v");
  for (int i = 0; i < 50; ++i) store.insert(std::to_string(i), "v");
  const uint64_t bytes = store.shard.bytes();
  for (size_t i = 0; i < 10'000; ++i) {
    if (i % 1000 == 0) store.shard.drop_replies(*entry);
    ASSERT_TRUE(store.shard.add_reply(*entry, kGet, text(i % 2000), 0, 0));
    ASSERT_TRUE(store.shard.add_reply(*entry, {1, 3, ""}, text(i % 100), 0, 0));
  }
  store.shard.drop_replies(*entry);
  ASSERT_TRUE(store.shard.add_reply(*entry, kGet, "v", 0, 0));
  EXPECT_EQ(store.shard.bytes(), bytes);
  EXPECT_EQ(store.shard.evictions(), 0u);
}

TEST(KeyTable, WhatCannotFitMakesNothingElseGo) {
  Store store;
  for (int i = 0; i < 100; ++i) store.insert(std::to_string(i), "v");
  const std::string large(1 << 20, 'x');
  EXPECT_EQ(store.insert("large", large), nullptr);
  EXPECT_EQ(store.insert(large, "v"), nullptr);
  EXPECT_EQ(store.shard.insert(large, KeyTable::hash(large), 0), nullptr);
  EXPECT_EQ(store.shard.insert("args", KeyTable::hash("args"), 0, {1, 2, large}, "v", 0, 0), nullptr);
  EXPECT_EQ(store.shard.entries(), 100u);
  EXPECT_FALSE(store.shard.add_reply(*store.find("5"), {2, 2, ""}, large, 0, 0));
  EXPECT_EQ(store.get("5"), "none");
  EXPECT_EQ(store.shard.entries(), 99u);
  EXPECT_EQ(store.shard.evictions(), 0u);
}

TEST(KeyTable, NewcomerThatThePolicyWouldNotKeepIsRefused) {
  Store store;
  for (int i = 0; store.shard.evictions() == 0; ++i) store.insert(std::to_string(i), text(300));
  const size_t entries = store.shard.entries();
  EXPECT_EQ(store.insert("half", std::string(700'000, 'x')), nullptr);
  EXPECT_EQ(store.get("half"), "none");
  EXPECT_GT(store.shard.entries(), entries / 2);  // other newcomers went with it, but not the others
}

TEST(KeyTable, EntryThatGrowsIsRefusedWhenThePolicyLetsGoOfIt) {
  Store store;
  for (int i = 0; store.shard.evictions() < 10; ++i) store.insert(std::to_string(i), text(300));
  KeyEntry* const entry = store.insert("grows", "v");
  const uint64_t bytes = store.shard.bytes();
  EXPECT_FALSE(store.shard.add_reply(*entry, {2, 2, ""}, std::string(700'000, 'x'), 0, 0));
  EXPECT_EQ(store.get("grows"), "none");
  EXPECT_LT(store.shard.bytes(), bytes);
}

TEST(KeyTable, MemoryIsBoundedWhateverComes) {
  for (const uint64_t memory : {64u << 10, 100'000u, 1u << 20, 3u << 20, 40u << 20}) {
    for (const size_t size : {10u, 64u, 95u, 300u, 5000u, 30'000u}) {
      KeyTable table(memory);
      const std::string value = text(size);
      for (uint64_t i = 0; i < 2 * memory / (size + 200); ++i) {
        const std::string key = std::to_string(i % (memory / 300));
        const uint64_t hash = KeyTable::hash(key);
        if (table.shard(hash).find(key, hash, 0) == nullptr) table.shard(hash).insert(key, hash, 0, kGet, value, 0, 0);
      }
      uint64_t bytes = 0;
      for (size_t i = 0; i < table.shards(); ++i) bytes += table.shard_at(i).bytes();
      EXPECT_LE(bytes, memory) << size;
      if (memory >= 1 << 20) {
        EXPECT_GT(bytes, memory - memory / 10) << size;
      }
    }
  }
}

TEST(KeyTable, PlanTakesWhatThereIsButNoMore) {
  for (uint64_t memory = 64 << 10; memory < uint64_t{256} << 30; memory += memory / 3 + 4095) {
    const KeyShard::Plan plan = KeyShard::plan(memory);
    EXPECT_LE(plan.bytes, memory);
    EXPECT_GT(plan.bytes, memory - memory / 8);
    EXPECT_GT(plan.blocks * kBlockBytes, memory - memory / 6);
  }
}

TEST(KeyTable, AllBlocksAndAllGhostsTogetherAreWithinTheMemory) {
  for (const uint64_t memory : {64u << 10, 1u << 20, 1234567u, 3u << 20, 8u << 20}) {
    const KeyShard::Plan plan = KeyShard::plan(memory);
    KeyShard shard(plan);
    const uint64_t others = plan.lines * sizeof(TagIndex::Line) + plan.watches * sizeof(KeyWatch);
    for (uint64_t i = 0; i < memory / 50; ++i) {
      const std::string key = std::to_string(i);
      shard.insert(key, KeyTable::hash(key), 0, kGet, "v", 0, 0);
    }
    EXPECT_GT(shard.ghost_bytes(), memory / 50);
    const uint64_t bytes = sizeof(KeyShard) + BlockRegion::mapped_bytes(plan.blocks, others) + shard.ghost_bytes();
    EXPECT_EQ(bytes, plan.bytes);
    EXPECT_LE(bytes, memory);
  }
}

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(KeyTable, UnusedMemoryIsNotTouched) {
#ifdef CORRAL_SANITIZED
  GTEST_SKIP() << "the sanitizer keeps its own account of all memory";
#endif
  const uint64_t before = resident_bytes();
  KeyTable table(uint64_t{4} << 30);
  EXPECT_LT(resident_bytes() - before, 1u << 20);
  const std::string value = text(1000);
  for (int i = 0; i < 1000; ++i) {
    const std::string key = std::to_string(i);
    const uint64_t hash = KeyTable::hash(key);
    ASSERT_NE(table.shard(hash).insert(key, hash, 0, kGet, value, 0, 0), nullptr);
  }
  EXPECT_LT(resident_bytes() - before, 8u << 20);  // the index is spread, the blocks are not
}

TEST(KeyTable, WalkErasesWhatItIsToldTo) {
  Store store;
  for (int i = 0; i < 1000; ++i) store.insert(std::to_string(i), "v");
  store.shard.for_each([](KeyEntry&, std::string_view key) { return key.back() == '7'; });
  EXPECT_EQ(store.shard.entries(), 900u);
  EXPECT_EQ(store.get("7"), "none");
  size_t steps = 0;
  for (size_t at = store.shard.walk_length(); at != 0; ++steps) {
    at = store.shard.walk(at, 10, [](KeyEntry&, std::string_view) { return true; });
  }
  EXPECT_GT(steps, 50u);
  EXPECT_EQ(store.shard.entries(), 0u);
}

TEST(KeyTable, ShardsAndWatchesAreSpreadEvenly) {
  KeyTable table(64 << 20);
  ASSERT_EQ(table.shards(), 32u);
  std::vector<int> uses(table.shards());
  std::set<const KeyWatch*> watches;
  for (size_t i = 0; i < 32'000; ++i) {
    const uint64_t hash = KeyTable::hash(numbered("key:", i));
    for (size_t shard = 0; shard < table.shards(); ++shard) uses[shard] += &table.shard(hash) == &table.shard_at(shard);
    watches.insert(&table.shard(hash).watch(hash));
  }
  for (const int count : uses) EXPECT_NEAR(count, 1000, 200);
  EXPECT_GT(watches.size(), 3'000u);
}

TEST(KeyTable, WatchIsZeroAtFirstAndStays) {
  Store store;
  KeyWatch& watch = store.shard.watch(12345);
  EXPECT_EQ(watch.generation, 0u);
  watch.generation = 7;
  for (int i = 0; i < 10'000; ++i) store.insert(std::to_string(i), "v");
  EXPECT_EQ(&store.shard.watch(12345), &watch);
  EXPECT_EQ(watch.generation, 7u);
}

TEST(KeyTable, ThreadsMayUseItTogether) {
  KeyTable table(2 << 20);
  const auto work = [&](int first) {
    for (int i = 0; i < 20'000; ++i) {
      const std::string key = std::to_string((first + i * 7) % 9000);
      const uint64_t hash = KeyTable::hash(key);
      KeyShard& shard = table.shard(hash);
      shard.prefetch(hash);
      const std::lock_guard lock(shard.mutex());
      if (KeyEntry* const entry = shard.find(key, hash, 0)) {
        EXPECT_EQ(contents(*KeyShard::find_reply(*entry, kGet)), key);
        shard.hit(*entry);
      } else {
        shard.insert(key, hash, 0, kGet, key, 0, 0);
      }
    }
  };
  std::thread other(work, 4000);
  work(0);
  other.join();
}

}  // namespace
}  // namespace corral::policy

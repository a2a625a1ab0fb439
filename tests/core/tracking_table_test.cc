// Which clients have read which keys: against a naive model, and the table's bound.
#include "proxy/core/tracking_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support.h"

namespace corral::core {
namespace {

using Reader = TrackingTable::Reader;
using Readers = TrackingTable::Readers;

constexpr LinkKind kOne(3, 0, Tracking::kAll), kTwo(2, 0, Tracking::kNoLoop);

TEST(TrackingTable, WhoReadsTwiceIsTakenOnce) {
  TrackingTable table(10);
  table.add("key", 1, {7, kOne});
  table.add("key", 1, {7, kOne});
  table.add("key", 1, {8, kOne});
  EXPECT_EQ(table.keys(), 1u);
  EXPECT_EQ(table.items(), 2u);
  Readers out;
  table.take("key", kOne, 0, out);
  EXPECT_EQ(out, (Readers{{7, kOne}, {8, kOne}}));
  EXPECT_EQ(table.keys(), 0u);
  EXPECT_EQ(table.items(), 0u);
  table.take("key", kOne, 0, out);
  EXPECT_EQ(out.size(), 2u);
}

TEST(TrackingTable, OtherKindsOfLinksAndTheExceptionStay) {
  TrackingTable table(10);
  table.add("key", 1, {7, kOne});
  table.add("key", 1, {7, kTwo});
  table.add("key", 1, {8, kTwo});
  Readers out;
  table.take("key", kTwo, 7, out);
  EXPECT_EQ(out, (Readers{{8, kTwo}}));
  EXPECT_EQ(table.items(), 2u);
}

TEST(TrackingTable, TheKeyThatWasFirstReadLongestAgoIsEvicted) {
  TrackingTable table(2);
  Readers out;
  for (const char* key : {"a", "b", "a", "c"}) table.add(key, 1, {7, kOne});
  EXPECT_EQ(table.evict(out), "a");
  EXPECT_EQ(out, (Readers{{7, kOne}}));
  EXPECT_EQ(table.evict(out), "");
  EXPECT_EQ(table.keys(), 2u);
}

TEST(TrackingTable, AnyMixDoesWhatASetOfPairsDoes) {
  auto random = test::seeded_generator("TrackingTable");
  TrackingTable table(1000);
  std::set<std::pair<std::string, Reader>> model;
  const auto any_reader = [&] { return Reader{1 + random() % 5, random() % 2 ? kOne : kTwo}; };
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "key" + std::to_string(random() % 40);
    const auto slot = static_cast<uint16_t>(key.size() + static_cast<unsigned char>(key.back()));
    const Reader reader = any_reader();
    if (random() % 4 != 0) {
      table.add(key, slot, reader);
      model.insert({key, reader});
    } else if (random() % 10 != 0) {
      Readers out, expected;
      table.take(key, reader.kind, reader.client, out);
      std::erase_if(model, [&](const auto& pair) {
        const Reader& other = pair.second;
        if (pair.first != key || other.kind != reader.kind || other.client == reader.client) return false;
        expected.push_back(other);
        return true;
      });
      ASSERT_EQ(out, expected);
    } else {
      std::set<std::pair<std::string, Reader>> taken, expected;
      table.take_if([&](std::string_view, uint16_t its,
                        const Reader& its_reader) { return its == slot && its_reader.kind == reader.kind; },
                    [&](std::string_view its_key, const Reader& its_reader) {
                      taken.insert({std::string(its_key), its_reader});
                    });
      std::erase_if(model, [&](const auto& pair) {
        const auto its = static_cast<uint16_t>(pair.first.size() + static_cast<unsigned char>(pair.first.back()));
        if (its != slot || pair.second.kind != reader.kind) return false;
        expected.insert(pair);
        return true;
      });
      ASSERT_EQ(taken, expected);
    }
    std::set<std::string> keys;
    for (const auto& pair : model) keys.insert(pair.first);
    ASSERT_EQ(table.keys(), keys.size());
    ASSERT_EQ(table.items(), model.size());
  }
}

}  // namespace
}  // namespace corral::core

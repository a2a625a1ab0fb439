// The cursor of a SCAN over the cluster: one number below 2^53 and back, and the order of the masters.
#include "proxy/core/scan_cursor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "support.h"

namespace corral::core {
namespace {

constexpr int64_t kPeriod = ScanCursor::kPeriodUs;
constexpr int64_t kNow = 1'700'000'000'000'000;

TEST(ScanCursor, BeginIsTheStartOfThePeriodAndTheFirstMaster) {
  const ScanCursor cursor = ScanCursor::begin(5 * kPeriod + 17);
  EXPECT_EQ(cursor.began_us, 5 * kPeriod);
  EXPECT_EQ(cursor.tag, 0);
  EXPECT_EQ(cursor.position, 0u);
}

TEST(ScanCursor, DecodeOfEncodeGivesTheSameCursor) {
  auto random = test::seeded_generator("ScanCursor");
  for (int i = 0; i < 100'000; ++i) {
    ScanCursor cursor = ScanCursor::begin(kNow - static_cast<int64_t>(test::below(random, 127)) * kPeriod);
    cursor.tag = static_cast<uint16_t>(1 + test::below(random, 0xFFFF));
    cursor.position = static_cast<uint32_t>(random() & ScanCursor::kMaxPosition);
    const uint64_t number = cursor.encode();
    ASSERT_LT(number, uint64_t{1} << 53);
    const auto decoded = ScanCursor::decode(number, kNow);
    ASSERT_TRUE(decoded.has_value());
    ASSERT_EQ(decoded->tag, cursor.tag);
    ASSERT_EQ(decoded->position, cursor.position);
    ASSERT_EQ(decoded->began_us, cursor.began_us);
  }
}

TEST(ScanCursor, LargestFieldsStayBelowTwoToThe53) {
  ScanCursor cursor;
  cursor.began_us = 127 * kPeriod;
  cursor.tag = ScanCursor::kRelist;
  cursor.position = ScanCursor::kMaxPosition;
  EXPECT_EQ(cursor.encode(), (uint64_t{1} << 53) - 1);
}

TEST(ScanCursor, DecodeRefusesWhatItDidNotMake) {
  EXPECT_FALSE(ScanCursor::decode(uint64_t{1} << 53, kNow));
  EXPECT_FALSE(ScanCursor::decode(~uint64_t{0}, kNow));
  EXPECT_FALSE(ScanCursor::decode(17, kNow)) << "no master has tag 0";
  EXPECT_FALSE(ScanCursor::decode(0, kNow));
}

TEST(ScanCursor, DecodeFindsTheBeginningAcrossTheWrapOfThePeriodNumber) {
  // Begun in period 127, whose number is the largest; read in period 129, whose number is 1.
  ScanCursor cursor = ScanCursor::begin(127 * kPeriod);
  cursor.tag = 1;
  const auto decoded = ScanCursor::decode(cursor.encode(), 129 * kPeriod + 5);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->began_us, 127 * kPeriod);
}

TEST(ScanCursor, DecodeInTheSamePeriodIsNotTakenForTheLastRound) {
  ScanCursor cursor = ScanCursor::begin(kNow);
  cursor.tag = 1;
  const auto decoded = ScanCursor::decode(cursor.encode(), kNow + 1);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->began_us, cursor.began_us);
}

TEST(ScanCursor, DecodeAfter128PeriodsTakesTheLatestThatFits) {
  ScanCursor cursor = ScanCursor::begin(10 * kPeriod);
  cursor.tag = 1;
  const auto decoded = ScanCursor::decode(cursor.encode(), (10 + 128 + 3) * kPeriod);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->began_us, (10 + 128) * kPeriod);
}

std::vector<SlotMap::Master> masters_named(const std::vector<std::string>& names) {
  std::vector<SlotMap::Master> masters;
  for (const auto& name : names) masters.push_back({static_cast<NodeId>(masters.size()), name, 0, 1});
  return masters;
}

std::string random_name(std::mt19937_64& random) {
  std::string name;
  for (int i = 0; i < 40; ++i) name += "0123456789abcdef"[random() % 16];
  return name;
}

TEST(ScanOrder, TagsAreUniqueAscendingAndInRange) {
  auto random = test::seeded_generator("ScanOrder");
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(random_name(random));
  const auto stops = scan_order(masters_named(names));
  ASSERT_EQ(stops.size(), names.size());
  std::set<NodeId> nodes;
  uint32_t last = 0;
  for (const ScanStop& stop : stops) {
    EXPECT_GT(stop.tag, last);
    EXPECT_NE(stop.tag, ScanCursor::kRelist);
    last = stop.tag;
    nodes.insert(stop.node);
  }
  EXPECT_EQ(nodes.size(), names.size());
}

TEST(ScanOrder, SameMastersHaveTheSameTagsInWhateverOrderTheyAreTold) {
  auto random = test::seeded_generator("ScanOrder");
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i) names.push_back(random_name(random));
  const auto tags_of = [&names] {
    const auto masters = masters_named(names);
    std::map<std::string, uint16_t> tags;
    for (const ScanStop& stop : scan_order(masters)) tags[names[stop.node]] = stop.tag;
    return tags;
  };
  const auto before = tags_of();
  std::shuffle(names.begin(), names.end(), random);
  EXPECT_EQ(tags_of(), before);
}

TEST(ScanOrder, MastersWhoseNamesHashAlikeGetTagsOfTheirOwn) {
  // Two names with the same CRC16 are soon found among 40 hex digits.
  auto random = test::seeded_generator("ScanOrder");
  std::map<uint16_t, std::string> seen;
  std::vector<std::string> pair;
  while (pair.empty()) {
    const std::string name = random_name(random);
    const auto [it, is_new] = seen.try_emplace(resp::crc16(name), name);
    if (!is_new && it->second != name) pair = {it->second, name};
  }
  const auto stops = scan_order(masters_named(pair));
  ASSERT_EQ(stops.size(), 2u);
  EXPECT_EQ(stops[1].tag, stops[0].tag + 1);
  std::swap(pair[0], pair[1]);
  const auto swapped = scan_order(masters_named(pair));
  EXPECT_EQ(swapped[0].tag, stops[0].tag);
  EXPECT_NE(swapped[0].node, stops[0].node) << "by name, not by place";
}

TEST(ScanOrder, NoMastersGiveNoStops) { EXPECT_TRUE(scan_order({}).empty()); }

}  // namespace
}  // namespace corral::core

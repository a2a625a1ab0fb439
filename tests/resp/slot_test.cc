// Vectors: the CRC of the Redis Cluster specification, slots as CLUSTER KEYSLOT of a server answers them.
#include "resp/slot.h"

#include <gtest/gtest.h>

#include <string>

#include "resp/slot_tag.h"
#include "support.h"

namespace corral::test {
namespace {

uint16_t bitwise_crc16(std::string_view bytes) {
  uint16_t crc = 0;
  for (const char c : bytes) {
    crc = static_cast<uint16_t>(crc ^ (static_cast<unsigned char>(c) << 8));
    for (int bit = 0; bit < 8; ++bit) crc = static_cast<uint16_t>(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
  }
  return crc;
}

TEST(Slot, crc16_VectorOfSpecification_Matches) {
  EXPECT_EQ(resp::crc16("123456789"), 0x31C3);
  EXPECT_EQ(resp::crc16(""), 0);
}

TEST(Slot, crc16_RandomBytesOfEveryLength_AgreesWithBitwiseModel) {
  auto random = seeded_generator("Slot.crc16_RandomBytesOfEveryLength_AgreesWithBitwiseModel");
  GuardedBytes memory(4096);
  for (size_t length = 0; length < 300; ++length) {
    std::string bytes(length, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(resp::crc16({memory.hold(bytes), length}), bitwise_crc16(bytes)) << "length " << length;
  }
}

TEST(Slot, key_slot_PlainKeys_AsClusterKeyslot) {
  EXPECT_EQ(resp::key_slot("foo"), 12182);
  EXPECT_EQ(resp::key_slot("bar"), 5061);
  EXPECT_EQ(resp::key_slot("hello"), 866);
  EXPECT_EQ(resp::key_slot("123456789"), 12739);
  EXPECT_EQ(resp::key_slot(""), 0);
}

TEST(Slot, key_slot_WithTag_CountsTheTagOnly) {
  EXPECT_EQ(resp::key_slot("{user1000}.following"), resp::key_slot("user1000"));
  EXPECT_EQ(resp::key_slot("a{foo}b{bar}"), resp::key_slot("foo"));
  EXPECT_EQ(resp::key_slot("foo{{bar}}zap"), resp::key_slot("{bar"));
  EXPECT_EQ(resp::key_slot("}{foo}"), resp::key_slot("foo"));
}

TEST(Slot, key_slot_WithEmptyOrOpenTag_CountsTheWholeKey) {
  for (const std::string_view key : {"foo{}{bar}", "{}", "foo{bar", "foo}bar", "{"}) {
    EXPECT_EQ(resp::key_slot(key), bitwise_crc16(key) % resp::kSlots) << key;
  }
}

TEST(SlotTag, slot_tag_OfEverySlot_IsInItAndShort) {
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) {
    const std::string_view tag = resp::slot_tag(slot);
    ASSERT_EQ(resp::key_slot(tag), slot);
    ASSERT_LE(tag.size(), 4u);
    ASSERT_EQ(resp::key_slot(std::string("{").append(tag).append("}any{thing}")), slot);
  }
}

}  // namespace
}  // namespace corral::test

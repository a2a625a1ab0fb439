// What the workers share: the map and what changed in it, addresses and their numbers, commands learnt.
#include "proxy/core/process.h"

#include <gtest/gtest.h>

#include "resp/reply_builder.h"

namespace corral::core {
namespace {

constexpr uint16_t kHalf = resp::kSlots / 2;

ClusterView two_masters() {
  ClusterView view;
  view.nodes.push_back({"bbbb", {"10.0.0.2", 7000}, true});
  view.nodes.push_back({"aaaa", {"10.0.0.1", 7000}, true});
  view.nodes.push_back({"cccc", {"10.0.0.3", 7000}, false});
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) view.owner[slot] = slot < kHalf ? 1 : 0;
  return view;
}

struct ProcessTest : testing::Test {
  Process process{config::Settings{}, 2, 1000, std::string(40, 'f')};
  NodeId a() { return process.node_id({"10.0.0.1", 7000}); }
  NodeId b() { return process.node_id({"10.0.0.2", 7000}); }
};

TEST_F(ProcessTest, NodeIdIsAlwaysTheSameForAnAddress) {
  const NodeId first = process.node_id({"10.0.0.1", 7000});
  const NodeId other = process.node_id({"10.0.0.1", 7001});
  EXPECT_NE(first, other);
  EXPECT_EQ(process.node_id({"10.0.0.1", 7000}), first);
  EXPECT_EQ(process.node_address(other), (config::Address{"10.0.0.1", 7001}));
}

TEST_F(ProcessTest, NewProcessHasAMapInWhichNobodyOwnsAnything) {
  const SlotMapPtr map = process.slot_map();
  EXPECT_EQ(map->version, 0u);
  EXPECT_EQ(map->owner[0], kNoNode);
  EXPECT_TRUE(map->masters.empty());
}

TEST_F(ProcessTest, PublishedViewIsTheMapWithMastersByName) {
  const SlotMapPtr map = process.publish(two_masters(), 2000);
  ASSERT_TRUE(map);
  EXPECT_EQ(process.slot_map(), map);
  EXPECT_EQ(map->version, 1u);
  EXPECT_EQ(map->owner[0], a());
  EXPECT_EQ(map->owner[kHalf], b());
  ASSERT_EQ(map->masters.size(), 2u) << "a replica owns no slot";
  EXPECT_EQ(map->masters[0].name, "aaaa");
  EXPECT_EQ(map->masters[1].first_slot, kHalf);
  EXPECT_EQ(map->addresses.size(), 3u) << "the replica can be asked for the topology";
}

TEST_F(ProcessTest, PublishingTheSameViewAgainChangesNothing) {
  const SlotMapPtr map = process.publish(two_masters(), 2000);
  EXPECT_FALSE(process.publish(two_masters(), 3000));
  EXPECT_EQ(process.slot_map(), map);
  EXPECT_TRUE(process.slots_touched_since(0).empty());
}

TEST_F(ProcessTest, FirstMapTouchesNoSlot) {
  process.publish(two_masters(), 2000);
  EXPECT_TRUE(process.slots_touched_since(0).empty());
}

TEST_F(ProcessTest, PublishMoveChangesOneSlotAndNotesIt) {
  process.publish(two_masters(), 2000);
  const SlotMapPtr map = process.publish_move(5, b(), 3000);
  ASSERT_TRUE(map);
  EXPECT_EQ(map->version, 2u);
  EXPECT_EQ(map->owner[5], b());
  EXPECT_EQ(map->owner[6], a());
  EXPECT_EQ(map->masters[1].slots, kHalf + 1);
  EXPECT_EQ(map->masters[1].first_slot, 5);
  EXPECT_EQ(process.slots_touched_since(3000), std::vector<uint16_t>{5});
  EXPECT_TRUE(process.slots_touched_since(3001).empty());
}

TEST_F(ProcessTest, PublishMoveToTheOwnerChangesNothing) {
  process.publish(two_masters(), 2000);
  EXPECT_FALSE(process.publish_move(5, a(), 3000));
  EXPECT_TRUE(process.slots_touched_since(0).empty());
}

TEST_F(ProcessTest, PublishMoveToAnUnknownNodeMakesItAMaster) {
  process.publish(two_masters(), 2000);
  const NodeId fresh = process.node_id({"10.0.0.9", 7000});
  const SlotMapPtr map = process.publish_move(5, fresh, 3000);
  ASSERT_TRUE(map);
  ASSERT_EQ(map->masters.size(), 3u);
  EXPECT_EQ(map->masters[0].id, fresh) << "its name is not known yet";
  EXPECT_EQ(map->masters[0].slots, 1);
}

TEST_F(ProcessTest, MasterThatLosesItsLastSlotIsNoMasterAnyMore) {
  ClusterView view = two_masters();
  for (uint16_t slot = 1; slot < kHalf; ++slot) view.owner[slot] = 0;
  process.publish(view, 2000);
  const SlotMapPtr map = process.publish_move(0, b(), 3000);
  ASSERT_TRUE(map);
  ASSERT_EQ(map->masters.size(), 1u);
  EXPECT_EQ(map->masters[0].slots, resp::kSlots);
}

TEST_F(ProcessTest, SlotsTouchedAreThoseThatMovedOrAreOnTheirWaySinceThen) {
  process.publish(two_masters(), 2000);
  process.publish_move(9, b(), 3000);
  process.note_open_slot(7, 4000);
  ClusterView view = two_masters();
  view.owner[9] = 0;
  view.owner[3] = 0;
  view.owner[100] = ClusterView::kNobody;
  process.publish(view, 5000);
  EXPECT_EQ(process.slots_touched_since(3000), (std::vector<uint16_t>{3, 7, 9, 100}));
  EXPECT_EQ(process.slots_touched_since(3500), (std::vector<uint16_t>{3, 7, 100}));
  EXPECT_EQ(process.slots_touched_since(5000), (std::vector<uint16_t>{3, 100}));
  EXPECT_EQ(process.touched_known_since_us(), 1000);
}

std::unique_ptr<resp::UnlistedCommand> module_command() {
  std::string info;
  resp::append_array(info, 6);
  resp::append_bulk(info, "mod.get");
  resp::append_integer(info, 2);
  resp::append_array(info, 1);
  resp::append_simple(info, "readonly");
  resp::append_integer(info, 1);
  resp::append_integer(info, 1);
  resp::append_integer(info, 1);
  return resp::UnlistedCommand::from_command_info(resp::ReplyView(info));
}

TEST_F(ProcessTest, UnlistedCommandIsUnknownUntilItIsLearntAndThenStays) {
  bool known = true;
  EXPECT_EQ(process.unlisted("mod.get", 1, known), nullptr);
  EXPECT_FALSE(known);
  auto command = module_command();
  ASSERT_TRUE(command);
  process.learn_unlisted("mod.get", std::move(command), 1);
  const resp::CommandSpec* spec = process.unlisted("mod.get", 1'000'000'000'000, known);
  ASSERT_TRUE(known);
  ASSERT_NE(spec, nullptr);
  EXPECT_EQ(spec->name, "mod.get");
  process.learn_unlisted("mod.get", module_command(), 2);
  EXPECT_EQ(process.unlisted("mod.get", 3, known), spec) << "it is referred to and never replaced";
  process.learn_unlisted("mod.get", nullptr, 4);
  EXPECT_EQ(process.unlisted("mod.get", 5, known), spec);
}

TEST_F(ProcessTest, CommandThatTheUpstreamLacksIsAskedForAgainAfterAWhile) {
  bool known = false;
  process.learn_unlisted("nosuch", nullptr, 1'000'000);
  EXPECT_EQ(process.unlisted("nosuch", 2'000'000, known), nullptr);
  EXPECT_TRUE(known);
  EXPECT_EQ(process.unlisted("nosuch", 60'000'000, known), nullptr);
  EXPECT_FALSE(known);
}

TEST_F(ProcessTest, NamesThatTheUpstreamLacksAreForgottenBeforeTheyGrowTooMany) {
  bool known = false;
  process.learn_unlisted("mod.get", module_command(), 1);
  for (int i = 0; i < 5000; ++i) process.learn_unlisted("nosuch" + std::to_string(i), nullptr, 1);
  int remembered = 0;
  for (int i = 0; i < 5000; ++i) {
    process.unlisted("nosuch" + std::to_string(i), 1, known);
    remembered += known;
  }
  EXPECT_LE(remembered, 1024);
  EXPECT_NE(process.unlisted("mod.get", 1, known), nullptr);
}

TEST_F(ProcessTest, TotalsAreTheSumsOverTheWorkers) {
  process.board(0).stats.requests.add(3);
  process.board(1).stats.requests.add(4);
  process.board(0).clients = 2;
  process.board(1).clients = 5;
  EXPECT_EQ(process.clients(), 7u);
  const auto totals = process.totals();
  EXPECT_EQ(totals.front(), (std::pair<std::string_view, uint64_t>{"requests", 7}));
}

TEST_F(ProcessTest, ClientIdsBeginWithOneAndGrow) {
  EXPECT_EQ(process.next_client_id(), 1u);
  EXPECT_EQ(process.next_client_id(), 2u);
}

}  // namespace
}  // namespace corral::core

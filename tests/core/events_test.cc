// What happened, for people: what is told once, and how a change of the topology reads.
#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/core/event_log.h"
#include "proxy/core/process.h"
#include "stage.h"

namespace corral::core {
namespace {

using Texts = std::vector<std::string>;

Texts texts_of(const EventLog& log) {
  Texts texts;
  for (const LoggedEvent& event : log.events()) texts.push_back(std::string(name_of(event.kind)) + ": " + event.text);
  return texts;
}

TEST(EventLogTest, NewestComesFirstAndTheSameSoonAfterIsCountedOnly) {
  EventLog log;
  log.add(1'000'000, EventKind::kLink, true, "a");
  log.add(2'000'000, EventKind::kLink, false, "b");
  log.add(3'000'000, EventKind::kLink, true, "a");
  EXPECT_EQ(texts_of(log), (Texts{"link: a", "link: b"}));
  EXPECT_EQ(log.events()[0].times, 2u);
  EXPECT_EQ(log.events()[0].number, 3u);
  log.add(60'000'000, EventKind::kLink, true, "a");
  EXPECT_EQ(texts_of(log), (Texts{"link: a", "link: a", "link: b"}));
}

TEST(EventLogTest, KeepsTheLatestOnly) {
  EventLog log;
  for (int i = 0; i < 1000; ++i) log.add(i, EventKind::kTopology, false, std::to_string(i));
  EXPECT_EQ(log.events().size(), EventLog::kMostKept);
  EXPECT_EQ(log.events().front().text, "999");
}

// Masters A and B with half of the slots each, and replicas C and D.
class TopologyEventsTest : public testing::Test {
 protected:
  static constexpr size_t kHalf = resp::kSlots / 2;
  TopologyEventsTest() {
    view.nodes = {{"a", {"a", 1}, true, false},
                  {"b", {"b", 1}, true, false},
                  {"c", {"c", 1}, false, false},
                  {"d", {"d", 1}, false, false}};
    give(0, resp::kSlots, 1);
    give(0, kHalf, 0);
    process.publish(view, 0);
  }
  void give(size_t first, size_t end, uint16_t node) {
    for (size_t slot = first; slot < end; ++slot) view.owner[slot] = node;
  }
  Texts publish() {
    const size_t before = process.events().events().size();
    process.publish(view, 0);
    Texts texts = texts_of(process.events());
    texts.resize(texts.size() - before);
    return texts;
  }

  Process process{{}, 1, 0, "run"};
  ClusterView view;
};

TEST_F(TopologyEventsTest, TheFirstIsToldAsAWholeAndTheSameNotAgain) {
  EXPECT_EQ(texts_of(process.events()), Texts{"topology: the topology is known: 2 masters with slots"});
  EXPECT_EQ(publish(), Texts{});
}

TEST_F(TopologyEventsTest, NodesInAnotherOrderAreNoChange) {
  std::reverse(view.nodes.begin(), view.nodes.end());
  for (uint16_t& owner : view.owner) owner = static_cast<uint16_t>(3 - owner);
  EXPECT_EQ(process.publish(view, 0), nullptr);
  view.nodes[0].failed = true;
  EXPECT_NE(process.publish(view, 0), nullptr);
}

TEST_F(TopologyEventsTest, ReplicaThatTakesAllSlotsIsAFailover) {
  view.nodes[0].failed = true;
  give(0, kHalf, 2);
  EXPECT_EQ(publish(), (Texts{"topology: a:1 has failed, says the cluster",
                              "failover: c:1 is the master in place of a:1 (8192 slots)"}));
  view.nodes[0].failed = false;
  EXPECT_EQ(publish(), Texts{"topology: a:1 is back, says the cluster"});
}

TEST_F(TopologyEventsTest, FailoverIsOneAlsoIfASlotWasSeenToMoveBefore) {
  process.publish_move(5, process.node_id({"c", 1}), 0);
  give(0, kHalf, 2);
  EXPECT_EQ(publish(), Texts{"failover: c:1 is the master in place of a:1 (8192 slots)"});
}

TEST_F(TopologyEventsTest, SlotsThatMoveBetweenMastersAreNone) {
  process.publish_move(0, process.node_id({"b", 1}), 0);
  give(0, 1, 1);
  EXPECT_EQ(publish(), Texts{"topology: 1 slot moved from a:1 to b:1"});
  give(0, 100, ClusterView::kNobody);
  EXPECT_EQ(publish(),
            (Texts{"topology: 1 slot of b:1 have no owner now", "topology: 99 slots of a:1 have no owner now"}));
  give(0, 100, 0);
  EXPECT_EQ(publish(), Texts{"topology: 100 slots without an owner are now at a:1"});
}

TEST(LinkEventsTest, LossAndRecoveryAreToldOfSharedLinks) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(texts_of(stage.process.events()), Texts{"topology: the topology is known: 2 masters with slots"});
  stage.lose(kNodeA);
  stage.pass(100);
  stage.accept(kNodeA);
  EXPECT_EQ(texts_of(stage.process.events()),
            (Texts{"link: node 10.0.0.1:7001: connected again", "link: node 10.0.0.1:7001: reset by peer",
                   "topology: the topology is known: 2 masters with slots"}));
}

}  // namespace
}  // namespace corral::core

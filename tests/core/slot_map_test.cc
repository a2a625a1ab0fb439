// What CLUSTER SHARDS and CLUSTER SLOTS say, well formed and not, and the majority of several views.
#include "proxy/core/slot_map.h"

#include <gtest/gtest.h>

#include "resp/reply_builder.h"
#include "resp/reply_scanner.h"
#include "support.h"

namespace corral::core {
namespace {

const config::Address kSource{"10.0.0.9", 7009};

std::string bulk(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}
std::string integer(int64_t value) { return ':' + std::to_string(value) + "\r\n"; }
std::string list(const std::vector<std::string>& items) {
  std::string out = '*' + std::to_string(items.size()) + "\r\n";
  for (const auto& item : items) out += item;
  return out;
}
// Keys and values in turn.
std::string map(const std::vector<std::string>& items, int resp) {
  if (resp == 2) return list(items);
  return '%' + std::to_string(items.size() / 2) + "\r\n" + list(items).substr(list(items).find('\n') + 1);
}

struct NodeText {
  std::string id;
  std::string endpoint;  // as RESP
  int64_t port;
  std::string role = "master";
  std::string health = "online";
};

std::string shard(const std::vector<std::pair<int, int>>& ranges, const std::vector<NodeText>& nodes, int resp = 2) {
  std::vector<std::string> slots, entries;
  for (const auto& [first, last] : ranges) {
    slots.push_back(integer(first));
    slots.push_back(integer(last));
  }
  for (const auto& node : nodes) {
    entries.push_back(map({bulk("id"), bulk(node.id), bulk("port"), integer(node.port), bulk("ip"), bulk(""),
                           bulk("endpoint"), node.endpoint, bulk("role"), bulk(node.role), bulk("replication-offset"),
                           integer(72), bulk("health"), bulk(node.health)},
                          resp));
  }
  return map({bulk("slots"), list(slots), bulk("nodes"), list(entries)}, resp);
}

std::optional<ClusterView> shards(const std::string& bytes, bool tls = false) {
  return parse_cluster_shards(resp::ReplyView(bytes), kSource, tls);
}
std::optional<ClusterView> slots(const std::string& bytes) {
  return parse_cluster_slots(resp::ReplyView(bytes), kSource);
}

TEST(ClusterShards, NodesAndRangesAreReadFromArraysAndFromMaps) {
  for (const int resp : {2, 3}) {
    const auto view =
        shards(list({shard({{0, 99}, {200, 299}},
                           {{"m1", bulk("10.0.0.1"), 7001}, {"r1", bulk("10.0.0.2"), 7002, "replica"}}, resp),
                     shard({{100, 199}}, {{"m2", bulk("10.0.0.3"), 7003}}, resp)}));
    ASSERT_TRUE(view) << "RESP" << resp;
    ASSERT_EQ(view->nodes.size(), 3u);
    EXPECT_EQ(view->nodes[0].name, "m1");
    EXPECT_EQ(view->nodes[0].address, (config::Address{"10.0.0.1", 7001}));
    EXPECT_TRUE(view->nodes[0].master);
    EXPECT_FALSE(view->nodes[1].master);
    EXPECT_EQ(view->owner[0], 0);
    EXPECT_EQ(view->owner[99], 0);
    EXPECT_EQ(view->owner[100], 2);
    EXPECT_EQ(view->owner[299], 0);
    EXPECT_EQ(view->owner[300], ClusterView::kNobody);
  }
}

TEST(ClusterShards, NodeWithoutAnEndpointIsAtTheHostThatWasAsked) {
  for (const std::string& endpoint : {bulk(""), bulk("?"), std::string("$-1\r\n"), std::string("_\r\n")}) {
    const auto view = shards(list({shard({{0, 0}}, {{"m", endpoint, 7001}})}));
    ASSERT_TRUE(view);
    EXPECT_EQ(view->nodes.at(0).address, (config::Address{"10.0.0.9", 7001})) << endpoint;
  }
}

TEST(ClusterShards, HostnameAsEndpointIsTheAddress) {
  const auto view = shards(list({shard({{0, 0}}, {{"m", bulk("redis-1.example.org"), 7001}})}));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->nodes.at(0).address.host, "redis-1.example.org");
}

TEST(ClusterShards, TlsPortStandsInForAMissingPort) {
  const std::string node = list({bulk("id"), bulk("m"), bulk("tls-port"), integer(7443), bulk("endpoint"),
                                 bulk("10.0.0.1"), bulk("role"), bulk("master")});
  const auto view = shards(list({list({bulk("slots"), list({integer(0), integer(1)}), bulk("nodes"), list({node})})}));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->nodes.at(0).address.port, 7443);
}

TEST(ClusterShards, OfTwoPortsTheOneThatIsSpokenIsTaken) {
  const auto with_ports = [](const std::vector<std::string>& ports) {
    std::vector<std::string> node = {bulk("id"),       bulk("m"),    bulk("endpoint"),
                                     bulk("10.0.0.1"), bulk("role"), bulk("master")};
    node.insert(node.end(), ports.begin(), ports.end());
    return list({list({bulk("slots"), list({integer(0), integer(1)}), bulk("nodes"), list({list(node)})})});
  };
  const std::string both = with_ports({bulk("port"), integer(7001), bulk("tls-port"), integer(7443)});
  EXPECT_EQ(shards(both, false).value().nodes.at(0).address.port, 7001);
  EXPECT_EQ(shards(both, true).value().nodes.at(0).address.port, 7443);
  EXPECT_EQ(shards(with_ports({bulk("port"), integer(7001)}), true).value().nodes.at(0).address.port, 7001);
}

TEST(ClusterShards, FailedMasterDoesNotOwnTheSlotsOfItsSuccessor) {
  const NodeText dead{"old", bulk("10.0.0.1"), 7001, "master", "fail"};
  const NodeText alive{"new", bulk("10.0.0.2"), 7002};
  for (const bool dead_first : {true, false}) {
    const auto view = shards(list({shard({{0, 9}}, dead_first ? std::vector{dead, alive} : std::vector{alive, dead})}));
    ASSERT_TRUE(view);
    ASSERT_EQ(view->nodes.size(), 2u);
    EXPECT_EQ(view->nodes.at(view->owner[5]).name, "new") << "dead first: " << dead_first;
  }
}

TEST(ClusterShards, FailedMasterWithoutASuccessorOwnsItsSlots) {
  const auto view = shards(list({shard(
      {{0, 9}}, {{"old", bulk("10.0.0.1"), 7001, "master", "fail"}, {"rep", bulk("10.0.0.2"), 7002, "replica"}})}));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->nodes.at(view->owner[5]).name, "old");
}

TEST(ClusterShards, ShardWithoutAMasterOwnsNothing) {
  const auto view = shards(list({shard({{0, 9}}, {{"rep", bulk("10.0.0.2"), 7002, "replica"}})}));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->owner[5], ClusterView::kNobody);
  EXPECT_EQ(view->nodes.size(), 1u);
}

TEST(ClusterShards, NodeWithAnImpossiblePortIsLeftOut) {
  for (const int64_t port : {int64_t{0}, int64_t{-1}, int64_t{65536}, int64_t{1} << 40}) {
    const auto view = shards(list({shard({{0, 9}}, {{"m", bulk("10.0.0.1"), port}})}));
    ASSERT_TRUE(view);
    EXPECT_TRUE(view->nodes.empty());
    EXPECT_EQ(view->owner[5], ClusterView::kNobody);
  }
}

TEST(ClusterShards, RangesThatAreNoSlotsMakeTheReplyInvalid) {
  const std::vector<NodeText> node{{"m", bulk("10.0.0.1"), 7001}};
  EXPECT_TRUE(shards(list({shard({{0, 16383}}, node)})));
  EXPECT_FALSE(shards(list({shard({{0, 16384}}, node)})));
  EXPECT_FALSE(shards(list({shard({{-1, 5}}, node)})));
  EXPECT_FALSE(shards(list({shard({{7, 5}}, node)})));
}

TEST(ClusterShards, OtherRepliesAreNoTopology) {
  EXPECT_FALSE(shards("-ERR unknown subcommand\r\n"));
  EXPECT_FALSE(shards("+OK\r\n"));
  EXPECT_FALSE(shards(":1\r\n"));
  EXPECT_FALSE(shards("$-1\r\n"));
}

std::string slots_entry(int64_t first, int64_t last, const std::vector<std::string>& nodes) {
  std::vector<std::string> parts{integer(first), integer(last)};
  parts.insert(parts.end(), nodes.begin(), nodes.end());
  return list(parts);
}
std::string slots_node(const std::string& host, int64_t port, std::string_view name) {
  return list({host, integer(port), bulk(name), list({})});
}

TEST(ClusterSlots, FirstNodeOfARangeIsItsOwner) {
  const std::string m1 = slots_node(bulk("10.0.0.1"), 7001, "m1"), m2 = slots_node(bulk("10.0.0.2"), 7002, "m2");
  const auto view =
      slots(list({slots_entry(0, 99, {m1, m2}), slots_entry(100, 199, {m2}), slots_entry(300, 300, {m1})}));
  ASSERT_TRUE(view);
  ASSERT_EQ(view->nodes.size(), 2u) << "a node told twice is one";
  EXPECT_EQ(view->nodes[view->owner[0]].name, "m1");
  EXPECT_EQ(view->nodes[view->owner[150]].name, "m2");
  EXPECT_EQ(view->nodes[view->owner[300]].address, (config::Address{"10.0.0.1", 7001}));
  EXPECT_EQ(view->owner[200], ClusterView::kNobody);
}

TEST(ClusterSlots, NodeWithoutAnAddressIsAtTheHostThatWasAsked) {
  for (const std::string& host : {bulk(""), bulk("?"), std::string("$-1\r\n")}) {
    const auto view = slots(list({slots_entry(0, 1, {slots_node(host, 7001, "m")})}));
    ASSERT_TRUE(view);
    EXPECT_EQ(view->nodes.at(0).address, (config::Address{"10.0.0.9", 7001}));
  }
}

TEST(ClusterSlots, NodeOfAnOldServerWithoutANameIsNamedByItsAddress) {
  const auto view = slots(list({slots_entry(0, 1, {list({bulk("10.0.0.1"), integer(7001)})})}));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->nodes.at(0).name, "10.0.0.1:7001");
}

TEST(ClusterSlots, MalformedRepliesAreNoTopology) {
  const std::string node = slots_node(bulk("10.0.0.1"), 7001, "m");
  EXPECT_FALSE(slots("-ERR This instance has cluster support disabled\r\n"));
  EXPECT_FALSE(slots(list({slots_entry(0, 16384, {node})})));
  EXPECT_FALSE(slots(list({slots_entry(5, 4, {node})})));
  EXPECT_FALSE(slots(list({list({bulk("x"), integer(1), node})})));
  EXPECT_FALSE(slots(list({slots_entry(0, 1, {slots_node(bulk("10.0.0.1"), 0, "m")})})));
  EXPECT_FALSE(slots(list({slots_entry(0, 1, {bulk("m")})})));
}

// Replaces parts of a good reply at random; what is still a whole reply must be read without harm.
TEST(ClusterTopology, MutilatedRepliesNeverCrash) {
  auto random = test::seeded_generator("ClusterTopology");
  const std::string node = slots_node(bulk("10.0.0.1"), 7001, "m");
  const std::vector<std::string> good{
      list({shard({{0, 99}, {200, 299}}, {{"m1", bulk("10.0.0.1"), 7001}, {"r1", "$-1\r\n", 7002, "replica"}})}),
      list({shard({{0, 99}}, {{"m1", bulk("10.0.0.1"), 7001}}, 3), shard({{100, 16383}}, {{"m2", "_\r\n", 1}}, 3)}),
      list({slots_entry(0, 99, {node, node}), slots_entry(100, 199, {node})})};
  const std::vector<std::string> pieces{"*0\r\n", "*-1\r\n",    "$-1\r\n",  "_\r\n",        ":-5\r\n", ":99999\r\n",
                                        "+x\r\n", "$0\r\n\r\n", "-ERR\r\n", "*1\r\n:1\r\n", "%0\r\n",  ":16383\r\n"};
  int whole = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes = good[test::below(random, good.size())];
    for (size_t n = 1 + test::below(random, 3); n > 0; --n) {
      // One element, from the start of a line to the end of one, gives way to a piece.
      const size_t from = bytes.find('\n', test::below(random, bytes.size())) + 1;
      const size_t to = bytes.find('\n', from + test::below(random, 20));
      if (from == 0 || to == std::string::npos) continue;
      bytes.replace(from, to + 1 - from, pieces[test::below(random, pieces.size())]);
    }
    resp::ReplyScanner scanner;
    if (scanner.scan(bytes.data(), bytes.size()) != resp::ScanStatus::kFrame) continue;
    bytes.resize(scanner.consumed());
    ++whole;
    for (const auto& view : {shards(bytes), slots(bytes)}) {
      if (!view) continue;
      for (const uint16_t owner : view->owner) ASSERT_TRUE(owner == ClusterView::kNobody || owner < view->nodes.size());
    }
  }
  EXPECT_GT(whole, 1000);
}

/// A view in which `owner` (a name) owns slot 0 and nobody the others; no name: nobody.
ClusterView view_of(const std::string& owner) {
  ClusterView view;
  if (owner.empty()) return view;
  view.nodes.push_back({"filler", {"10.0.1.1", 1}, true});
  view.nodes.push_back({owner, {owner, 7000}, true});
  view.owner[0] = 1;
  return view;
}

std::string winner(const std::vector<std::string>& owners) {
  std::vector<ClusterView> views;
  for (const auto& owner : owners) views.push_back(view_of(owner));
  const ClusterView result = majority(views);
  return result.owner[0] == ClusterView::kNobody ? "" : result.nodes.at(result.owner[0]).name;
}

TEST(Majority, OfOneViewIsThatView) {
  EXPECT_EQ(winner({"a"}), "a");
  EXPECT_EQ(winner({""}), "");
}

TEST(Majority, TakesTheOwnerThatMostViewsName) {
  EXPECT_EQ(winner({"a", "b", "b"}), "b");
  EXPECT_EQ(winner({"b", "a", "b"}), "b");
  EXPECT_EQ(winner({"a", "", ""}), "") << "nobody is an answer too";
}

TEST(Majority, OfEqualsTakesTheOneNamedFirst) {
  EXPECT_EQ(winner({"a", "b"}), "a");
  EXPECT_EQ(winner({"b", "a"}), "b");
  EXPECT_EQ(winner({"c", "a", "b", "b", "a"}), "a");
}

TEST(Majority, OfNoViewsIsNobody) { EXPECT_EQ(majority({}).owner[0], ClusterView::kNobody); }

TEST(Majority, MergesNodesByNameAndKeepsThoseWithoutSlots) {
  const ClusterView result = majority(std::vector{view_of("a"), view_of("b"), view_of("a")});
  EXPECT_EQ(result.nodes.size(), 3u);
}

TEST(Majority, OfMoreThanSixteenViewsCountsAll) {
  std::vector<std::string> owners(8, "a");
  owners.insert(owners.end(), 12, "b");
  EXPECT_EQ(winner(owners), "b");
}

TEST(Majority, OfMoreThanSixteenCandidatesCountsAll) {
  std::vector<std::string> owners;
  for (char c = 'a'; c < 'a' + 16; ++c) owners.emplace_back(1, c);
  owners.insert(owners.end(), 2, "z");
  EXPECT_EQ(winner(owners), "z");
}

TEST(SlotMapCount, TellsFirstSlotAndNumberAndDropsMastersWithoutSlots) {
  SlotMap map;
  map.masters = {{3, "c", 9, 9}, {4, "d", 9, 9}, {5, "e", 9, 9}};
  map.owner[10] = map.owner[11] = map.owner[16383] = 5;
  map.owner[0] = 3;
  map.count_slots();
  ASSERT_EQ(map.masters.size(), 2u);
  EXPECT_EQ(map.masters[0].id, 3);
  EXPECT_EQ(map.masters[0].first_slot, 0);
  EXPECT_EQ(map.masters[0].slots, 1);
  EXPECT_EQ(map.masters[1].id, 5);
  EXPECT_EQ(map.masters[1].first_slot, 10);
  EXPECT_EQ(map.masters[1].slots, 3);
}

TEST(SlotMapCount, OneMasterMayOwnEverySlot) {
  SlotMap map;
  map.masters = {{0, "a", 0, 0}};
  map.owner.fill(0);
  map.count_slots();
  EXPECT_EQ(map.masters.at(0).slots, resp::kSlots);
}

}  // namespace
}  // namespace corral::core

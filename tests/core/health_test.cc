// Nodes that do not answer: given up and probed, found again, and connections that are half-open.
#include "proxy/core/health.h"

#include <gtest/gtest.h>

#include "faulty_nodes.h"
#include "proxy/core/topology_source.h"
#include "resp/slot.h"

namespace corral::core {
namespace {

/// A stage with B sound and A failing; A has been given up.
struct DeadShard : testing::Test {
  DeadShard() : client(stage.connect_client()), other(stage.connect_client()) {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA, 11);
    stage.answer(kNodeA, "$-1\r\n");
    stage.client_sends(other, "GET foo\r\n");
    stage.accept(kNodeB, 12);
    stage.answer(kNodeB, "$-1\r\n");
    stage.received(client);
    stage.received(other);
  }
  void give_up_a(Fault fault = Fault::kRefuses) {
    stage.lose(kNodeA);
    for (int i = 0; i < 80 && stage.count(&Stats::breakers_opened) == 0; ++i) {
      stage.client_sends(client, "SET bar 1\r\n");
      pass_with_fault(stage, fault, 100, kNodeB);
    }
    ASSERT_EQ(stage.count(&Stats::breakers_opened), 1u);
    pass_with_fault(stage, fault, 1000, kNodeB);
    stage.received(client);
  }
  NodeId id(const config::Address& node) { return stage.process.node_id(node); }

  Stage stage;
  const Stage::Client client, other;
};

TEST_F(DeadShard, ItsRequestsFailAtOnceAndTheOthersAreServed) {
  give_up_a();
  EXPECT_FALSE(stage.worker.health().admits(id(kNodeA)));
  stage.client_sends(client, "SET bar 1\r\nGET bar\r\nEVAL \"return 1\" 1 bar\r\n");
  std::string replies = stage.received(client);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(replies.starts_with("-CLUSTERDOWN no reachable owner of slot 5061 (no answer for ")) << replies;
    replies.erase(0, replies.find("\r\n") + 2);
  }
  EXPECT_EQ(replies, "");
  stage.client_sends(client, "WATCH bar\r\n");
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN "));
  stage.client_sends(client, "BLPOP bar 0\r\n");
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN "));
  stage.taken(kNodeB);
  stage.client_sends(client, "MGET bar foo\r\nGET foo\r\n");
  stage.client_sends(other, "GET foo\r\n");
  stage.answer(kNodeB, "*1\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
  replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("-CLUSTERDOWN ")) << replies;
  EXPECT_TRUE(replies.ends_with("\r\n$1\r\ny\r\n")) << replies;
  EXPECT_EQ(stage.received(other), "$1\r\nz\r\n");
  EXPECT_GE(stage.count(&Stats::failed_fast), 4u);
}

TEST_F(DeadShard, ClientsOfOtherShardsAreNotDelayedWhileItIsNotGivenUpYet) {
  stage.lose(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  for (int i = 0; i < 40; ++i) {
    pass_with_fault(stage, Fault::kHangs, 50, kNodeB);
    stage.client_sends(other, "GET foo\r\n");
    stage.answer(kNodeB, "$1\r\nx\r\n");
    ASSERT_EQ(stage.received(other), "$1\r\nx\r\n");
  }
}

TEST_F(DeadShard, WhatWaitsWhenItIsGivenUpIsAnsweredThen) {
  stage.lose(kNodeA);
  const auto late = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\n");
  pass_with_fault(stage, Fault::kRefuses, 4500, kNodeB);
  stage.client_sends(late, "SET bar 2\r\n");
  pass_with_fault(stage, Fault::kRefuses, 1500, kNodeB);
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN "));
  EXPECT_TRUE(stage.received(late).starts_with("-CLUSTERDOWN ")) << "not after a timeout of its own";
}

// The probe is Corral's own: no client's request is tried out on the node.
TEST_F(DeadShard, OneProbeOfAKeyOfTheNodeBringsItBack) {
  give_up_a();
  pass_with_fault(stage, Fault::kRefuses, 3000, kNodeB);
  EXPECT_FALSE(stage.worker.health().admits(id(kNodeA)));
  for (int i = 0; i < 200 && !stage.has_link(kNodeA); ++i) stage.pass(10);
  stage.accept(kNodeA, 13);
  const Commands probe = stage.taken(kNodeA);
  ASSERT_EQ(probe.size(), 1u);
  ASSERT_TRUE(probe[0].starts_with("EXISTS ")) << probe[0];
  EXPECT_LT(resp::key_slot(probe[0].substr(7)), resp::kSlots / 2);
  stage.client_sends(client, "SET bar 1\r\n");
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN ")) << "half-open";
  stage.answer(kNodeA, ":0\r\n");
  EXPECT_TRUE(stage.worker.health().admits(id(kNodeA)));
  stage.client_sends(client, "SET bar 1\r\n");
  EXPECT_EQ(stage.received(client), "");
  stage.pass(20);
  stage.accept(kNodeA, 14);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
}

// A master that its cluster has left behind answers PING, but no keys; one that starts has its data to load.
TEST_F(DeadShard, ANodeThatServesNobodyStaysGivenUpAndItsOwnWordsAreTold) {
  give_up_a();
  for (const std::string words :
       {"-LOADING Redis is loading the dataset in memory\r\n", "-CLUSTERDOWN The cluster is down\r\n"}) {
    for (int i = 0; i < 200 && (!stage.has_link(kNodeA) || stage.link(kNodeA).written.empty()); ++i) {
      meet_fault(stage, Fault::kSilent);
      stage.pass(10);
    }
    ASSERT_EQ(stage.taken(kNodeA).size(), 1u);
    stage.answer(kNodeA, words);
    stage.client_sends(client, "SET bar 1\r\n");
    EXPECT_EQ(stage.received(client), words);
  }
}

TEST_F(DeadShard, ASlotThatGoesElsewhereIsServedThere) {
  give_up_a();
  stage.move_slot(kBarSlot, kNodeB);
  stage.taken(kNodeB);
  stage.client_sends(client, "SET bar 1\r\n");
  EXPECT_EQ(stage.taken(kNodeB), Commands{"SET bar 1"});
}

// Each worker probes for itself; the first probes are spread over a window.
TEST_F(DeadShard, ProbesAreFewAndNotAtOnce) {
  stage.transport.next_random = 400;
  give_up_a();
  const uint64_t before = stage.count(&Stats::probes);
  pass_with_fault(stage, Fault::kRefuses, 10'000, kNodeB);
  EXPECT_LE(stage.count(&Stats::probes) - before, 30u);
  EXPECT_GE(stage.count(&Stats::probes) - before, 15u);
}

TEST_F(DeadShard, ConnectionsOfOneKindThatFailDoNotMakeTheNodeDead) {
  stage.client_sends(other, "HELLO 3\r\n");
  stage.received(other);
  for (int i = 0; i < 60; ++i) {
    stage.client_sends(other, "GET bar\r\n");
    FakeSocket& socket = stage.link(kNodeA);
    if (!socket.connected) {  // of RESP3
      stage.turn([&] { socket.endpoint->on_connected(); });
      stage.turn([&] { socket.endpoint->on_bytes("-NOPROTO no\r\n", 13); });
      EXPECT_TRUE(socket.closed);
    }
    stage.client_sends(client, "GET bar\r\n");
    stage.answer(kNodeA, "$1\r\nx\r\n");
    stage.pass(200);
  }
  EXPECT_EQ(stage.count(&Stats::breakers_opened), 0u);
}

// A node may close connections that nothing is said on (its `timeout`).
TEST_F(DeadShard, IdleConnectionsThatANodeClosesDoNotMakeItDead) {
  for (int i = 0; i < 20; ++i) {
    stage.lose(kNodeA, "connection closed by the node");
    stage.client_sends(client, "GET bar\r\n");
    stage.pass(20);
    stage.accept(kNodeA, 20 + i);
    stage.answer(kNodeA, "$1\r\nx\r\n");
    stage.pass(2000);
  }
  EXPECT_EQ(stage.count(&Stats::breakers_opened), 0u);
}

// --- half-open connections ---

TEST_F(DeadShard, AReadOnAHalfOpenConnectionIsAskedAnewAsSoonAsTheNodeAnswersElsewhere) {
  FakeSocket& half_open = stage.link(kNodeA);
  stage.client_sends(client, "GET bar\r\n");
  stage.pass(1200);
  FakeSocket& probing = stage.link(kNodeA);
  ASSERT_NE(&probing, &half_open);
  stage.accept(kNodeA, 21);
  EXPECT_EQ(stage.taken(kNodeA).size(), 1u);
  EXPECT_FALSE(half_open.closed);
  stage.answer(kNodeA, ":0\r\n");
  EXPECT_TRUE(half_open.closed);
  EXPECT_EQ(stage.count(&Stats::links_half_open), 1u);
  stage.pass(20);
  EXPECT_EQ(stage.accept(kNodeA, 22).front(), "CLIENT KILL ID 11 ADDR 10.9.9.9:11");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
}

TEST_F(DeadShard, ANodeThatAnswersNowhereIsGivenItsTime) {
  FakeSocket& busy = stage.link(kNodeA);
  stage.client_sends(client, "GET bar\r\n");
  stage.pass(1200);
  meet_fault(stage, Fault::kSilent);
  stage.pass(3000);
  EXPECT_FALSE(busy.closed);
  stage.turn([&] { busy.endpoint->on_bytes("$1\r\nx\r\n", 7); });
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
}

// The node may have been told to hold writes back (CLIENT PAUSE WRITE, as in a failover by hand).
TEST_F(DeadShard, AWriteThatIsNotAnsweredIsNotPutInDoubtBeforeItsTime) {
  FakeSocket& paused = stage.link(kNodeA);
  stage.client_sends(client, "SET bar 1\r\nGET bar\r\n");
  stage.pass(4800);
  EXPECT_EQ(stage.count(&Stats::probes), 0u);
  EXPECT_FALSE(paused.closed);
}

TEST_F(DeadShard, ABusyNodeSaysSoAndIsWaitedFor) {
  FakeSocket& busy = stage.link(kNodeA);
  stage.client_sends(client, "GET bar\r\n");
  stage.pass(1200);
  meet_fault(stage, Fault::kSilent);
  stage.taken(kNodeA);
  stage.answer(kNodeA, "-BUSY Redis is busy running a script.\r\n");
  EXPECT_FALSE(busy.closed);
}

// --- a name that stands for another node ---

/// One server, known by a name; it has become a replica, and the name that of the new master.
struct MovedName : testing::Test {
  static config::Settings settings() {
    config::Settings settings;
    settings.upstream.mode = "standalone";
    settings.upstream.seeds = {kNamed};
    return settings;
  }
  void serve(const config::Address& address) {
    const ClusterView view = view_of_one_owner("standalone", address);
    stage.turn([&] { stage.worker.set_map(stage.process.publish(view, stage.transport.wall_us)); });
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(address, 31);
    stage.answer(address, "$-1\r\n");
    stage.pass(3000);
    stage.received(client);
    stage.taken(address);
  }
  static inline const config::Address kNamed{"redis.example", 6379};
  Stage stage{settings()};
  const Stage::Client client = stage.connect_client();
};

TEST_F(MovedName, IsResolvedAgainWhenTheNodeTakesNoWrites) {
  serve(kNamed);
  FakeSocket& old = stage.link(kNamed);
  stage.client_sends(client, "SET bar 1\r\n");
  for (int i = 0; i < 1000 && !old.closed; ++i) {
    if (!take_commands(old.written).empty())
      say(stage, old, "-READONLY You can't write against a read only replica.\r\n");
    stage.pass(1);
  }
  EXPECT_TRUE(old.closed);
  stage.pass(600);
  stage.accept(kNamed, 32);
  EXPECT_EQ(stage.taken(kNamed), Commands{"SET bar 1"});
  stage.answer(kNamed, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_EQ(stage.count(&Stats::indoubt), 0u);
}

TEST_F(MovedName, AnAddressOfNumbersIsNot) {
  serve(kNodeA);
  FakeSocket& old = stage.link(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  for (int i = 0; i < 5; ++i) {
    say(stage, old, "-READONLY You can't write against a read only replica.\r\n");
    stage.pass(600);
    ASSERT_FALSE(old.closed);
    if (take_commands(old.written).empty()) break;
  }
}

// --- nodes that are gone ---

TEST_F(DeadShard, ConnectionsToANodeThatIsGoneFromTheTopologyAreClosedWhenUnused) {
  FakeSocket& a = stage.link(kNodeA);
  ClusterView view;
  view.nodes = {{"bbbb", kNodeB, true}};
  view.owner.fill(0);
  stage.turn([&] { stage.worker.set_map(stage.process.publish(view, stage.transport.wall_us)); });
  stage.pass(20'000);
  EXPECT_FALSE(a.closed) << "a slot may still be on its way from there";
  stage.pass(15'000);
  EXPECT_TRUE(a.closed);
  EXPECT_EQ(stage.worker.find_link(id(kNodeA), LinkKind()), nullptr);
}

TEST_F(DeadShard, ANodeThatWasGivenUpAndIsGoneIsProbedNoMore) {
  give_up_a();
  ClusterView view;
  view.nodes = {{"bbbb", kNodeB, true}};
  view.owner.fill(0);
  stage.turn([&] { stage.worker.set_map(stage.process.publish(view, stage.transport.wall_us)); });
  pass_with_fault(stage, Fault::kRefuses, 1000, kNodeB);
  const auto connections = [this] {
    return std::count_if(stage.transport.sockets.begin(), stage.transport.sockets.end(),
                         [](const auto& socket) { return socket->address == kNodeA; });
  };
  const auto before = connections();
  pass_with_fault(stage, Fault::kRefuses, 5000, kNodeB);
  EXPECT_EQ(connections(), before);
  EXPECT_TRUE(stage.worker.health().admits(id(kNodeA))) << "as if it were new";
}

}  // namespace
}  // namespace corral::core

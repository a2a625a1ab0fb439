// Subscriptions and what happens to nodes: lost connections, a home node that goes, slots that move, keyspace
// notifications from everywhere.
#include <gtest/gtest.h>

#include "pubsub_stage.h"

namespace corral::core {
namespace {

std::string message(std::string_view channel, std::string_view text) { return frame({"message", channel, text}); }
std::string to_shard(std::string_view channel, std::string_view text) { return frame({"smessage", channel, text}); }

TEST(PubSubNode, SubscriptionsAreMadeAgainOnANewConnection) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news"), pattern = stage.subscriber("PSUBSCRIBE n*");
  stage.says(kNodeA, message("news", "half").substr(0, 20));
  stage.pass(200);
  stage.lose(kNodeA);
  ASSERT_TRUE(stage.has_node(kNodeA)) << "at once";
  EXPECT_EQ(stage.accept(kNodeA, 2),
            (Commands{"CLIENT KILL ID 1 ADDR 10.9.9.9:1", "CLIENT SETNAME corral", "CLIENT INFO"}))
      << "the node is to forget the connection before";
  EXPECT_EQ(stage.serve(kNodeA), (Commands{"SUBSCRIBE news", "PSUBSCRIBE n*"}));
  EXPECT_EQ(stage.received(client), "") << "clients notice nothing";
  stage.says(kNodeA, message("news", "a") + frame({"pmessage", "n*", "news", "a"}));
  EXPECT_EQ(stage.received(client), message("news", "a"));
  EXPECT_EQ(stage.received(pattern), frame({"pmessage", "n*", "news", "a"}));
}

TEST(PubSubNode, ANodeThatAcceptsAndClosesIsNotTriedAllTheTime) {
  PubSubStage stage;
  stage.subscriber("SUBSCRIBE news");
  stage.pass(200);
  stage.lose(kNodeA);
  stage.accept(kNodeA);
  stage.transport.next_random = 19;
  stage.lose(kNodeA);
  EXPECT_FALSE(stage.has_node(kNodeA));
  stage.pass(200);
  EXPECT_TRUE(stage.has_node(kNodeA));
}

// Found by fuzzing: it was passed on as a message, and then not found again among those of its worker.
TEST(PubSubNode, WhatIsNoMessageLosesTheConnection) {
  const std::string pattern = "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n";
  for (const std::string& none :
       {pattern + "$1\r\nn\r\n:1\r\n", pattern + ":1\r\n:1\r\n", pattern + "$-1\r\n$1\r\na\r\n",
        frame({"pmessage", "n*", "news"}), frame({"pmessage", "n*", "news", "a", "b"})}) {
    PubSubStage stage;
    const auto client = stage.subscriber("PSUBSCRIBE n*");
    FakeSocket& old = stage.node(kNodeA);
    stage.says(kNodeA, none + frame({"pmessage", "n*", "news", "a"}));
    EXPECT_TRUE(old.closed) << none;
    EXPECT_EQ(stage.received(client), "") << none;
  }
}

TEST(PubSubNode, SubscribeWaitsForAConnectionThatIsBeingMadeAgain) {
  PubSubStage stage;
  stage.subscriber("SUBSCRIBE news");
  stage.pass(200);
  stage.lose(kNodeA);
  const auto second = stage.connect();
  stage.sends(second, "SUBSCRIBE news");
  EXPECT_EQ(stage.received(second), "");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"SUBSCRIBE news"});
  EXPECT_EQ(stage.received(second), frame({"subscribe", "news", ":1"}));
}

TEST(PubSubNode, UnsubscribeDoesNotWaitForALostConnection) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.sends(client, "UNSUBSCRIBE news");
  EXPECT_EQ(stage.received(client), "");
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), frame({"unsubscribe", "news", ":0"}));
}

TEST(PubSubNode, ASilentNodeIsAskedAndThenGivenUp) {
  config::Settings settings;
  settings.upstream.request_timeout_ms = 1000;
  PubSubStage stage(settings);
  stage.subscriber("SUBSCRIBE news");
  for (int i = 0; i < 3; ++i) {
    stage.pass(2500);
    EXPECT_EQ(stage.serve(kNodeA), Commands{"PING"});
  }
  FakeSocket& old = stage.node(kNodeA);
  stage.pass(2500);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PING"});
  stage.pass(900);
  EXPECT_TRUE(old.closed);
  ASSERT_TRUE(stage.has_node(kNodeA));
  stage.accept(kNodeA);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"SUBSCRIBE news"});
}

TEST(PubSubNode, ConnectionsNobodyNeedsAreClosed) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.close(client);
  stage.serve(kNodeA);
  for (int i = 0; i < 3; ++i) {
    stage.pass(3000);
    EXPECT_EQ(stage.serve(kNodeA), Commands{"PING"});
  }
  stage.pass(1500);
  EXPECT_FALSE(stage.has_node(kNodeA));
}

// --- the home node ---

TEST(PubSubHome, StaysWhereItIsWhenSlotsMove) {
  PubSubStage stage;
  stage.subscriber("SUBSCRIBE news");
  stage.move_slot(0, kNodeB);
  EXPECT_FALSE(stage.has_node(kNodeB));
  EXPECT_EQ(stage.stage.process.node_address(stage.stage.process.pubsub().home()), kNodeA);
  EXPECT_EQ(stage.stage.process.pubsub().publish_slot(stage.stage.worker.map()), 1) << "a slot that it still has";
}

TEST(PubSubHome, StaysWhereItIsWhenItBecomesAReplica) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.publish_map(kNodeC, kNodeB);
  EXPECT_FALSE(stage.has_node(kNodeC));
  stage.says(kNodeA, message("news", "a"));
  EXPECT_EQ(stage.received(client), message("news", "a"));
  EXPECT_EQ(stage.stage.process.pubsub().publish_slot(stage.stage.worker.map()), 0) << "on C, and passed on from there";
  stage.lose(kNodeA);
  EXPECT_FALSE(stage.has_node(kNodeA));
  stage.accept(kNodeC);
  EXPECT_EQ(stage.serve(kNodeC), Commands{"SUBSCRIBE news"});
}

TEST(PubSubHome, IsAnotherWhenTheClusterHasGivenItUp) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.publish_map(kNodeC, kNodeB, true);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"UNSUBSCRIBE news"}) << "it can still be reached from here";
  stage.accept(kNodeC);
  EXPECT_EQ(stage.serve(kNodeC), Commands{"SUBSCRIBE news"});
  stage.says(kNodeC, message("news", "a"));
  EXPECT_EQ(stage.received(client), message("news", "a"));
}

TEST(PubSubHome, IsAnotherMasterWhenItCannotBeReached) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.pass(200);
  stage.lose(kNodeA);
  EXPECT_FALSE(stage.has_node(kNodeB)) << "it may have been the connection only";
  stage.lose(kNodeA);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.serve(kNodeB), Commands{"SUBSCRIBE news"});
  stage.says(kNodeB, message("news", "a"));
  EXPECT_EQ(stage.received(client), message("news", "a"));
  stage.pass(20'000);
  EXPECT_FALSE(stage.has_node(kNodeA));
}

// --- keyspace notifications ---

TEST(PubSubKeyspace, ComeFromAllMastersAndOrdinaryMessagesFromOne) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "PSUBSCRIBE *");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"PSUBSCRIBE *"});
  EXPECT_EQ(stage.received(client), "");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.serve(kNodeB), Commands{"PSUBSCRIBE *"});
  EXPECT_EQ(stage.received(client), frame({"psubscribe", "*", ":1"}));
  const std::string ordinary = frame({"pmessage", "*", "news", "a"});
  const std::string event = frame({"pmessage", "*", "__keyspace@0__:k", "set"});
  stage.says(kNodeA, ordinary);
  stage.says(kNodeB, ordinary);
  EXPECT_EQ(stage.received(client), ordinary);
  stage.says(kNodeA, event);
  EXPECT_EQ(stage.received(client), event);
  stage.says(kNodeB, event);
  EXPECT_EQ(stage.received(client), event);
}

TEST(PubSubKeyspace, AMasterThatCannotBeReachedIsNotWaitedFor) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "PSUBSCRIBE __key*");
  stage.accept(kNodeA);
  stage.serve(kNodeA);
  stage.lose(kNodeB);
  stage.pass(100);
  EXPECT_EQ(stage.received(client), frame({"psubscribe", "__key*", ":1"}));
  ASSERT_TRUE(stage.has_node(kNodeB));
  stage.accept(kNodeB);
  EXPECT_EQ(stage.serve(kNodeB), Commands{"PSUBSCRIBE __key*"});
}

TEST(PubSubKeyspace, FollowTheMasters) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE __keyevent@0__:set");
  const std::string event = frame({"message", "__keyevent@0__:set", "k"});
  stage.publish_map(kNodeA, kNodeC);
  stage.says(kNodeB, event);
  EXPECT_EQ(stage.received(client), "") << "a replica tells what its master tells too";
  EXPECT_EQ(stage.serve(kNodeB), Commands{"UNSUBSCRIBE __keyevent@0__:set"});
  stage.accept(kNodeC);
  EXPECT_EQ(stage.serve(kNodeC), Commands{"SUBSCRIBE __keyevent@0__:set"});
  stage.says(kNodeC, event);
  EXPECT_EQ(stage.received(client), event);
}

// --- shard channels ---

TEST(PubSubShard, FollowsItsSlotWhenTheNodeEndsTheSubscription) {
  PubSubStage stage;
  const auto client = stage.subscriber("SSUBSCRIBE bar foo");
  stage.says(kNodeA, frame({"sunsubscribe", "bar", ":0"}));
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SSUBSCRIBE bar"}) << "the map does not know better yet";
  stage.says(kNodeA, "-MOVED 5061 10.0.0.2:7002\r\n");
  EXPECT_EQ(stage.serve(kNodeB), Commands{"SSUBSCRIBE bar"});
  EXPECT_EQ(stage.received(client), "") << "clients notice nothing";
  stage.says(kNodeB, to_shard("bar", "a"));
  EXPECT_EQ(stage.received(client), to_shard("bar", "a"));
  EXPECT_EQ(stage.hub_worker.map().owner[kBarSlot], stage.stage.process.node_id(kNodeB));
}

TEST(PubSubShard, IsSubscribedToAtTheNewOwnerWhenTheMapSaysSo) {
  PubSubStage stage;
  const auto client = stage.subscriber("SSUBSCRIBE bar foo");
  stage.move_slot(kBarSlot, kNodeB);
  EXPECT_EQ(stage.serve(kNodeB), Commands{"SSUBSCRIBE bar"});
  EXPECT_EQ(stage.taken(kNodeA), Commands{}) << "the old owner ends its own by itself";
  stage.says(kNodeA, to_shard("bar", "a") + frame({"sunsubscribe", "bar", ":0"}));
  stage.says(kNodeB, to_shard("bar", "b"));
  EXPECT_EQ(stage.received(client), to_shard("bar", "a") + to_shard("bar", "b"));
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
}

TEST(PubSubShard, SubscribeFollowsMoved) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SSUBSCRIBE bar");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SSUBSCRIBE bar"});
  stage.says(kNodeA, "-MOVED 5061 10.0.0.3:7003\r\n");
  stage.accept(kNodeC);
  EXPECT_EQ(stage.serve(kNodeC), Commands{"SSUBSCRIBE bar"});
  EXPECT_EQ(stage.received(client), frame({"ssubscribe", "bar", ":1"}));
}

TEST(PubSubShard, NodesThatSendToEachOtherAreAskedFromTimeToTime) {
  PubSubStage stage;
  for (const char* command : {"SSUBSCRIBE foo", "SSUBSCRIBE hello"}) stage.subscriber(command);  // at B, at A
  stage.sends(stage.connect(), "SSUBSCRIBE bar");
  int asked = 0;
  for (int i = 0; i < 100; ++i) {
    for (const auto& [at, to] : {std::pair(kNodeA, "10.0.0.2:7002"), std::pair(kNodeB, "10.0.0.1:7001")}) {
      for (const std::string& command : stage.taken(at)) {
        ASSERT_EQ(command, "SSUBSCRIBE bar");
        ++asked;
        stage.says(at, std::string("-MOVED 5061 ") + to + "\r\n");
      }
    }
    stage.pass(10);
  }
  EXPECT_GE(asked, 6);
  EXPECT_LE(asked, 30);
}

TEST(PubSubShard, IsTriedAgainWhileTheClusterIsDown) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SSUBSCRIBE bar");
  stage.accept(kNodeA);
  stage.taken(kNodeA);
  stage.says(kNodeA, "-CLUSTERDOWN Hash slot not served\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  stage.pass(300);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"SSUBSCRIBE bar"});
  EXPECT_EQ(stage.received(client), frame({"ssubscribe", "bar", ":1"}));
}

TEST(PubSubShard, MovesToTheReplicaOfALostOwner) {
  PubSubStage stage;
  const auto client = stage.subscriber("SSUBSCRIBE bar");
  stage.pass(200);
  stage.lose(kNodeA);
  stage.lose(kNodeA);
  stage.publish_map(kNodeC, kNodeB, true);
  stage.accept(kNodeC);
  EXPECT_EQ(stage.serve(kNodeC), Commands{"SSUBSCRIBE bar"});
  stage.says(kNodeC, to_shard("bar", "a"));
  EXPECT_EQ(stage.received(client), to_shard("bar", "a"));
}

}  // namespace
}  // namespace corral::core

// Commands that wait: on a connection of their own, through redirects and refusals, until an element, their time or
// their client's end.
#include <gtest/gtest.h>

#include "blocking_stage.h"
#include "resp/reply_builder.h"

namespace corral::core {
namespace {

constexpr std::string_view kMovedToB = "-MOVED 5061 10.0.0.2:7002\r\n";
constexpr std::string_view kAskB = "-ASK 5061 10.0.0.2:7002\r\n";
constexpr std::string_view kTryAgain = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
constexpr std::string_view kForced =
    "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
// --- waiting ---

TEST_F(BlockingTest, WaitsOnAConnectionOfItsOwnAndGetsItsElement) {
  block("BLPOP bar 0");
  EXPECT_EQ(stage.received(client), "");
  EXPECT_FALSE(client.socket->reading);
  EXPECT_EQ(stage.worker.own_links().used(), 1u);
  EXPECT_EQ(stage.process.blocked_clients(), 1u);
  stage.answer(kNodeA, kElement);
  EXPECT_EQ(stage.received(client), kElement);
  EXPECT_TRUE(client.socket->reading);
  expect_nothing_left();
}

TEST_F(BlockingTest, NextOneWaitsOnTheSameConnection) {
  block("BLPOP bar 0");
  stage.answer(kNodeA, kElement);
  const size_t sockets = stage.transport.sockets.size();
  block("BRPOP bar 0");
  EXPECT_EQ(stage.transport.sockets.size(), sockets);
}

TEST_F(BlockingTest, HasNoTimeoutOfItsOwn) {
  block("BLPOP bar 0");
  stage.pass(60'000);
  EXPECT_EQ(stage.received(client), "");
  EXPECT_TRUE(client.session->blocked());
  stage.answer(kNodeA, kElement);
  EXPECT_EQ(stage.received(client), kElement);
}

TEST_F(BlockingTest, WhatTheClientSentBeforeIsAnsweredFirst) {
  stage.client_sends(client, "RPUSH foo x\r\nBLPOP bar 0\r\n");
  EXPECT_FALSE(stage.has_link(kNodeA));
  stage.accept(kNodeB);
  stage.answer(kNodeB, ":1\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"BLPOP bar 0"});
}

TEST_F(BlockingTest, WhatTheClientSendsBehindItWaits) {
  stage.client_sends(client, "BLPOP bar 0\r\nPING\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeA, kElement);
  EXPECT_EQ(stage.received(client), std::string(kElement) + "+PONG\r\n");
}

TEST_F(BlockingTest, KeysOfDifferentSlotsAreRefused) {
  stage.client_sends(client, "BLPOP bar foo 0\r\n");
  EXPECT_TRUE(stage.received(client).starts_with("-CROSSSLOT "));
  EXPECT_FALSE(client.session->blocked());
}

TEST_F(BlockingTest, ErrorOfTheNodeIsTheClients) {
  block("BLPOP bar x");
  stage.answer(kNodeA, "-ERR timeout is not a float or out of range\r\n");
  EXPECT_EQ(stage.received(client), "-ERR timeout is not a float or out of range\r\n");
  expect_nothing_left();
  EXPECT_EQ(stage.worker.own_links().idle(), 1u);
}

TEST_F(BlockingTest, ReadingAStreamBlocksOnlyWithBlock) {
  stage.client_sends(client, "XREAD STREAMS bar 0\r\n");
  EXPECT_FALSE(client.session->blocked());
  stage.accept(kNodeA);
  stage.answer(kNodeA, "*-1\r\n");
  EXPECT_EQ(stage.received(client), "*-1\r\n");
  stage.client_sends(client, "XREAD BLOCK 0 STREAMS bar 0\r\n");
  EXPECT_TRUE(client.session->blocked());
}

// --- the client goes away ---

TEST_F(BlockingTest, ConnectionIsClosedAtOnceWhenTheClientFails) {
  block("BLPOP bar 0");
  FakeSocket& socket = stage.link(kNodeA);
  stage.client_fails(client);
  EXPECT_TRUE(socket.closed);
  EXPECT_EQ(stage.process.blocked_clients(), 0u);
  EXPECT_EQ(stage.worker.own_links().used(), 0u);
}

TEST_F(BlockingTest, ConnectionIsClosedAtOnceWhenTheClientHangsUp) {
  block("BLPOP bar 0");
  FakeSocket& socket = stage.link(kNodeA);
  hang_up();
  EXPECT_TRUE(socket.closed);
  EXPECT_TRUE(client.socket->closed);
}

TEST_F(BlockingTest, NothingIsTakenForAClientThatHungUpBefore) {
  stage.client_sends(client, "RPUSH foo x\r\nBLPOP bar 0\r\n");
  hang_up();
  stage.accept(kNodeB);
  stage.answer(kNodeB, ":1\r\n");
  EXPECT_FALSE(stage.has_link(kNodeA));
  EXPECT_EQ(stage.received(client), ":1\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST_F(BlockingTest, ClientMayGoWhileNoOwnerIsReachable) {
  block("BLPOP bar 0");
  stage.pass(200);
  stage.lose(kNodeA);
  stage.client_fails(client);
  stage.pass(1000);
  EXPECT_FALSE(stage.has_link(kNodeA));
}

// --- refusals ---

TEST_F(BlockingTest, MovedIsFollowedWithTheTimeLeft) {
  block("BLPOP bar 5");
  stage.pass(1500);
  stage.answer(kNodeA, kMovedToB);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"BLPOP bar 3.500"});
  EXPECT_EQ(stage.worker.map().owner[kBarSlot], stage.process.node_id(kNodeB));
  EXPECT_EQ(stage.count(&Stats::redirects_moved), 1u);
  stage.answer(kNodeB, kElement);
  EXPECT_EQ(stage.received(client), kElement);
  expect_nothing_left();
  EXPECT_EQ(stage.worker.own_links().idle(), 2u);
}

TEST_F(BlockingTest, ForEverStaysForEver) {
  block("BLPOP bar 0");
  stage.pass(5000);
  stage.answer(kNodeA, kMovedToB);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"BLPOP bar 0"});
}

TEST_F(BlockingTest, AskIsFollowedAfterAsking) {
  block("BLPOP bar 0");
  stage.answer(kNodeA, kAskB);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "BLPOP bar 0"}));
  stage.answer(kNodeB, resp::kOk);
  stage.pass(10'000);
  EXPECT_EQ(stage.received(client), "") << "the importing node keeps it, though it is not the owner";
  stage.answer(kNodeB, kElement);
  EXPECT_EQ(stage.received(client), kElement);
}

TEST_F(BlockingTest, RedirectsInACircleEnd) {
  block("BLPOP bar 0");
  stage.answer(kNodeA, kMovedToB);
  stage.accept(kNodeB, 12);
  std::string reply;
  for (int i = 0; i < 2000 && reply.empty(); ++i) {
    if (stage.taken(kNodeB).size() == 1) stage.answer(kNodeB, "-MOVED 5061 10.0.0.1:7001\r\n");
    if (stage.taken(kNodeA).size() == 1) stage.answer(kNodeA, kMovedToB);
    stage.pass(10);
    reply = stage.received(client);
  }
  EXPECT_TRUE(reply.starts_with("-TRYAGAIN ")) << reply;
  expect_nothing_left();
}

TEST_F(BlockingTest, NodeThatIsAMasterNoMoreUnblocksAndItBlocksAgain) {
  block("BLMOVE bar {bar}2 LEFT RIGHT 0");
  stage.answer(kNodeA, kForced);
  EXPECT_FALSE(stage.has_link(kNodeA)) << "the node closes it, and so do we";
  stage.move_slot(kBarSlot, kNodeB);
  until_connecting(kNodeB);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"BLMOVE bar {bar}2 LEFT RIGHT 0"});
  EXPECT_EQ(stage.received(client), "");
}

TEST_F(BlockingTest, OtherUnblockedErrorsAreTheClients) {
  block("BLPOP bar 0");
  stage.answer(kNodeA, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  EXPECT_EQ(stage.received(client), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
}

TEST_F(BlockingTest, RefusalThatTimeCuresIsWaitedOut) {
  for (const std::string_view refusal : {"-CLUSTERDOWN The cluster is down\r\n", "-LOADING Redis is loading\r\n",
                                         "-READONLY You can't write against a read only replica.\r\n",
                                         "-MASTERDOWN Link with MASTER is down\r\n", kTryAgain.data()}) {
    SCOPED_TRACE(refusal);
    block("BLPOP bar 0");
    stage.transport.posted.clear();
    stage.answer(kNodeA, refusal);
    EXPECT_EQ(stage.received(client), "");
    stage.pass(20);
    EXPECT_EQ(stage.taken(kNodeA), Commands{"BLPOP bar 0"});
    EXPECT_FALSE(stage.transport.posted.empty()) << "asks for the topology";
    stage.answer(kNodeA, kElement);
    EXPECT_EQ(stage.received(client), kElement);
  }
}

TEST_F(BlockingTest, RefusalThatLastsIsToldAfterTheRequestTimeout) {
  block("BLPOP bar 0");
  stage.pass(30'000);
  const uint64_t since = stage.now_ms;
  std::string reply;
  stage.answer(kNodeA, "-CLUSTERDOWN The cluster is down\r\n");
  for (int i = 0; i < 2000 && reply.empty(); ++i) {
    if (!stage.taken(kNodeA).empty()) stage.answer(kNodeA, "-CLUSTERDOWN The cluster is down\r\n");
    stage.pass(10);
    reply = stage.received(client);
  }
  EXPECT_EQ(reply, "-CLUSTERDOWN The cluster is down\r\n");
  EXPECT_NEAR(static_cast<double>(stage.now_ms - since), 5000, 700);
}

TEST_F(BlockingTest, KeysOnBothSidesOfAMoveAreWaitedForAsForAnElement) {
  block("BLPOP bar {bar}2 20");
  const uint64_t since = stage.now_ms;
  stage.answer(kNodeA, kTryAgain);
  std::string reply;
  for (int i = 0; i < 3000 && reply.empty(); ++i) {
    if (!stage.taken(kNodeA).empty()) stage.answer(kNodeA, kTryAgain);
    stage.pass(10);
    reply = stage.received(client);
  }
  EXPECT_EQ(reply, "*-1\r\n");
  EXPECT_NEAR(static_cast<double>(stage.now_ms - since), 20'000, 100);
}

TEST_F(BlockingTest, EndOfTheTimeIsToldAsTheClientsProtocolHasIt) {
  block("BRPOPLPUSH bar {bar}2 1");
  stage.pass(1001);
  stage.answer(kNodeA, kTryAgain);
  EXPECT_EQ(stage.received(client), "*-1\r\n");
  stage.client_sends(client, "HELLO 3\r\n");
  stage.received(client);
  stage.client_sends(client, "BLPOP bar {bar}2 1\r\n");
  stage.accept(kNodeA);
  stage.pass(1001);
  stage.answer(kNodeA, kTryAgain);
  EXPECT_EQ(stage.received(client), "_\r\n");
}

}  // namespace
}  // namespace corral::core

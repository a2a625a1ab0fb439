// Commands that wait at a node that is lost, says nothing any more, or has lost the slot.
#include <gtest/gtest.h>

#include "blocking_stage.h"

namespace corral::core {
namespace {

// --- lost connections ---

TEST_F(BlockingTest, WaitingPopBlocksAgainOnTheNewOwner) {
  block("BLPOP bar 5");
  stage.pass(1000);
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(200);
  for (int i = 0; i < 3 && stage.has_link(kNodeA); ++i) stage.lose(kNodeA, "connection refused");
  stage.move_slot(kBarSlot, kNodeB);
  until_connecting(kNodeB);
  const double left = 5 - static_cast<double>(stage.now_ms - 1'000'000) / 1000;
  stage.accept(kNodeB);
  const Commands sent = stage.taken(kNodeB);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_NEAR(std::stod(sent[0].substr(10)), left, 0.002) << sent[0];
  EXPECT_EQ(stage.count(&Stats::indoubt), 0u);
  stage.answer(kNodeB, kElement);
  EXPECT_EQ(stage.received(client), kElement);
  expect_nothing_left();
}

TEST_F(BlockingTest, NewConnectionToTheSameNodeEndsTheOldOneFirst) {
  block("BLPOP bar 0");
  stage.pass(1000);
  stage.lose(kNodeA);
  until_connecting(kNodeA);
  EXPECT_EQ(stage.accept(kNodeA, 12).front(), "CLIENT KILL ID 11 ADDR 10.9.9.9:11");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"BLPOP bar 0"});
}

TEST_F(BlockingTest, PopThatWasLostAtOnceIsInDoubt) {
  block("BLPOP bar 0");
  stage.pass(50);
  stage.lose(kNodeA);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
  EXPECT_EQ(stage.count(&Stats::indoubt), 1u);
  expect_nothing_left();
}

TEST_F(BlockingTest, WhatMovesOrNotesIsInDoubt) {
  for (const std::string command :
       {"BLMOVE bar {bar}2 LEFT RIGHT 0", "BRPOPLPUSH bar {bar}2 0", "XREADGROUP GROUP g c BLOCK 0 STREAMS bar >"}) {
    SCOPED_TRACE(command);
    stage.client_sends(client, command + "\r\n");
    stage.accept(kNodeA);
    stage.pass(1000);
    stage.lose(kNodeA);
    EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
    expect_nothing_left();
  }
}

TEST_F(BlockingTest, ReadBlocksAgainWheneverItIsLost) {
  block("XREAD BLOCK 0 STREAMS bar 5-1");
  stage.lose(kNodeA);
  until_connecting(kNodeA);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"XREAD BLOCK 0 STREAMS bar 5-1"});
  EXPECT_EQ(stage.count(&Stats::indoubt), 0u);
}

TEST_F(BlockingTest, PopWhoseOwnerStaysAwayIsInDoubtAfterTheRequestTimeout) {
  block("BLPOP bar 0");
  stage.pass(1000);
  const uint64_t since = stage.now_ms;
  const std::string reply = refuse_until_answered(20'000);
  EXPECT_TRUE(reply.starts_with("-INDOUBT the connection to 10.0.0.1:7001 was lost (connection refused)")) << reply;
  EXPECT_NEAR(static_cast<double>(stage.now_ms - since), 5000, 700);
  EXPECT_EQ(stage.count(&Stats::indoubt), 1u);
  expect_nothing_left();
}

TEST_F(BlockingTest, OwnerThatWasNeverReachedIsToldAfterTheRequestTimeout) {
  const uint64_t since = stage.now_ms;
  stage.client_sends(client, "BLMOVE bar {bar}2 LEFT RIGHT 1\r\n");
  const std::string reply = refuse_until_answered(20'000);
  EXPECT_EQ(reply, "-CLUSTERDOWN 10.0.0.1:7001: connection refused\r\n");
  EXPECT_NEAR(static_cast<double>(stage.now_ms - since), 5000, 700);
  expect_nothing_left();
}

TEST_F(BlockingTest, ShortTimeoutDoesNotBecomeForEverWhileNoOwnerIsReachable) {
  stage.client_sends(client, "BLPOP bar 1\r\n");
  for (int i = 0; i < 100; ++i) {
    if (stage.has_link(kNodeA)) stage.lose(kNodeA, "connection refused");
    stage.pass(20);
  }
  until_connecting(kNodeA);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"BLPOP bar 0.001"});
}

TEST_F(BlockingTest, TroubleThatEndedDoesNotCountLater) {
  block("XREAD BLOCK 0 STREAMS bar 5-1");
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    for (int i = 0; i < 150; ++i) {
      if (stage.has_link(kNodeA)) stage.lose(kNodeA, "connection refused");
      stage.pass(20);
    }
    until_connecting(kNodeA);
    stage.accept(kNodeA);
    EXPECT_EQ(stage.taken(kNodeA).size(), 1u);
    stage.pass(3000);
    EXPECT_EQ(stage.received(client), "");
  }
}

// --- nodes that say nothing ---

TEST_F(BlockingTest, OldOwnerHasTwoSecondsToSayThatTheSlotHasGone) {
  block("BLPOP bar 10");
  FakeSocket& old = stage.link(kNodeA);
  stage.pass(1000);
  stage.move_slot(kBarSlot, kNodeB);
  stage.pass(1800);
  EXPECT_FALSE(old.closed);
  stage.pass(1200);
  EXPECT_TRUE(old.closed);
  until_connecting(kNodeB);
  stage.accept(kNodeB);
  const Commands sent = stage.taken(kNodeB);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_NEAR(std::stod(sent[0].substr(10)), 6.7, 0.3) << sent[0];
  stage.answer(kNodeB, kElement);
  EXPECT_EQ(stage.received(client), kElement);
  EXPECT_EQ(stage.count(&Stats::indoubt), 0u);
}

TEST_F(BlockingTest, OldOwnersAnswerIsGoodWhileItHasTime) {
  block("BLPOP bar 10");
  stage.move_slot(kBarSlot, kNodeB);
  stage.pass(1500);
  stage.answer(kNodeA, kElement);
  EXPECT_EQ(stage.received(client), kElement);
  EXPECT_FALSE(stage.has_link(kNodeB));
}

TEST_F(BlockingTest, OwnerThatHasTheSlotBackIsLeftAlone) {
  block("BLPOP bar 0");
  stage.move_slot(kBarSlot, kNodeB);
  stage.pass(1500);
  stage.move_slot(kBarSlot, kNodeA);
  stage.pass(10'000);
  EXPECT_FALSE(stage.link(kNodeA).closed);
}

TEST_F(BlockingTest, WhatMovesIsInDoubtWhenItsSilentOwnerHasLostTheSlot) {
  block("BLMOVE bar {bar}2 LEFT RIGHT 0");
  stage.move_slot(kBarSlot, kNodeB);
  stage.pass(3000);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
  expect_nothing_left();
}

TEST_F(BlockingTest, NodeThatDoesNotEvenSayThatTimeIsOverIsGivenUp) {
  block("BLPOP bar 2");
  FakeSocket& socket = stage.link(kNodeA);
  stage.pass(6500);
  EXPECT_FALSE(socket.closed);
  stage.pass(1500);
  EXPECT_TRUE(socket.closed);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
  expect_nothing_left();
}

// --- many ---

TEST_F(BlockingTest, ThousandsDoNotConnectAtOnce) {
  std::vector<Stage::Client> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(stage.connect_client());
    stage.client_sends(clients.back(), "BLPOP bar 0\r\n");
  }
  const auto connecting = [&] {
    return std::count_if(stage.transport.sockets.begin(), stage.transport.sockets.end(),
                         [](auto& socket) { return socket->address == kNodeA && !socket->connected; });
  };
  EXPECT_EQ(connecting(), 64);
  for (int i = 0; i < 3000 && stage.worker.own_links().used() < 300; ++i) {
    while (connecting() > 0) {
      const auto socket = std::find_if(stage.transport.sockets.begin(), stage.transport.sockets.end(),
                                       [](auto& one) { return one->address == kNodeA && !one->connected; });
      (*socket)->connected = true;
      stage.turn([&] { (*socket)->endpoint->on_connected(); });
      stage.turn([&] { (*socket)->endpoint->on_bytes("+OK\r\n$4\r\nid=7\r\n", 15); });
    }
    stage.pass(1);
  }
  EXPECT_EQ(stage.worker.own_links().used(), 300u);
}

}  // namespace
}  // namespace corral::core

// CLIENT TRACKING: who is told of what, and that nothing a client is told comes too early, late or not at all.
#include <gtest/gtest.h>

#include "proxy/core/tracking_clients.h"
#include "tracking_stage.h"

namespace corral::core {
namespace {

TEST(Tracking, WhatWasReadIsToldBehindTheReply) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET bar\r\n");
  const Commands handshake = stage.accept(kNodeA);
  EXPECT_EQ(handshake[0] + ", " + handshake[1], "HELLO 3, CLIENT TRACKING ON");
  stage.answer(kNodeA, "$1\r\nx\r\n" + invalidation("bar") + invalidation("bar"));
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n" + invalidation("bar")) << "once";
}

// A key's name may be of many MiB, and what a node says of it is no reply.
TEST(Tracking, WhatIsToldOfALongNameIsNotTakenForAReply) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  const std::string push = invalidation(std::string(5u << 20, 'k'));
  stage.client_sends(client, "GET bar\r\nGET {bar}2\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, push.substr(0, 1000));
  stage.answer(kNodeA, push.substr(1000) + "$1\r\nx\r\n$1\r\ny\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n$1\r\ny\r\n");
}

TEST(Tracking, WhatNobodyHasReadIsNotTold) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "SET bar 1\r\nGET {bar}2\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "+OK\r\n" + invalidation("bar") + "$-1\r\n" + invalidation("other"));
  EXPECT_EQ(stage.received(client), "+OK\r\n$-1\r\n");
}

TEST(Tracking, WhatIsToldWaitsForTheReplyThatWaitsForAnotherNode) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET foo\r\nGET bar\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "$1\r\nx\r\n" + invalidation("bar"));
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeB, "$1\r\ny\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\ny\r\n$1\r\nx\r\n" + invalidation("bar"));
}

TEST(Tracking, WhatIsToldWaitsForTheOtherPartsOfItsReply) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "MGET bar foo\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "*1\r\n$1\r\nx\r\n" + invalidation("bar"));
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeB, "*1\r\n$1\r\ny\r\n");
  EXPECT_EQ(stage.received(client), "*2\r\n$1\r\nx\r\n$1\r\ny\r\n" + invalidation("bar"));
}

TEST(Tracking, WhatIsToldOfEarlierReadsComesBeforeAReplyThatIsLate) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  stage.client_sends(client, "GET foo\r\n");
  stage.accept(kNodeB);
  stage.received(client);
  stage.answer(kNodeA, invalidation("bar"));
  EXPECT_EQ(stage.received(client), invalidation("bar"));
}

TEST(Tracking, WhatComesFromANodeThatIsNotTheOwnerAnyMoreHasChangedAtOnce) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.move_slot(kBarSlot, kNodeB);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n" + invalidation("bar"));
}

TEST(Tracking, KeysOfASlotThatMovesHaveChanged) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET bar\r\nGET hello\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n$1\r\ny\r\n");
  stage.received(client);
  stage.move_slot(kBarSlot, kNodeB);
  EXPECT_EQ(stage.received(client), invalidation("bar"));
  stage.answer(kNodeA, invalidation("bar") + invalidation("hello"));
  EXPECT_EQ(stage.received(client), invalidation("hello"));
}

TEST(Tracking, AllThatWasReadOverALostConnectionHasChanged) {
  TrackingStage stage;
  const auto reader = stage.connect_tracking(), other = stage.connect_tracking();
  stage.client_sends(reader, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.client_sends(other, "GET foo\r\n");
  stage.accept(kNodeB);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  stage.answer(kNodeB, "$1\r\ny\r\n");
  stage.received(reader);
  stage.received(other);
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(reader), kAllChanged);
  EXPECT_EQ(stage.received(other), "");
  stage.lose(kNodeB);
  EXPECT_EQ(stage.received(reader), "");
  EXPECT_EQ(stage.received(other), kAllChanged);
}

TEST(Tracking, ASilentConnectionIsAskedAndGivenUp) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  stage.received(client);
  stage.taken(kNodeA);
  FakeSocket& link = stage.link(kNodeA);
  stage.pass(200);
  EXPECT_EQ(take_commands(link.written), Commands{"PING"});
  stage.answer(kNodeA, "+PONG\r\n");
  stage.pass(1000);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(8000);
  EXPECT_EQ(stage.received(client), kAllChanged);
}

TEST(Tracking, AFlushIsToldOnceHoweverManyNodesSaySo) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "MGET bar foo\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "*1\r\n$1\r\nx\r\n");
  stage.answer(kNodeB, "*1\r\n$1\r\ny\r\n");
  stage.received(client);
  stage.answer(kNodeA, kAllChanged);
  stage.answer(kNodeB, kAllChanged);
  EXPECT_EQ(stage.received(client), kAllChanged);
  stage.client_sends(client, "GET bar\r\n");
  stage.answer(kNodeA, "$1\r\nx\r\n" + kAllChanged);
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n" + kAllChanged);
}

TEST(Tracking, WhatANodeTellsDuringTheHandshakeIsNoReplyToIt) {
  TrackingStage stage;
  const auto client = stage.connect_tracking();
  stage.client_sends(client, "GET bar\r\n");
  FakeSocket& socket = stage.link(kNodeA);
  socket.connected = true;
  stage.turn([&] { socket.endpoint->on_connected(); });
  stage.answer(kNodeA, "+OK\r\n+OK\r\n" + kAllChanged + "+OK\r\n$4\r\nid=1\r\n$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
}

TEST(Tracking, WithNoloopOthersOnTheLinkAreToldOfAWriteAndTheWriterIsNot) {
  TrackingStage stage;
  const auto one = stage.connect_tracking(" NOLOOP"), two = stage.connect_tracking(" NOLOOP");
  stage.client_sends(one, "GET bar\r\n");
  EXPECT_EQ(stage.accept(kNodeA)[1], "CLIENT TRACKING ON NOLOOP");
  stage.client_sends(two, "GET bar\r\n");
  stage.answer(kNodeA, "$1\r\nx\r\n$1\r\nx\r\n");
  stage.client_sends(one, "SET bar 2\r\n");
  stage.received(one);
  stage.received(two);
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(one), "+OK\r\n");
  EXPECT_EQ(stage.received(two), invalidation("bar"));
}

// Its node does not tell the connection whose read has found that a key has expired.
TEST(Tracking, WithNoloopOthersOnTheLinkAreToldOfWhatAReaderFindsGone) {
  TrackingStage stage;
  const auto one = stage.connect_tracking(" NOLOOP"), two = stage.connect_tracking(" NOLOOP");
  struct Case {
    std::string command, reply;
    bool told;
  };
  const Case cases[] = {
      {"GET bar", "_\r\n", true},
      {"GET bar", "$1\r\nx\r\n", false},
      {"EXISTS bar", ":0\r\n", true},
      {"STRLEN bar", ":1\r\n", false},
      {"MGET {bar}1 bar", "*2\r\n$1\r\nx\r\n_\r\n", true},
      {"MGET {bar}1 bar", "*2\r\n$1\r\nx\r\n$1\r\nx\r\n", false},
      {"SUNION {bar}1 bar", "~1\r\n$1\r\nx\r\n", true},
      {"TYPE bar", "+none\r\n", true},
      {"LRANGE bar 0 -1", "*0\r\n", true},
      {"EVAL_RO script 1 bar", "+OK\r\n", true},
      {"GET hello", "_\r\n", false},
  };
  stage.client_sends(one, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  for (const Case& one_case : cases) {
    SCOPED_TRACE(one_case.command + " is answered " + one_case.reply);
    stage.client_sends(one, "GET bar\r\n");
    stage.answer(kNodeA, "$1\r\nx\r\n");
    stage.received(one);
    stage.client_sends(two, one_case.command + "\r\n");
    stage.answer(kNodeA, one_case.reply);
    EXPECT_EQ(stage.received(one), one_case.told ? invalidation("bar") : "");
    EXPECT_EQ(stage.received(two), one_case.reply);
  }
}

TEST(Tracking, WithNoloopAWriteCountsThoughItsClientHasGone) {
  TrackingStage stage;
  const auto one = stage.connect_tracking(" NOLOOP"), two = stage.connect_tracking(" NOLOOP");
  stage.client_sends(two, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  stage.received(two);
  stage.client_sends(one, "EVAL script 1 bar\r\n");
  stage.client_fails(one);
  stage.answer(kNodeA, ":1\r\n");
  EXPECT_EQ(stage.received(two), invalidation("bar"));
}

TEST(Tracking, OptinNotesWhatFollowsCaching) {
  TrackingStage stage;
  const auto client = stage.connect_tracking(" OPTIN");
  stage.client_sends(client, "GET hello\r\nCLIENT CACHING YES\r\nCLIENT ID\r\nGET bar\r\nGET {bar}2\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n");
  stage.received(client);
  stage.answer(kNodeA, invalidation("hello") + invalidation("bar") + invalidation("{bar}2"));
  EXPECT_EQ(stage.received(client), invalidation("bar"));
}

TEST(Tracking, OptinWithinATransactionHoldsForAllOfIt) {
  TrackingStage stage;
  const auto client = stage.connect_tracking(" OPTIN");
  stage.client_sends(client, "MULTI\r\nCLIENT CACHING YES\r\nGET bar\r\nEXEC\r\nGET hello\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nx\r\n");
  stage.answer(kNodeA, "$1\r\ny\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\nx\r\n$1\r\ny\r\n");
  stage.answer(kNodeA, invalidation("bar") + invalidation("hello"));
  EXPECT_EQ(stage.received(client), invalidation("bar"));
}

// --- RESP2 ---

struct RedirectTest : testing::Test {
  RedirectTest() : ears(stage.connect_client()), client(stage.connect_client()) {
    stage.client_sends(ears, "HELLO 3\r\n");
    stage.received(ears);
    stage.client_sends(client, "CLIENT TRACKING ON REDIRECT " + std::to_string(ears.session->id()) + "\r\n");
    stage.run_posted();
    EXPECT_EQ(stage.received(client), "+OK\r\n");
    stage.client_sends(client, "GET bar\r\n");
    target = &stage.link(kNodeA);
    EXPECT_EQ(stage.accept(kNodeA, 71)[0], "HELLO 3") << "the target is connected first";
    link = &stage.link(kNodeA);
    EXPECT_EQ(stage.accept(kNodeA, 72)[0], "CLIENT TRACKING ON REDIRECT 71");
    stage.answer_on(*target, "+PONG\r\n");
  }
  std::string heard() {
    stage.run_posted();
    return stage.received(ears);
  }
  TrackingStage stage;
  const Stage::Client ears, client;
  FakeSocket *target = nullptr, *link = nullptr;
};

TEST_F(RedirectTest, WhatOvertakesAReplyAtTheTargetIsHeardAllTheSame) {
  stage.answer_on(*target, invalidation("bar"));
  EXPECT_EQ(heard(), "");
  stage.answer_on(*link, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
  stage.answer_on(*link, "+PONG\r\n");
  EXPECT_EQ(heard(), invalidation("bar"));
}

TEST_F(RedirectTest, WhenTheTargetIsLostAllHasChangedAndBothAreMadeAnew) {
  stage.answer_on(*link, "$1\r\nx\r\n");
  stage.turn([&] {
    target->closed = true;
    target->endpoint->on_failed("reset by peer");
  });
  EXPECT_EQ(heard(), kAllChanged);
  EXPECT_TRUE(link->closed);
  stage.client_sends(client, "GET bar\r\n");
  EXPECT_EQ(stage.accept(kNodeA, 73)[0], "HELLO 3");
  EXPECT_EQ(stage.accept(kNodeA, 74)[0], "CLIENT TRACKING ON REDIRECT 73");
}

TEST_F(RedirectTest, WhenTheClientToTellHasGoneTheOtherIsToldOnceItSpeaksResp3) {
  stage.answer_on(*link, "$1\r\nx\r\n");
  stage.client_fails(ears);
  stage.client_sends(client, "HELLO 3\r\n");
  stage.received(client);
  stage.answer_on(*target, invalidation("bar"));
  stage.run_posted();
  EXPECT_EQ(stage.received(client), ">2\r\n$21\r\ntracking-redir-broken\r\n:" +
                                        std::to_string(client.session->tracking()->options().redirect) + "\r\n");
}

}  // namespace
}  // namespace corral::core

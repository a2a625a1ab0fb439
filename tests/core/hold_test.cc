// Order through refusals: MOVED, ASK and TRYAGAIN, what was sent behind a refused request, and when a client is told.
#include "proxy/core/hold.h"

#include <gtest/gtest.h>

#include "stage.h"

namespace corral::core {
namespace {

constexpr std::string_view kMovedToB = "-MOVED 5061 10.0.0.2:7002\r\n";
constexpr std::string_view kAskB = "-ASK 5061 10.0.0.2:7002\r\n";
constexpr std::string_view kTryAgain = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

/// Links to A and B are ready; a client whose requests for {bar} go to A.
struct HoldTest : testing::Test {
  HoldTest() : client(stage.connect_client()) {
    stage.client_sends(client, "GET bar\r\nGET foo\r\n");
    stage.accept(kNodeA, 11);
    stage.accept(kNodeB, 12);
    stage.taken(kNodeA);
    stage.taken(kNodeB);
    stage.answer(kNodeA, "$-1\r\n");
    stage.answer(kNodeB, "$-1\r\n");
    stage.received(client);
    stage.transport.posted.clear();
  }
  void expect_no_holds() {
    EXPECT_EQ(stage.worker.holds().size(), 0u);
    EXPECT_EQ(client.session->holds(), 0u);
    EXPECT_FALSE(client.session->referenced());
  }
  Stage stage;
  const Stage::Client client;
};

// --- MOVED ---

TEST_F(HoldTest, MovedIsFollowedAtOnceAndTheMapChanges) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kMovedToB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"SET bar 1"});
  EXPECT_EQ(stage.worker.map().owner[kBarSlot], stage.process.node_id(kNodeB));
  stage.answer(kNodeB, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_EQ(stage.count(&Stats::redirects_moved), 1u);
  EXPECT_FALSE(stage.transport.posted.empty()) << "asks for the topology";
  expect_no_holds();
  stage.client_sends(client, "GET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeB), Commands{"GET bar"});
}

TEST_F(HoldTest, RequestsBehindAMovedOneAreSentBehindIt) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\nGET bar\r\n");
  stage.answer(kNodeA, kMovedToB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{}) << "not before all that is under way is answered";
  stage.client_sends(client, "SET bar 3\r\n");
  EXPECT_EQ(stage.taken(kNodeB), Commands{}) << "what comes now waits too";
  stage.answer(kNodeA, std::string(kMovedToB) + std::string(kMovedToB));
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"SET bar 1", "SET bar 2", "GET bar", "SET bar 3"}));
  stage.answer(kNodeB, "+1\r\n+2\r\n$1\r\n2\r\n+3\r\n");
  EXPECT_EQ(stage.received(client), "+1\r\n+2\r\n$1\r\n2\r\n+3\r\n");
  expect_no_holds();
}

TEST_F(HoldTest, OtherSlotsAndOtherClientsAreNotHeld) {
  const auto other = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kTryAgain);
  stage.client_sends(client, "GET hello\r\n");
  stage.client_sends(other, "GET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"GET hello", "GET bar"}));
}

TEST_F(HoldTest, MovedToANodeThatNobodyToldOfIsFollowed) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.answer(kNodeA, "-MOVED 5061 10.0.0.8:7008\r\n");
  const config::Address fresh{"10.0.0.8", 7008};
  stage.accept(fresh, 20);
  EXPECT_EQ(stage.taken(fresh), Commands{"SET bar 1"});
}

TEST_F(HoldTest, MovedWithoutAHostMeansTheHostThatAnswered) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.answer(kNodeA, "-MOVED 5061 :7009\r\n");
  EXPECT_TRUE(stage.has_link({"10.0.0.1", 7009}));
}

TEST_F(HoldTest, RepliesOfOtherNodesWaitForTheHeldOne) {
  stage.client_sends(client, "SET bar 1\r\nGET foo\r\n");
  stage.answer(kNodeB, "$1\r\nf\r\n");
  stage.answer(kNodeA, kMovedToB);
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeB, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n$1\r\nf\r\n");
}

// --- ASK ---

// Found by tests/sim, tryagain_windows and near_moving: by then the slot may have come and gone.
TEST_F(HoldTest, AskIsNotFollowedLong) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kAskB);
  stage.pass(30);
  stage.answer(kNodeA, kAskB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{});
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"}) << "the owner is asked again";
  stage.answer(kNodeA, "+OK\r\n");
}

TEST_F(HoldTest, AskIsFollowedWithAskingAndLeavesTheMap) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.answer(kNodeA, kAskB);
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "SET bar 1"}));
  EXPECT_EQ(stage.worker.map().owner[kBarSlot], stage.process.node_id(kNodeA));
  EXPECT_EQ(stage.process.slots_touched_since(0), std::vector<uint16_t>{kBarSlot});
  stage.answer(kNodeB, "+OK\r\n+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n") << "the reply to ASKING is nobody's";
  EXPECT_EQ(stage.count(&Stats::redirects_ask), 1u);
  expect_no_holds();
}

TEST_F(HoldTest, RequestsBehindAnAskWaitUntilItIsAnswered) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kAskB);
  stage.client_sends(client, "SET bar 2\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "SET bar 1"}));
  stage.answer(kNodeB, "+OK\r\n+OK\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 2"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+OK\r\n");
  expect_no_holds();
}

TEST_F(HoldTest, EachOfSeveralAskedRequestsHasItsOwnAsking) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.answer(kNodeA, std::string(kAskB) + std::string(kAskB));
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "SET bar 1", "ASKING", "SET bar 2"}));
  stage.answer(kNodeB, "+OK\r\n+1\r\n+OK\r\n+2\r\n");
  EXPECT_EQ(stage.received(client), "+1\r\n+2\r\n");
  expect_no_holds();
}

// --- what has run behind a refused request ---

TEST_F(HoldTest, RefusedRequestIsNotSentAgainWhenALaterOneOnItsKeyHasRun) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.answer(kNodeA, std::string(kAskB) + "+OK\r\n");
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("-TRYAGAIN ")) << replies;
  EXPECT_TRUE(replies.ends_with("\r\n+OK\r\n")) << replies;
  EXPECT_EQ(stage.taken(kNodeB), Commands{});
  expect_no_holds();
}

TEST_F(HoldTest, RefusedRequestIsSentAgainWhenALaterOneOnAnotherKeyHasRun) {
  stage.client_sends(client, "SET bar 1\r\nSET {bar}2 2\r\n");
  stage.answer(kNodeA, std::string(kAskB) + "+2\r\n");
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "SET bar 1"}));
  stage.answer(kNodeB, "+OK\r\n+1\r\n");
  EXPECT_EQ(stage.received(client), "+1\r\n+2\r\n");
  expect_no_holds();
}

TEST_F(HoldTest, OneThatWasAnsweredBeforeTheRefusalDoesNotMatter) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.answer(kNodeA, std::string("+1\r\n") + std::string(kMovedToB));
  EXPECT_EQ(stage.taken(kNodeB), Commands{"SET bar 2"});
}

TEST_F(HoldTest, ErrorOfALaterCommandCountsAsRun) {
  stage.client_sends(client, "SET bar 1\r\nLPUSH bar 2\r\n");
  stage.answer(kNodeA, std::string(kTryAgain) + "-WRONGTYPE Operation against a key\r\n");
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("-TRYAGAIN ")) << replies;
  EXPECT_TRUE(replies.ends_with("-WRONGTYPE Operation against a key\r\n")) << replies;
}

// Requests that wait in the queue for a later sending were not sent behind the one under way.
TEST_F(HoldTest, RefusedRequestsWithDifferentTargetsAreSentOneAfterTheOther) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.answer(kNodeA, std::string(kAskB) + std::string(kMovedToB));  // the slot arrived between the two
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "SET bar 1"}));
  stage.answer(kNodeB, "+OK\r\n+1\r\n");
  EXPECT_EQ(stage.taken(kNodeB), Commands{"SET bar 2"});
  stage.answer(kNodeB, "+2\r\n");
  EXPECT_EQ(stage.received(client), "+1\r\n+2\r\n");
  expect_no_holds();
}

TEST_F(HoldTest, RequestRefusedAgainStaysBeforeTheOnesThatWaitBehindIt) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.answer(kNodeA, std::string(kAskB) + std::string(kMovedToB));
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "SET bar 1"}));
  stage.answer(kNodeB, "+OK\r\n-TRYAGAIN not yet\r\n");
  stage.pass(50);
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"SET bar 1", "SET bar 2"}));
}

TEST_F(HoldTest, PartOfASplitReadStaysBeforeAWriteThatCameAfterIt) {
  stage.client_sends(client, "MGET bar {bar}2\r\nSET {bar}2 new\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, std::string(kTryAgain) + std::string(kAskB));
  stage.pass(15);  // longer than the pause, shorter than an ASK holds
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MGET bar", "MGET {bar}2"}));
  stage.answer(kNodeA, "*1\r\n$1\r\na\r\n" + std::string(kAskB));
  Commands sent = stage.taken(kNodeB);
  EXPECT_EQ(sent, (Commands{"ASKING", "MGET {bar}2", "ASKING", "SET {bar}2 new"}));
}

// --- TRYAGAIN and its kin ---

TEST_F(HoldTest, TryAgainIsTriedAgainAfterAPause) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kTryAgain);
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  EXPECT_EQ(stage.received(client), "");
  stage.pass(50);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_EQ(stage.count(&Stats::retries), 1u);
  expect_no_holds();
}

TEST_F(HoldTest, ReadThatMergesIsSentKeyByKeyAfterTryAgain) {
  stage.client_sends(client, "MGET bar {bar}2\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kTryAgain);
  stage.pass(50);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MGET bar", "MGET {bar}2"}));
  stage.answer(kNodeA, "*1\r\n$1\r\na\r\n" + std::string(kAskB));
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "MGET {bar}2"}));
  stage.answer(kNodeB, "+OK\r\n*1\r\n$1\r\nb\r\n");
  EXPECT_EQ(stage.received(client), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  expect_no_holds();
}

TEST_F(HoldTest, WriteWithSeveralKeysIsSentWholeAfterTryAgain) {
  stage.client_sends(client, "MSET bar 1 {bar}2 2\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kTryAgain);
  stage.pass(50);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"MSET bar 1 {bar}2 2"});
}

TEST_F(HoldTest, RequestTimeoutGivesTheRefusalToTheClient) {
  const std::vector<std::string> refusals{std::string(kTryAgain), "-LOADING Redis is loading the dataset in memory\r\n",
                                          "-CLUSTERDOWN The cluster is down\r\n",
                                          "-READONLY You can't write against a read only replica.\r\n"};
  for (const std::string& refusal : refusals) {
    stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
    const uint64_t since = stage.now_ms;
    std::string replies;
    while (replies.empty() && stage.now_ms - since < 20'000) {
      std::string answers;
      for (size_t i = stage.taken(kNodeA).size(); i > 0; --i) answers += refusal;
      if (!answers.empty()) stage.answer(kNodeA, answers);
      stage.pass(10);
      replies = stage.received(client);
    }
    EXPECT_EQ(replies, refusal + refusal);
    EXPECT_NEAR(static_cast<double>(stage.now_ms - since), 5000, 700);
    expect_no_holds();
  }
}

TEST_F(HoldTest, RedirectionsInACircleEndWithTryAgain) {
  stage.client_sends(client, "SET bar 1\r\n");
  const uint64_t since = stage.now_ms;
  std::string reply;
  int hops = 0;
  while (reply.empty() && stage.now_ms - since < 20'000) {
    const auto to_a = stage.taken(kNodeA), to_b = stage.taken(kNodeB);
    if (!to_a.empty()) stage.answer(kNodeA, kMovedToB);
    if (!to_b.empty()) stage.answer(kNodeB, "-MOVED 5061 10.0.0.1:7001\r\n");
    if (!to_a.empty() || !to_b.empty()) {
      ++hops;
    } else {
      stage.pass(10);
    }
    ASSERT_LT(hops, 1000) << "later redirections are followed after a pause";
    reply = stage.received(client);
  }
  EXPECT_TRUE(reply.starts_with("-TRYAGAIN ")) << reply;
  expect_no_holds();
}

// --- scripts ---

TEST_F(HoldTest, OfAScriptsErrorsOnlyARedirectionOfItsSlotIsFollowed) {
  for (const std::string error : {"-TRYAGAIN x\r\n", "-MOVED 1 10.0.0.2:7002\r\n", "-READONLY x\r\n"}) {
    stage.client_sends(client, "EVAL script 1 bar\r\n");
    stage.answer(kNodeA, error);
    EXPECT_EQ(stage.received(client), error);
  }
  stage.taken(kNodeA);
  stage.client_sends(client, "EVAL script 1 bar\r\n");
  stage.answer(kNodeA, kMovedToB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"EVAL script 1 bar"});
  EXPECT_EQ(stage.worker.map().owner[kBarSlot], stage.process.node_id(kNodeA)) << "others do not believe it";
}

// Who may run scripts could have us log in anywhere.
TEST_F(HoldTest, AScriptDoesNotSendUsToANodeThatNobodyElseToldOf) {
  stage.client_sends(client, "EVAL script 1 bar\r\n");
  stage.answer(kNodeA, "-MOVED 5061 10.0.0.8:7008\r\n");
  EXPECT_TRUE(stage.received(client).starts_with("-TRYAGAIN "));
  EXPECT_FALSE(stage.has_link({"10.0.0.8", 7008}));
  expect_no_holds();
}

// --- the map changes, clients go ---

TEST_F(HoldTest, NewOwnerGetsNothingBeforeTheOldOneHasAnswered) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.move_slot(kBarSlot, kNodeB);
  stage.client_sends(client, "SET bar 2\r\n");
  EXPECT_EQ(stage.taken(kNodeB), Commands{});
  stage.answer(kNodeA, "+1\r\n");
  EXPECT_EQ(stage.taken(kNodeB), Commands{"SET bar 2"});
  stage.answer(kNodeB, "+2\r\n");
  EXPECT_EQ(stage.received(client), "+1\r\n+2\r\n");
  expect_no_holds();
}

TEST_F(HoldTest, CommandForAllNodesWaitsForWhatIsHeld) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kTryAgain);
  stage.client_sends(client, "DBSIZE\r\nPING\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  EXPECT_EQ(stage.taken(kNodeB), Commands{});
  stage.pass(50);
  stage.answer(kNodeA, "+OK\r\n");
  const Commands sent = stage.taken(kNodeA);
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back(), "DBSIZE");
  EXPECT_EQ(stage.taken(kNodeB), Commands{"DBSIZE"});
  stage.answer(kNodeA, ":2\r\n");
  stage.answer(kNodeB, ":3\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n:5\r\n+PONG\r\n");
}

TEST_F(HoldTest, HeldRequestOfAClientThatIsGoneIsStillSentAndItsSessionGoes) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, kTryAgain);
  stage.client_fails(client);
  stage.pass(50);
  for (size_t i = stage.taken(kNodeA).size(); i > 0; --i) stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.worker.holds().size(), 0u);
}

TEST_F(HoldTest, HeldRequestsAreAnsweredBeforeADrainingClientIsClosed) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.answer(kNodeA, kTryAgain);
  stage.turn([&] { stage.worker.drain(); });
  stage.taken(kNodeA);
  stage.pass(1000);
  EXPECT_FALSE(client.socket->closed);
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  stage.pass(1000);
  EXPECT_TRUE(client.socket->closed);
}

TEST_F(HoldTest, StopWithHeldRequestsLeavesNothingBehind) {
  stage.client_sends(client, "SET bar 1\r\nMGET bar {bar}2\r\n");
  stage.answer(kNodeA, std::string(kTryAgain) + std::string(kTryAgain));
  stage.turn([&] { stage.worker.stop(); });
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.worker.holds().size(), 0u);
}

}  // namespace
}  // namespace corral::core

// CLIENT TRACKING with BCAST: when it is in force, what the nodes are asked for, and what makes a gap.
#include "proxy/core/tracking_feeds.h"

#include <gtest/gtest.h>

#include "tracking_stage.h"

namespace corral::core {
namespace {

const std::string kConfirmed = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n";

/// A client with BCAST whose feeds are in place.
struct FeedsTest : testing::Test {
  FeedsTest() : client(stage.connect_client()) {
    stage.client_sends(client, "HELLO 3\r\n");
    stage.received(client);
    stage.client_sends(client, "CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:\r\n");
    stage.accept(kNodeA);
    stage.accept(kNodeB);
    EXPECT_EQ(stage.taken(kNodeB), (Commands{"MULTI", "CLIENT TRACKING OFF",
                                             "CLIENT TRACKING ON BCAST NOLOOP PREFIX a: PREFIX b:", "EXEC"}));
    stage.taken(kNodeA);
    stage.answer(kNodeA, kConfirmed);
    EXPECT_EQ(stage.received(client), "") << "not before all masters tell";
    stage.answer(kNodeB, kConfirmed);
    EXPECT_EQ(stage.received(client), "+OK\r\n");
  }
  TrackingStage stage;
  const Stage::Client client;
};

TEST(MinimalCover, HasWhatDoesNotBeginWithAnother) {
  using Prefixes = std::vector<std::string>;
  EXPECT_EQ(minimal_cover({"b", "ab", "a", "bc", "c", "c"}), (Prefixes{"a", "b", "c"}));
  EXPECT_EQ(minimal_cover({"a", ""}), Prefixes{""});
  EXPECT_EQ(minimal_cover({}), Prefixes{});
}

TEST_F(FeedsTest, KeysAreToldByPrefix) {
  stage.answer(kNodeA, ">2\r\n$10\r\ninvalidate\r\n*4\r\n$3\r\na:1\r\n$3\r\nb:1\r\n$3\r\na:2\r\n$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client),
            ">2\r\n$10\r\ninvalidate\r\n*2\r\n$3\r\na:1\r\n$3\r\na:2\r\n" + invalidation("b:1"));
}

TEST_F(FeedsTest, WhatIsToldComesBehindRepliesThatAreDue) {
  stage.client_sends(client, "GET bar\r\n");
  FakeSocket& feed = stage.link(kNodeB);
  stage.answer_on(feed, invalidation("b:1"));
  EXPECT_EQ(stage.received(client), "");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n" + invalidation("b:1"));
}

TEST_F(FeedsTest, WhoWaitsForWhatOthersDoIsToldMeanwhile) {
  stage.client_sends(client, "BLPOP bar 0\r\n");
  stage.accept(kNodeA);
  stage.answer_on(stage.link(kNodeB), invalidation("b:1"));
  EXPECT_EQ(stage.received(client), invalidation("b:1"));
  stage.answer(kNodeA, "*2\r\n$3\r\nbar\r\n$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "*2\r\n$3\r\nbar\r\n$1\r\nx\r\n");
  stage.client_sends(client, "XREAD BLOCK 0 STREAMS hello 0\r\n");
  stage.answer_on(stage.link(kNodeB), invalidation("b:1"));
  EXPECT_EQ(stage.received(client), invalidation("b:1"));
  stage.answer(kNodeA, "_\r\n");
  EXPECT_EQ(stage.received(client), "_\r\n" + kAllChanged) << "it may have read something older";
}

TEST_F(FeedsTest, MorePrefixesAreAddedWithoutAGap) {
  const auto other = stage.connect_client();
  stage.client_sends(other, "HELLO 3\r\n");
  stage.received(other);
  stage.client_sends(other, "CLIENT TRACKING ON BCAST PREFIX a:more PREFIX c:\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLIENT TRACKING ON BCAST NOLOOP PREFIX c:"});
  EXPECT_EQ(stage.taken(kNodeB), Commands{"CLIENT TRACKING ON BCAST NOLOOP PREFIX c:"});
  stage.answer(kNodeA, "+OK\r\n" + invalidation("c:1"));
  stage.answer(kNodeB, "+OK\r\n" + invalidation("c:2"));
  EXPECT_EQ(stage.received(other), "+OK\r\n" + invalidation("c:2")) << "what came before its OK it cannot have kept";
  EXPECT_EQ(stage.received(client), "");
}

TEST_F(FeedsTest, AWiderPrefixMakesAGap) {
  const auto other = stage.connect_client();
  stage.client_sends(other, "HELLO 3\r\n");
  stage.received(other);
  stage.client_sends(other, "CLIENT TRACKING ON BCAST\r\n");
  EXPECT_EQ(stage.taken(kNodeA)[2], "CLIENT TRACKING ON BCAST NOLOOP PREFIX ");
  stage.answer(kNodeA, kConfirmed);
  stage.answer(kNodeB, kConfirmed);
  EXPECT_EQ(stage.received(other), "+OK\r\n");
  EXPECT_EQ(stage.received(client), kAllChanged);
}

TEST_F(FeedsTest, AWidePrefixThatNobodyNeedsAnyMoreIsGivenUpAfterAWhile) {
  const auto other = stage.connect_client();
  stage.client_sends(other, "HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n");
  stage.answer(kNodeA, kConfirmed);
  stage.answer(kNodeB, kConfirmed);
  stage.taken(kNodeA);
  stage.client_fails(other);
  Commands asked;
  for (int second = 0; second < 15 && asked.empty(); ++second) {
    stage.pass(1000);
    asked = stage.taken(kNodeA);
    if (asked.front() == "PING") asked.erase(asked.begin());
    for (const auto& node : {kNodeA, kNodeB}) stage.answer(node, "+PONG\r\n");
  }
  EXPECT_EQ(asked,
            (Commands{"MULTI", "CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST NOLOOP PREFIX a: PREFIX b:", "EXEC"}));
}

TEST_F(FeedsTest, ALostFeedMakesAGapUntilItIsThereAgain) {
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), kAllChanged);
  stage.pass(150);
  stage.accept(kNodeA);
  stage.client_sends(client, "GET foo\r\n");
  stage.accept(kNodeB);
  stage.answer(kNodeB, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
  stage.answer(kNodeA, kConfirmed);
  EXPECT_EQ(stage.received(client), kAllChanged);
}

TEST_F(FeedsTest, TheLastOneWhoGoesTurnsItOff) {
  stage.client_sends(client, "CLIENT TRACKING OFF\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLIENT TRACKING OFF"});
  EXPECT_EQ(stage.taken(kNodeB), Commands{"CLIENT TRACKING OFF"});
}

TEST_F(FeedsTest, WithNoloopTheCommandsGoOverTheFeedAndOthersHearOfThem) {
  const auto quiet = stage.connect_client();
  stage.client_sends(quiet, "HELLO 3\r\n");
  stage.received(quiet);
  stage.client_sends(quiet, "CLIENT TRACKING ON BCAST NOLOOP PREFIX b:\r\n");
  EXPECT_EQ(stage.received(quiet), "+OK\r\n") << "the feeds are there";
  stage.client_sends(quiet, "SET {bar} 1\r\nSET b:{bar} 1\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET {bar} 1", "SET b:{bar} 1"}));
  stage.answer(kNodeA, "+OK\r\n+OK\r\n" + invalidation("b:other"));
  EXPECT_EQ(stage.received(quiet), "+OK\r\n+OK\r\n" + invalidation("b:other"));
  EXPECT_EQ(stage.received(client), invalidation("b:{bar}") + invalidation("b:other"));
}

TEST(Feeds, AMasterThatRefusesIsAnError) {
  TrackingStage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT TRACKING ON BCAST\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "+OK\r\n-NOPERM no\r\n-NOPERM no\r\n-EXECABORT Transaction discarded\r\n");
  stage.pass(6000);
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN a master does not tell what changes ("));
  EXPECT_FALSE(client.session->tracks());
  stage.client_sends(client, "PING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
}

}  // namespace
}  // namespace corral::core

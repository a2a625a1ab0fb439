// The keeper of the topology in front of one server, and of sentinels: whose word counts, and when.
#include "proxy/core/topology_keeper.h"

#include <gtest/gtest.h>

#include "resp/reply_builder.h"
#include "stage.h"

namespace corral::core {
namespace {

const config::Address kSentinel1{"10.1.0.1", 26379}, kSentinel2{"10.1.0.2", 26379}, kSentinel3{"10.1.0.3", 26379};

std::string bulk_array(const std::vector<std::string>& texts) {
  std::string out;
  resp::append_array(out, texts.size());
  for (const std::string& text : texts) resp::append_bulk(out, text);
  return out;
}

std::string info(const std::string& text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}

// --- one server ---

config::Settings standalone() {
  config::Settings settings;
  settings.upstream.mode = "standalone";
  settings.upstream.seeds = {kNodeA};
  return settings;
}

TEST(StandaloneTopology, EverySlotIsTheServersFromTheStart) {
  Stage stage(standalone(), 0);
  const SlotMap& map = stage.worker.map();
  ASSERT_EQ(map.masters.size(), 1u);
  EXPECT_EQ(map.masters[0].slots, resp::kSlots);
  EXPECT_EQ(stage.process.node_address(map.owner[0]), kNodeA);
  EXPECT_EQ(map.owner[kFooSlot], map.owner[kBarSlot]);
}

TEST(StandaloneTopology, TheServerIsAskedWhatItIs) {
  Stage stage(standalone(), 0);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"INFO server", "CONFIG GET databases"}));
  stage.answer(kNodeA,
               info("# Server\r\nredis_version:7.4.1\r\nredis_mode:standalone\r\n") + bulk_array({"databases", "64"}));
  EXPECT_EQ(stage.process.upstream_version(), "7.4.1");
  EXPECT_EQ(stage.process.upstream_databases(), 64u);
  stage.pass(11'000);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"INFO server", "CONFIG GET databases"})) << "it may have been replaced";
}

TEST(StandaloneTopology, AServerThatCouldNotBeAskedIsAskedAgain) {
  Stage stage(standalone(), 0);
  stage.lose(kNodeA);
  stage.pass(200);
  stage.accept(kNodeA);
  EXPECT_FALSE(stage.taken(kNodeA).empty());
  stage.answer(kNodeA, info("redis_version:7.4.1\r\n") + "-NOPERM no\r\n");
  EXPECT_EQ(stage.process.upstream_version(), "7.4.1");
  EXPECT_EQ(stage.process.upstream_databases(), 16u);
}

TEST(StandaloneTopology, ANodeOfAClusterIsPointedOut) {
  Stage stage(standalone(), 0);
  stage.accept(kNodeA);
  stage.answer(kNodeA, info("redis_version:7.4.1\r\nredis_mode:cluster\r\n") + bulk_array({"databases", "16"}));
  ASSERT_FALSE(stage.transport.logged.empty());
  EXPECT_EQ(stage.transport.logged.back(), "upstream.mode is \"standalone\", but 10.0.0.1:7001 is a node of a cluster");
}

TEST(ClusterTopology, AServerThatIsNoNodeOfAClusterIsPointedOut) {
  config::Settings settings;
  settings.upstream.seeds = {kNodeA};
  Stage stage(settings, 0);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLUSTER SHARDS"});
  stage.answer(kNodeA, "-ERR This instance has cluster support disabled\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLUSTER SLOTS"});
  stage.answer(kNodeA, "-ERR This instance has cluster support disabled\r\n");
  EXPECT_EQ(stage.transport.logged.back(),
            "no topology of the cluster: 10.0.0.1:7001: ERR This instance has cluster support disabled");
}

// --- sentinels ---

class SentinelTopology : public ::testing::Test {
 protected:
  static config::Settings settings() {
    config::Settings settings;
    settings.upstream.mode = "sentinel";
    settings.upstream.master = "mymaster";
    settings.upstream.seeds = {kSentinel1, kSentinel2, kSentinel3};
    settings.upstream.username = "proxy";
    settings.upstream.password = "secret";
    settings.upstream.sentinel_password = "watch";
    return settings;
  }

  // What a sentinel answers to the three commands of a round.
  static std::string word(const config::Address& master, int epoch, const std::vector<config::Address>& others = {}) {
    std::string out =
        bulk_array({"name", "mymaster", "config-epoch", std::to_string(epoch), "num-other-sentinels", "2"});
    resp::append_array(out, others.size());
    for (const auto& other : others) {
      out += bulk_array({"name", "id", "ip", other.host, "port", std::to_string(other.port)});
    }
    return out + bulk_array({master.host, std::to_string(master.port)});
  }

  // What a node answers to INFO and ROLE.
  static std::string node(const std::string& role, const std::string& run_id = "rrrr") {
    return info("redis_version:7.0.15\r\nrun_id:" + run_id + "\r\n") + bulk_array({role, "0"});
  }

  void accept_sentinels() {
    for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) {
      stage_.accept(sentinel);
      EXPECT_EQ(stage_.taken(sentinel), kQuestions);
    }
  }

  // A first round that finds `master`, of epoch `epoch`.
  void find(const config::Address& master, int epoch) {
    accept_sentinels();
    for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.answer(sentinel, word(master, epoch));
    stage_.accept(master);
    stage_.answer(master, node("master"));
    ASSERT_EQ(owner(), master);
    stage_.taken(master);
    stage_.answer(master, info("redis_version:7.0.15\r\n") + bulk_array({}));  // asked what it is
  }

  // Into the next round, in which each sentinel has been asked.
  void next_round() {
    stage_.pass(1000);
    for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) {
      ASSERT_EQ(stage_.taken(sentinel), kQuestions);
    }
  }

  config::Address owner() {
    const NodeId id = stage_.worker.map().owner[kFooSlot];
    return id == kNoNode ? config::Address{} : stage_.process.node_address(id);
  }

  const Commands kQuestions = {"SENTINEL MASTER mymaster", "SENTINEL SENTINELS mymaster",
                               "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster"};
  Stage stage_{settings(), 0};
};

TEST_F(SentinelTopology, TheMasterIsWhoTheSentinelsNameAndSaysSoItself) {
  EXPECT_EQ(stage_.accept(kSentinel1)[0], "AUTH default watch");
  stage_.accept(kSentinel2);
  stage_.accept(kSentinel3);
  for (const auto& sentinel : {kSentinel1, kSentinel2}) stage_.answer(sentinel, word(kNodeA, 0));
  EXPECT_EQ(stage_.accept(kNodeA)[0], "AUTH proxy secret");
  EXPECT_EQ(stage_.taken(kNodeA), (Commands{"INFO server", "ROLE"}));
  stage_.answer(kNodeA, node("master"));
  EXPECT_EQ(owner(), config::Address{}) << "the third sentinel may know better";
  stage_.answer(kSentinel3, word(kNodeA, 0));
  EXPECT_EQ(owner(), kNodeA);
  EXPECT_EQ(stage_.worker.map().masters[0].name, "rrrr");
  EXPECT_EQ(stage_.worker.map().masters[0].slots, resp::kSlots);
}

TEST_F(SentinelTopology, TheHighestEpochCountsMoreThanMostVotes) {
  accept_sentinels();
  stage_.answer(kSentinel1, word(kNodeA, 7));
  stage_.answer(kSentinel2, word(kNodeB, 8));
  stage_.answer(kSentinel3, word(kNodeA, 7));
  stage_.accept(kNodeA);
  stage_.answer(kNodeA, node("master"));
  EXPECT_EQ(owner(), config::Address{});
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  EXPECT_EQ(owner(), kNodeB);
}

TEST_F(SentinelTopology, OfOneEpochMostVotesCount) {
  accept_sentinels();
  stage_.answer(kSentinel1, word(kNodeA, 7));
  stage_.answer(kSentinel2, word(kNodeB, 7));
  stage_.answer(kSentinel3, word(kNodeB, 7));
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  EXPECT_EQ(owner(), kNodeB);
}

TEST_F(SentinelTopology, ANodeThatSaysThatItIsAReplicaIsAskedForAgainSoon) {
  accept_sentinels();
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.answer(sentinel, word(kNodeA, 0));
  stage_.accept(kNodeA);
  stage_.answer(kNodeA, node("slave"));
  EXPECT_EQ(owner(), config::Address{});
  EXPECT_EQ(stage_.transport.logged.back(),
            "no master 'mymaster': 10.0.0.1:7001, which the sentinels name, is a replica");
  stage_.pass(200);
  EXPECT_EQ(stage_.taken(kSentinel1), kQuestions);
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.answer(sentinel, word(kNodeA, 0));
  stage_.answer(kNodeA, node("master"));
  EXPECT_EQ(owner(), kNodeA);
}

TEST_F(SentinelTopology, ANodeThatDoesNotLetItselfBeAskedIsTakenForAMaster) {
  accept_sentinels();
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.answer(sentinel, word(kNodeA, 0));
  stage_.accept(kNodeA);
  stage_.answer(kNodeA, "-NOPERM no INFO\r\n-NOPERM no ROLE\r\n");
  EXPECT_EQ(owner(), kNodeA);
  EXPECT_EQ(stage_.worker.map().masters[0].name, "10.0.0.1:7001");
}

TEST_F(SentinelTopology, ASwitchIsFollowedAtTheFirstWordOfIt) {
  find(kNodeA, 3);
  next_round();
  stage_.answer(kSentinel2, word(kNodeB, 4));
  EXPECT_EQ(owner(), kNodeA);
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  EXPECT_EQ(owner(), kNodeB) << "two sentinels have not answered";
}

TEST_F(SentinelTopology, AWordOfASwitchThatComesLateIsLookedInto) {
  find(kNodeA, 3);
  next_round();
  stage_.pass(1000);  // the round is over, nobody having answered
  stage_.answer(kSentinel2, word(kNodeB, 4));
  stage_.pass(200);
  stage_.answer(kSentinel2, word(kNodeB, 4));
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  EXPECT_EQ(owner(), kNodeB);
}

TEST_F(SentinelTopology, AnOlderEpochIsNotBelievedFromOne) {
  find(kNodeA, 3);
  next_round();
  stage_.lose(kSentinel1);
  stage_.lose(kSentinel3);
  stage_.answer(kSentinel2, word(kNodeB, 2));
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  stage_.pass(1000);
  EXPECT_EQ(owner(), kNodeA);
}

TEST_F(SentinelTopology, AnOlderEpochIsBelievedFromMost) {
  find(kNodeA, 3);
  next_round();
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.answer(sentinel, word(kNodeB, 0));
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  EXPECT_EQ(owner(), kNodeB) << "the sentinels were set up anew";
}

TEST_F(SentinelTopology, ASentinelThatDoesNotAnswerHoldsUpOneSecond) {
  accept_sentinels();
  stage_.answer(kSentinel1, word(kNodeA, 0));
  stage_.accept(kNodeA);
  stage_.answer(kNodeA, node("master"));
  stage_.pass(900);
  EXPECT_EQ(owner(), config::Address{});
  stage_.pass(200);
  EXPECT_EQ(owner(), kNodeA);
}

TEST_F(SentinelTopology, SentinelsThatOthersNameAreAskedToo) {
  const config::Address fourth{"10.1.0.4", 26379};
  accept_sentinels();
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) {
    stage_.answer(sentinel, word(kNodeA, 0, {kSentinel1, fourth}));
  }
  stage_.accept(kNodeA);
  stage_.answer(kNodeA, node("master"));
  stage_.pass(1000);
  stage_.accept(fourth);
  EXPECT_EQ(stage_.taken(fourth), kQuestions);
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.lose(sentinel);
  stage_.answer(fourth, word(kNodeB, 1));
  stage_.accept(kNodeB);
  stage_.answer(kNodeB, node("master"));
  EXPECT_EQ(owner(), kNodeB);
}

TEST_F(SentinelTopology, ANameThatNobodyKnowsIsPointedOut) {
  accept_sentinels();
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) {
    stage_.answer(sentinel, "-ERR No such master with that name\r\n-ERR No such master with that name\r\n*-1\r\n");
  }
  EXPECT_EQ(stage_.transport.logged.back(), "no master 'mymaster': sentinel 10.1.0.1:26379 does not know this name");
}

TEST_F(SentinelTopology, ALostConnectionToTheMasterIsAReasonToAsk) {
  find(kNodeA, 3);
  stage_.pass(500);
  EXPECT_TRUE(stage_.taken(kSentinel1).empty());
  stage_.lose(kNodeA);
  stage_.pass(10);
  EXPECT_EQ(stage_.taken(kSentinel1), kQuestions);
}

TEST_F(SentinelTopology, TheMasterStaysWhileNoSentinelAnswers) {
  find(kNodeA, 3);
  for (const auto& sentinel : {kSentinel1, kSentinel2, kSentinel3}) stage_.lose(sentinel);
  stage_.pass(5000);
  EXPECT_EQ(owner(), kNodeA);
  EXPECT_EQ(stage_.transport.logged.back(), "no master 'mymaster': no sentinel answered");
}

}  // namespace
}  // namespace corral::core

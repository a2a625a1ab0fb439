// Rules on the way of a request: what the node is sent for what a client says, and what the client gets to see of it.
#include "proxy/core/rules.h"

#include <gtest/gtest.h>

#include "proxy/core/parsed_request.h"
#include "stage.h"

namespace corral::core {
namespace {

// Jitter is 0, so that what is sent can be told.
config::Settings settings_with(const std::string& mode) {
  config::Settings settings;
  settings.rules.push_back({.name = "free", .match = {"free*"}, .ttl = {}, .max_value_bytes = 0});
  settings.rules.push_back(
      {.name = "all",
       .match = {"*"},
       .ttl = config::TtlSettings{.default_ms = 300'000, .max_ms = 3'600'000, .jitter = 0, .mode = mode},
       .max_value_bytes = 1000});
  return settings;
}

class RulesTest : public testing::Test {
 protected:
  explicit RulesTest(const std::string& mode = "enforce") : stage(settings_with(mode)) {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }

  // In each test: what is counted for all is counted for the rule, too.
  void TearDown() override {
    const RuleStats& of_rule = stage.worker.rule_stats().all().at("all");
    EXPECT_EQ(counted("ttl_defaulted"), of_rule.ttl_defaulted);
    EXPECT_EQ(counted("ttl_clamped"), of_rule.ttl_clamped);
    EXPECT_EQ(counted("ttl_rejected"), of_rule.ttl_rejected);
    EXPECT_EQ(counted("ttl_observed"), of_rule.ttl_observed);
    EXPECT_EQ(counted("ttl_missing"), of_rule.ttl_missing);
    EXPECT_EQ(counted("too_big"), of_rule.too_big);
  }

  uint64_t counted(std::string_view name) {
    for (const auto& [what, count] : stage.process.totals()) {
      if (what == name) return count;
    }
    ADD_FAILURE() << name;
    return 0;
  }

  Stage stage;
  Stage::Client client = stage.connect_client();
};

class RejectTest : public RulesTest {
 protected:
  RejectTest() : RulesTest("reject") {}
};

class ObserveTest : public RulesTest {
 protected:
  ObserveTest() : RulesTest("observe") {}
};

TEST_F(RulesTest, SetIsRewrittenInPlace) {
  stage.client_sends(client, "SET bar 1\r\nSET bar 1 EX 7200\r\nSET bar 1 EX 60\r\nGET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"SET bar 1 PX 300000", "SET bar 1 PX 3600000", "SET bar 1 EX 60", "GET bar"}));
  stage.answer(kNodeA, "+OK\r\n+OK\r\n+OK\r\n$1\r\n1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+OK\r\n+OK\r\n$1\r\n1\r\n");
  EXPECT_EQ(counted("ttl_defaulted"), 1u);
  EXPECT_EQ(counted("ttl_clamped"), 1u);
}

TEST_F(RulesTest, SetnxAnswersWithANumber) {
  stage.client_sends(client, "SETNX bar 1\r\nSETNX bar 1\r\nSETNX bar 1\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands(3, "SET bar 1 NX PX 300000"));
  stage.answer(kNodeA, "+OK\r\n$-1\r\n-OOM command not allowed\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n:0\r\n-OOM command not allowed\r\n");
}

TEST_F(RulesTest, OtherWritesAreFollowedByPExpireInOnePiece) {
  stage.client_sends(client, "INCR bar\r\nGET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "INCR bar", "PEXPIRE bar 300000 NX", "EXEC", "GET bar"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:7\r\n:1\r\n$1\r\n7\r\n");
  EXPECT_EQ(stage.received(client), ":7\r\n$1\r\n7\r\n");
  EXPECT_EQ(counted("ttl_defaulted"), 1u);
}

TEST_F(RulesTest, WhatBringsATtlAlongIsCappedAsWell) {
  stage.client_sends(client, "RENAME bar {bar}2\r\n");
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "RENAME bar {bar}2", "PEXPIRE {bar}2 300000 NX", "PEXPIRE {bar}2 3600000 LT", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:0\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_EQ(counted("ttl_clamped"), 1u);
}

TEST_F(RulesTest, ErrorsOfTheCommandAreItsOwn) {
  stage.client_sends(client, "HSET bar f v\r\nHSET bar f v\r\n");
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-WRONGTYPE no hash\r\n:0\r\n");
  EXPECT_EQ(stage.received(client), "-WRONGTYPE no hash\r\n");
  // Refused when it was queued: as it came, not as EXECABORT.
  stage.answer(kNodeA, "+OK\r\n-OOM no memory\r\n+QUEUED\r\n-EXECABORT Transaction discarded\r\n");
  EXPECT_EQ(stage.received(client), "-OOM no memory\r\n");
}

TEST_F(RulesTest, RedirectedPieceIsSentAgainWhole) {
  stage.client_sends(client, "INCR bar\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, "+OK\r\n-MOVED 5061 10.0.0.2:7002\r\n-MOVED 5061 10.0.0.2:7002\r\n-EXECABORT discarded\r\n");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"MULTI", "INCR bar", "PEXPIRE bar 300000 NX", "EXEC"}));
  stage.answer(kNodeB, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n");
}

TEST_F(RulesTest, PieceThatIsLostInTheMiddleBeginsAnew) {
  const auto other = stage.connect_client();
  stage.link(kNodeA).room = 20;  // MULTI, and a little more
  stage.client_sends(client, "INCR bar\r\n");
  stage.answer(kNodeA, "+OK\r\n");
  stage.lose(kNodeA);
  stage.pass(200);
  stage.accept(kNodeA);
  stage.client_sends(other, "GET hello\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "INCR bar", "PEXPIRE bar 300000 NX", "EXEC", "GET hello"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n$1\r\nh\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n");
  EXPECT_EQ(stage.received(other), "$1\r\nh\r\n");
}

TEST_F(RulesTest, ReadsRemovalsAndOtherKeysPassAsTheyCame) {
  stage.client_sends(client,
                     "GET bar\r\nHDEL bar f\r\nLPOP bar\r\nLPUSHX bar 1\r\nINCR free{bar}\r\nSET free{bar} 1\r\n");
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"GET bar", "HDEL bar f", "LPOP bar", "LPUSHX bar 1", "INCR free{bar}", "SET free{bar} 1"}));
}

TEST_F(RulesTest, KeyFoundWithoutATtlIsCounted) {
  stage.client_sends(client, "TTL bar\r\nPTTL free{bar}\r\nPTTL bar\r\n");
  stage.answer(kNodeA, ":-1\r\n:-1\r\n:5\r\n");
  EXPECT_EQ(stage.received(client), ":-1\r\n:-1\r\n:5\r\n");
  EXPECT_EQ(counted("ttl_missing"), 1u);
}

TEST_F(RulesTest, MsetOverTwoNodesIsOnePieceEach) {
  stage.client_sends(client, "MSET bar 1 foo 2\r\n");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "MSET bar 1", "PEXPIRE bar 300000 NX", "EXEC"}));
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"MULTI", "MSET foo 2", "PEXPIRE foo 300000 NX", "EXEC"}));
  for (const auto& node : {kNodeA, kNodeB}) stage.answer(node, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
}

TEST_F(RulesTest, TransactionGetsWhatItsKeysLackOnceBeforeExec) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nSETNX bar 2\r\nINCR {bar}n\r\nINCR {bar}n\r\nGET bar\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "SET bar 1 PX 300000", "SETNX bar 2", "INCR {bar}n", "INCR {bar}n", "GET bar",
                      "PEXPIRE bar 300000 NX", "PEXPIRE bar 3600000 LT", "PEXPIRE {bar}n 300000 NX", "EXEC"}));
  stage.answer(kNodeA,
               "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
               "*8\r\n+OK\r\n:0\r\n:1\r\n:2\r\n$1\r\n1\r\n:0\r\n:0\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "*5\r\n+OK\r\n:0\r\n:1\r\n:2\r\n$1\r\n1\r\n");
}

TEST_F(RulesTest, BlockingCommandHasItsPExpireRightBehindIt) {
  stage.client_sends(client, "BLMOVE bar {bar}2 LEFT RIGHT 0\r\n");
  stage.accept(kNodeA, 5);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"BLMOVE bar {bar}2 LEFT RIGHT 0", "PEXPIRE {bar}2 300000 NX"}));
  stage.answer(kNodeA, "$1\r\nx\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
}

TEST_F(RulesTest, ScriptIsWrappedForTheKeysThatItDeclares) {
  stage.client_sends(client, "EVAL x 1 bar a\r\n");
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "EVAL x 1 bar a", "PEXPIRE bar 300000 NX", "PEXPIRE bar 3600000 LT", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n*2\r\n:1\r\n:2\r\n:0\r\n:0\r\n");
  EXPECT_EQ(stage.received(client), "*2\r\n:1\r\n:2\r\n");
}

TEST_F(RulesTest, ValueOverTheLimitIsRefusedAndTheConnectionLivesOn) {
  const std::string large(1001, 'x');
  stage.client_sends(client, "SET bar " + large + "\r\nSET free{bar} " + large + "\r\nPING\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET free{bar} " + large});
  stage.answer(kNodeA, "+OK\r\n");
  const std::string replies = stage.received(client);
  EXPECT_EQ(replies.substr(0, 7), "-TOOBIG");
  EXPECT_NE(replies.find("+OK\r\n+PONG\r\n"), replies.npos) << replies;
  EXPECT_EQ(counted("too_big"), 1u);
}

TEST_F(RulesTest, ValueIsRefusedByItsDeclaredLengthAndSkipped) {
  stage.client_sends(client, "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$100000\r\n");
  EXPECT_EQ(stage.received(client).substr(0, 7), "-TOOBIG");
  for (int i = 0; i < 10; ++i) stage.client_sends(client, std::string(10'000, 'x'));
  stage.client_sends(client, "\r\nPING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
}

TEST_F(RulesTest, WhatIsTooBigDoesNotDependOnHowItIsCut) {
  const std::string large(1500, 'x');
  const std::string mset = "*5\r\n$4\r\nMSET\r\n$3\r\nbar\r\n$1\r\n1\r\n$9\r\nfree{bar}\r\n$1500\r\n";
  stage.client_sends(client, mset);
  stage.client_sends(client, large + "\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "MSET bar 1 free{bar} " + large, "PEXPIRE bar 300000 NX", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  stage.client_sends(client, "*2\r\n$3\r\nDEL\r\n$1500\r\n");              // a key is no value
  stage.client_sends(client, large + "\r\nEVAL " + large + " 1 bar\r\n");  // nor is a script
  EXPECT_EQ(stage.received(client), "");
}

TEST_F(RulesTest, ReplyThatIsSkippedIsTheRightOneAlsoIfItIsEarly) {
  stage.client_sends(client, "CLIENT REPLY SKIP\r\n*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$2000\r\n");
  stage.client_sends(client, std::string(2000, 'x') + "\r\nPING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
}

TEST_F(RulesTest, PieceSharesOnlyItsOwnKeys) {
  const std::string piece = "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n";
  EXPECT_TRUE(share_key(stage.worker, piece, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"));
  EXPECT_FALSE(share_key(stage.worker, piece, "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"));
  EXPECT_TRUE(share_key(stage.worker, piece, "*3\r\n$4\r\nEVAL\r\n$1\r\nx\r\n$1\r\n0\r\n")) << "any";
}

TEST_F(RulesTest, ValueOverTheLimitAbortsATransaction) {
  stage.client_sends(client, "MULTI\r\nSET bar " + std::string(1001, 'x') + "\r\nEXEC\r\n");
  const std::string replies = stage.received(client);
  EXPECT_NE(replies.find("-TOOBIG"), replies.npos);
  EXPECT_NE(replies.find("-EXECABORT"), replies.npos);
  stage.client_sends(client, "MULTI\r\n*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$1001\r\n");
  stage.client_sends(client, std::string(1001, 'x') + "\r\nEXEC\r\n");
  EXPECT_NE(stage.received(client).find("-EXECABORT"), replies.npos);
}

TEST_F(RejectTest, WritesThatSayNoTtlAreRefusedAtOnce) {
  stage.client_sends(client, "SET bar 1\r\nGETSET bar 1\r\nMSET bar 1 foo 2\r\nSET bar 1 EX 60\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1 EX 60"});
  stage.answer(kNodeA, "+OK\r\n");
  const std::string replies = stage.received(client);
  size_t refused = 0;
  for (size_t at = 0; (at = replies.find("-TTLREQUIRED", at)) != replies.npos; ++at) ++refused;
  EXPECT_EQ(refused, 3u);
  EXPECT_EQ(counted("ttl_rejected"), 3u);
}

TEST_F(RejectTest, OtherWritesAreJudgedByWhatIsThere) {
  struct Case {
    const char* command;
    const char* ttl;
    bool refused;
  };
  for (const Case& one : {Case{"INCR bar", ":-2\r\n", true},
                          Case{"INCR bar", ":-1\r\n", true},
                          Case{"INCR bar", ":5000\r\n", false},
                          Case{"PERSIST bar", ":5000\r\n", true},
                          Case{"PERSIST bar", ":-2\r\n", false},
                          Case{"SET bar 1 KEEPTTL", ":5000\r\n", false},
                          Case{"SET bar 1 KEEPTTL", ":-2\r\n", true},
                          Case{"SETNX bar 1", ":-2\r\n", true},
                          Case{"SETNX bar 1", ":5000\r\n", false},
                          Case{"SET bar 1 NX", ":5000\r\n", false},
                          Case{"SET bar 1 NX", ":-2\r\n", true},
                          Case{"SET bar 1 XX", ":-2\r\n", false},
                          Case{"SET bar 1 XX", ":5000\r\n", true},
                          Case{"GETEX bar PERSIST", ":-2\r\n", false},
                          Case{"GETEX bar PERSIST", ":5000\r\n", true},
                          Case{"ZADD bar XX 1 a", ":-2\r\n", false},
                          Case{"ZADD bar NX 1 a", ":-2\r\n", true},
                          Case{"XADD bar NOMKSTREAM * a b", ":-2\r\n", false},
                          Case{"BITFIELD bar GET u8 0", ":-2\r\n", false},
                          Case{"BITFIELD bar SET u8 0 1", ":-2\r\n", true},
                          Case{"XGROUP CREATE bar g $", ":-2\r\n", false},
                          Case{"XGROUP CREATE bar g $ MKSTREAM", ":-2\r\n", true},
                          Case{"MSETNX bar 1", ":5000\r\n", false},
                          Case{"MSETNX bar 1", ":-2\r\n", true}}) {
    stage.client_sends(client, std::string(one.command) + "\r\n");
    EXPECT_EQ(stage.taken(kNodeA), Commands{"PTTL bar"});
    stage.answer(kNodeA, one.ttl);
    EXPECT_EQ(stage.received(client).substr(0, 12), one.refused ? "-TTLREQUIRED" : "") << one.command << one.ttl;
    if (one.refused) continue;
    const Commands sent = stage.taken(kNodeA);
    ASSERT_GE(sent.size(), 4u);
    EXPECT_EQ(sent[1], one.command);
    std::string replies = "+OK\r\n";
    for (size_t i = 2; i < sent.size(); ++i) replies += "+QUEUED\r\n";
    replies += '*' + std::to_string(sent.size() - 2) + "\r\n";
    for (size_t i = 2; i < sent.size(); ++i) replies += ":0\r\n";
    stage.answer(kNodeA, replies);
    EXPECT_EQ(stage.received(client), ":0\r\n");
  }
}

TEST_F(RejectTest, RenameTakesTheSourcesTtlAlong) {
  for (const bool has_ttl : {false, true}) {
    stage.client_sends(client, "RENAME bar {bar}2\r\n");
    EXPECT_EQ(stage.taken(kNodeA), (Commands{"PTTL bar", "PTTL {bar}2"}));
    stage.answer(kNodeA, has_ttl ? ":5000\r\n:-1\r\n" : ":-1\r\n:5000\r\n");
    EXPECT_EQ(stage.taken(kNodeA).size(), has_ttl ? 5u : 0u);
    EXPECT_EQ(stage.received(client).empty(), has_ttl);
  }
}

TEST_F(RejectTest, TransactionOfAClientThatHasGoneDoesNotRunWithoutItsWatch) {
  stage.client_sends(client, "WATCH bar\r\n");
  stage.accept(kNodeA, 7);
  stage.taken(kNodeA);
  stage.answer(kNodeA, "+OK\r\n");
  stage.client_sends(client, "MULTI\r\nINCR bar\r\nEXEC\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PTTL bar"});
  stage.client_fails(client);
  for (const auto& socket : stage.transport.sockets) EXPECT_EQ(socket->written.find("INCR"), std::string::npos);
}

TEST_F(RejectTest, ClientThatGoesWhileItsTransactionIsLookedAtIsForgotten) {
  stage.client_sends(client, "MULTI\r\nINCR bar\r\nPING\r\nEXEC\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PTTL bar"});
  stage.client_fails(client);
  stage.answer(kNodeA, ":5000\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  EXPECT_EQ(stage.worker.lingering(), 0u);
}

TEST_F(RejectTest, CopyAndRenamenxSpareWhatIsThere) {
  for (const char* command : {"RENAMENX bar {bar}2", "COPY bar {bar}2", "COPY bar {bar}2 REPLACE"}) {
    for (const bool there : {false, true}) {
      stage.client_sends(client, std::string(command) + "\r\n");
      stage.taken(kNodeA);
      stage.answer(kNodeA, there ? ":-1\r\n:5000\r\n" : ":-1\r\n:-2\r\n");
      const bool refused = stage.received(client).starts_with("-TTLREQUIRED");
      EXPECT_EQ(refused, !there || std::string(command).ends_with("REPLACE")) << command;
      if (refused) continue;
      stage.taken(kNodeA);
      stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:0\r\n:0\r\n:0\r\n");
      EXPECT_EQ(stage.received(client), ":0\r\n");
    }
  }
}

TEST_F(RejectTest, TransactionIsJudgedByWhatItLeaves) {
  stage.client_sends(client, "MULTI\r\nHSET bar f v\r\nEXPIRE bar 60\r\nEXEC\r\nPING\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PTTL bar"});
  stage.answer(kNodeA, ":-2\r\n");
  // Seen as missing, so it is as if EXPIRE found what HSET made.
  EXPECT_EQ(stage.taken(kNodeA).size(), 5u);
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:1\r\n:0\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n+PONG\r\n");
  stage.client_sends(client, "MULTI\r\nHSET bar f v\r\nEXEC\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, ":-2\r\n");
  EXPECT_NE(stage.received(client).find("-TTLREQUIRED"), std::string::npos);
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
}

TEST_F(ObserveTest, NothingChangesAndIsCounted) {
  stage.client_sends(client, "SET bar 1\r\nINCR bar\r\nSET bar 1 EX 7200\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET bar 1", "MULTI", "INCR bar", "PTTL bar", "EXEC", "SET bar 1 EX 7200"}));
  stage.answer(kNodeA, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n:-1\r\n+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n:2\r\n+OK\r\n");
  EXPECT_EQ(counted("ttl_observed"), 2u);
}

}  // namespace
}  // namespace corral::core

// Rules that keep keys for longer than their TTL (stale_while_revalidate): what the node is sent and says is by so much
// more than what the client says and is told.
#include <gtest/gtest.h>

#include "proxy/core/rules.h"
#include "stage.h"

namespace corral::core {
namespace {

constexpr int64_t kStaleMs = 30'000;

// Jitter is 0, so that what is sent can be told. Of the rules the first says nothing of TTLs.
config::Settings settings_with(const std::string& mode) {
  const config::StampedeSettings stale{.stale_while_revalidate_ms = kStaleMs};
  config::Settings settings;
  settings.rules = {
      {.name = "off", .match = {"off*"}, .ttl = {}, .max_value_bytes = 0, .stampede = stale},
      {.name = "none", .match = {"none*"}, .ttl = {}, .max_value_bytes = 0, .stampede = config::StampedeSettings{}},
      {.name = "all",
       .match = {"*"},
       .ttl = config::TtlSettings{300'000, 3'600'000, 0, mode},
       .max_value_bytes = 0,
       .stampede = stale}};
  return settings;
}

// All keys have the slot of {bar}.
class SoftTtlTest : public testing::Test {
 protected:
  explicit SoftTtlTest(const std::string& mode = "enforce") : stage(settings_with(mode)) {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }

  Commands sent(const std::string& requests) {
    stage.client_sends(client, requests);
    return stage.taken(kNodeA);
  }
  std::string answered(const std::string& replies) {
    stage.answer(kNodeA, replies);
    return stage.received(client);
  }

  Stage stage;
  Stage::Client client = stage.connect_client();
};

class SoftTtlRejectTest : public SoftTtlTest {
 protected:
  SoftTtlRejectTest() : SoftTtlTest("reject") {}
};

class SoftTtlObserveTest : public SoftTtlTest {
 protected:
  SoftTtlObserveTest() : SoftTtlTest("observe") {}
};

TEST_F(SoftTtlTest, WhatIsSaidIsStoredForLonger) {
  EXPECT_EQ(sent("SET off{bar} 1 EX 10\r\nSETEX off{bar} 10 1\r\nEXPIRE off{bar} 10\r\nSET off{bar} 1\r\n"
                 "SETNX off{bar} 1\r\nEXPIRE off{bar} 0\r\n"),
            (Commands{"SET off{bar} 1 PX 40000", "PSETEX off{bar} 40000 1", "PEXPIRE off{bar} 40000", "SET off{bar} 1",
                      "SETNX off{bar} 1", "EXPIRE off{bar} 0"}));
  EXPECT_EQ(answered("+OK\r\n+OK\r\n:1\r\n+OK\r\n:0\r\n:1\r\n"), "+OK\r\n+OK\r\n:1\r\n+OK\r\n:0\r\n:1\r\n");
  EXPECT_EQ(stage.count(&Stats::ttl_defaulted) + stage.count(&Stats::ttl_clamped), 0u);
}

TEST_F(SoftTtlTest, RuleThatSaysNothingElseOfTtlsAddsNothing) {
  EXPECT_EQ(sent("INCR off{bar}\r\nRENAME off{bar} off{bar}2\r\nPERSIST off{bar}\r\nEVAL x 1 off{bar}\r\n"),
            (Commands{"INCR off{bar}", "RENAME off{bar} off{bar}2", "PERSIST off{bar}", "EVAL x 1 off{bar}"}));
}

TEST_F(SoftTtlTest, DefaultAndMaximumAreOfWhatClientsSee) {
  EXPECT_EQ(sent("SET bar 1\r\nSET bar 1 EX 7200\r\n"), (Commands{"SET bar 1 PX 330000", "SET bar 1 PX 3630000"}));
  answered("+OK\r\n+OK\r\n");
  EXPECT_EQ(sent("RENAME bar {bar}2\r\n"),
            (Commands{"MULTI", "RENAME bar {bar}2", "PEXPIRE {bar}2 330000 NX", "PEXPIRE {bar}2 3630000 LT", "EXEC"}));
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:0\r\n:1\r\n"), "+OK\r\n");
  EXPECT_EQ(stage.count(&Stats::ttl_defaulted), 1u);
  EXPECT_EQ(stage.count(&Stats::ttl_clamped), 2u);
  stage.client_sends(client, "BLMOVE bar {bar}2 LEFT RIGHT 0\r\n");
  stage.accept(kNodeA, 5);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"BLMOVE bar {bar}2 LEFT RIGHT 0", "PEXPIRE {bar}2 330000 NX"}));
}

TEST_F(SoftTtlTest, WhoAsksIsToldLess) {
  EXPECT_EQ(sent("TTL bar\r\nPTTL bar\r\nGET bar\r\nEXPIRETIME bar\r\nPEXPIRETIME off{bar}\r\n"),
            (Commands{"PTTL bar", "PTTL bar", "GET bar", "PEXPIRETIME bar", "PEXPIRETIME off{bar}"}));
  EXPECT_EQ(answered(":31500\r\n:31499\r\n:31\r\n:1700000030500\r\n:1700000030499\r\n"),
            ":2\r\n:1499\r\n:31\r\n:1700000001\r\n:1700000000499\r\n");
  for (const char* command : {"TTL bar\r\n", "PTTL bar\r\n"}) {
    sent(command);
    EXPECT_EQ(answered(":29999\r\n"), ":0\r\n");
    sent(command);
    EXPECT_EQ(answered(":-2\r\n"), ":-2\r\n");
    sent(command);
    EXPECT_EQ(answered("-NOPERM no\r\n"), "-NOPERM no\r\n");
  }
}

TEST_F(SoftTtlTest, WhoAsksIsToldLessAlsoByTheNextOwner) {
  EXPECT_EQ(sent("TTL bar\r\n"), Commands{"PTTL bar"});
  stage.answer(kNodeA, "-MOVED 5061 10.0.0.2:7002\r\n");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"PTTL bar"});
  stage.answer(kNodeB, ":40000\r\n");
  EXPECT_EQ(stage.received(client), ":10\r\n");
}

TEST_F(SoftTtlTest, KeyWithoutATtlIsCountedOnlyWhereOneIsDemanded) {
  sent("TTL bar\r\nTTL off{bar}\r\nTTL none{bar}\r\n");
  EXPECT_EQ(answered(":-1\r\n:-1\r\n:-1\r\n"), ":-1\r\n:-1\r\n:-1\r\n");
  EXPECT_EQ(stage.count(&Stats::ttl_missing), 1u);
}

TEST_F(SoftTtlTest, WithoutStaleNothingChanges) {
  const Commands commands = {"SET none{bar} 1 EX 10", "TTL none{bar}",           "SETEX none{bar} 10 1",
                             "EXPIRE none{bar} 5",    "SET none{bar} 1 KEEPTTL", "EXPIRETIME none{bar}"};
  std::string requests;
  for (const std::string& command : commands) requests += command + "\r\n";
  EXPECT_EQ(sent(requests), commands);
  EXPECT_EQ(answered("+OK\r\n:10\r\n+OK\r\n:1\r\n+OK\r\n:1700000001\r\n"),
            "+OK\r\n:10\r\n+OK\r\n:1\r\n+OK\r\n:1700000001\r\n");
}

// --- MULTI ---

TEST_F(SoftTtlTest, TransactionSaysAndIsToldLikewise) {
  stage.client_sends(client, "MULTI\r\nSET off{bar} 1 EX 10\r\nTTL off{bar}\r\nPEXPIRETIME off{bar}\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "SET off{bar} 1 PX 40000", "PTTL off{bar}", "PEXPIRETIME off{bar}", "EXEC"}));
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:40000\r\n:1700000040000\r\n"),
            "*3\r\n+OK\r\n:10\r\n:1700000010000\r\n");
}

TEST_F(SoftTtlTest, TransactionIsToldBesideWhatRulesAdd) {
  stage.client_sends(client, "MULTI\r\nHSET bar f v\r\nTTL bar\r\nTTL {bar}x\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "HSET bar f v", "PTTL bar", "PTTL {bar}x", "PEXPIRE bar 330000 NX", "EXEC"}));
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n:40000\r\n-ERR no\r\n:1\r\n"),
            "*3\r\n:1\r\n:10\r\n-ERR no\r\n");
}

TEST_F(SoftTtlTest, TransactionIsToldBesideWhatCorralRuns) {
  stage.client_sends(client, "MULTI\r\nPING\r\nTTL bar\r\nGET bar\r\nPING\r\nPTTL bar\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "PTTL bar", "GET bar", "PTTL bar", "EXEC"}));
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:40000\r\n:40000\r\n:30001\r\n"),
            "*5\r\n+PONG\r\n:10\r\n:40000\r\n+PONG\r\n:1\r\n");
}

// --- KEEPTTL ---

TEST_F(SoftTtlTest, KeepTtlKeepsWhatIsLeft) {
  EXPECT_EQ(sent("SET off{bar} 1 KEEPTTL\r\nGET bar\r\n"), Commands{"PTTL off{bar}"});
  stage.answer(kNodeA, ":30001\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET off{bar} 1 KEEPTTL", "GET bar"}));
  EXPECT_EQ(answered("+OK\r\n$-1\r\n"), "+OK\r\n$-1\r\n");
}

TEST_F(SoftTtlTest, KeepTtlDoesNotKeepWhatIsOver) {
  EXPECT_EQ(sent("SET off{bar} 1 KEEPTTL XX\r\n"), Commands{"PTTL off{bar}"});
  stage.answer(kNodeA, ":30000\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET off{bar} 1 XX"});
  EXPECT_EQ(answered("+OK\r\n"), "+OK\r\n");
}

TEST_F(SoftTtlTest, NothingOvertakesWhatIsLookedAt) {
  EXPECT_EQ(sent("MULTI\r\nINCR off{bar}\r\nEXEC\r\nSET off{bar} 1 KEEPTTL\r\nGET bar\r\n"),
            (Commands{"MULTI", "INCR off{bar}", "EXEC", "PTTL off{bar}"}));
  stage.received(client);
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"), "*1\r\n:1\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  stage.answer(kNodeA, ":-1\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET off{bar} 1 KEEPTTL", "GET bar"}));
  EXPECT_EQ(answered("+OK\r\n$1\r\nx\r\n"), "+OK\r\n$1\r\nx\r\n");
}

TEST_F(SoftTtlTest, KeepTtlOfWhatIsOverGetsTheDefault) {
  EXPECT_EQ(sent("SET bar 1 KEEPTTL\r\n"), Commands{"PTTL bar"});
  stage.answer(kNodeA, ":5\r\n");
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "SET bar 1", "PEXPIRE bar 330000 NX", "PEXPIRE bar 3630000 LT", "EXEC"}));
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:1\r\n:0\r\n"), "+OK\r\n");
}

TEST_F(SoftTtlTest, KeepTtlInATransactionIsJudgedByWhatComesBeforeIt) {
  stage.client_sends(client,
                     "MULTI\r\nSET off{bar} 1 KEEPTTL\r\nSET off{bar}2 1 EX 5\r\nSET off{bar}2 2 KEEPTTL\r\n"
                     "SET off{bar}3 1 KEEPTTL NX\r\nSET {bar} 1 KEEPTTL\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"PTTL off{bar}", "PTTL off{bar}2", "PTTL off{bar}3", "PTTL {bar}"}));
  stage.answer(kNodeA, ":5\r\n:5\r\n:5\r\n:5\r\n");
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"MULTI", "SET off{bar} 1", "SET off{bar}2 1 PX 35000", "SET off{bar}2 2 KEEPTTL",
                      "SET off{bar}3 1 KEEPTTL NX", "SET {bar} 1 PX 330000", "EXEC"}));
}

// --- values that are passed on as they come ---

std::string frame(const std::vector<std::string>& args) {
  std::string out = '*' + std::to_string(args.size()) + "\r\n";
  for (const std::string& arg : args) out += '$' + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return out;
}

class SoftTtlUploadTest : public SoftTtlTest {
 protected:
  // What the node gets of a request, of which the client sends so much at first, then (when the node has been found)
  // all but so much of its end, and then that.
  std::string passed(const std::string& request, size_t first, size_t last) {
    stage.client_sends(client, request.substr(0, first));
    stage.accept(kNodeA, 7);
    stage.link(kNodeA).written.clear();
    stage.answer(kNodeA, ":0\r\n");
    stage.client_sends(client, request.substr(first, request.size() - last - first));
    if (last > 0) stage.client_sends(client, request.substr(request.size() - last));
    return std::exchange(stage.link(kNodeA).written, {});
  }

  const std::string value_ = std::string(5u << 20, 'v');
};

class SoftTtlCutTest : public SoftTtlUploadTest, public testing::WithParamInterface<size_t> {};

TEST_P(SoftTtlCutTest, SetSaysItsTtlBehindTheValue) {
  const std::string request = frame({"SET", "off{bar}", value_, "NX", "EX", "10"});
  EXPECT_TRUE(passed(request, 60, GetParam()) == frame({"SET", "off{bar}", value_, "NX", "PX", "40000"}));
  EXPECT_EQ(answered("+OK\r\n"), "+OK\r\n");
}

// Behind the value are 24 bytes; before them its own end.
INSTANTIATE_TEST_SUITE_P(BytesLast, SoftTtlCutTest, testing::Range<size_t>(0, 30));

TEST_F(SoftTtlUploadTest, OthersSayItBeforeTheValue) {
  EXPECT_TRUE(passed(frame({"SETEX", "off{bar}", "10", value_}), 1 << 20, 1) ==
              frame({"PSETEX", "off{bar}", "40000", value_}));
}

TEST_F(SoftTtlUploadTest, RestoreMaySayBehindTheValueWhatItMeans) {
  EXPECT_TRUE(passed(frame({"RESTORE", "off{bar}", "1800000000000", value_, "ABSTTL"}), 1 << 20, 3) ==
              frame({"RESTORE", "off{bar}", "1800000030000", value_, "ABSTTL"}));
}

TEST_F(SoftTtlUploadTest, NumberOfArgumentsStays) {
  const std::string request = frame({"SET", "off{bar}", value_, "EX", "9", "EX", "10"});
  EXPECT_TRUE(passed(request, 60, 3) == request);
}

TEST_F(SoftTtlUploadTest, RuleAddsTheRestBehindTheValue) {
  EXPECT_TRUE(passed(frame({"SET", "bar", value_, "EX", "7200"}), 60, 3) ==
              frame({"MULTI"}) + frame({"SET", "bar", value_, "PX", "7230000"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"PEXPIRE bar 330000 NX", "PEXPIRE bar 3630000 LT", "EXEC"}));
}

TEST_F(SoftTtlUploadTest, RuleWithoutStaleChangesNothing) {
  const std::string request = frame({"SET", "none{bar}", value_, "EX", "10"});
  EXPECT_TRUE(passed(request, 60, 3) == request);
}

// --- the other modes ---

TEST_F(SoftTtlRejectTest, WhatIsOverIsNoTtlToKeep) {
  EXPECT_EQ(sent("SET bar 1 KEEPTTL\r\n"), Commands{"PTTL bar"});
  EXPECT_TRUE(answered(":5\r\n").starts_with("-TTLREQUIRED"));
  EXPECT_EQ(sent("INCR bar\r\n"), Commands{"PTTL bar"});
  stage.answer(kNodeA, ":5\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "INCR bar", "PEXPIRE bar 330000 NX", "EXEC"})) << "it is there";
}

TEST_F(SoftTtlRejectTest, WhatIsSaidIsStoredForLonger) {
  EXPECT_EQ(sent("SET bar 1\r\nSET bar 1 EX 10\r\nSET bar 1 EX 7200\r\n"),
            (Commands{"SET bar 1 PX 40000", "SET bar 1 PX 3630000"}));
}

TEST_F(SoftTtlObserveTest, StaleIsAddedAndTheRestCounted) {
  EXPECT_EQ(sent("SET bar 1\r\nSET bar 1 EX 7200\r\nINCR bar\r\nTTL bar\r\n"),
            (Commands{"SET bar 1", "SET bar 1 PX 7230000", "MULTI", "INCR bar", "PTTL bar", "EXEC", "PTTL bar"}));
  EXPECT_EQ(answered("+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n:-1\r\n:-1\r\n"),
            "+OK\r\n+OK\r\n:2\r\n:-1\r\n");
  EXPECT_EQ(stage.count(&Stats::ttl_observed), 2u);
  EXPECT_EQ(stage.count(&Stats::ttl_clamped), 0u);
  EXPECT_EQ(stage.count(&Stats::ttl_missing), 1u);
}

TEST_F(SoftTtlObserveTest, TransactionLikewise) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nSET {bar}2 1 EX 7200\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "SET bar 1", "SET {bar}2 1 PX 7230000", "PTTL bar", "EXEC"}));
  EXPECT_EQ(answered("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n:-1\r\n"), "*2\r\n+OK\r\n+OK\r\n");
  EXPECT_EQ(stage.count(&Stats::ttl_observed), 1u);
}

}  // namespace
}  // namespace corral::core

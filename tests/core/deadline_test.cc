// Nothing waits past its time: whatever a command is, and however the nodes fail, its client gets an error.
#include <gtest/gtest.h>

#include "faulty_nodes.h"

namespace corral::core {
namespace {

struct Case {
  std::string_view name, commands;
  int replies;
};

constexpr Case kCases[] = {
    {"read", "GET bar\r\n", 1},
    {"write", "SET bar 1\r\n", 1},
    {"one after the other", "SET bar 1\r\nGET bar\r\nGET foo\r\n", 3},
    {"split read", "MGET bar foo\r\n", 1},
    {"split write", "MSET bar 1 foo 2\r\n", 1},
    {"split delete", "DEL bar foo\r\n", 1},
    {"fan out", "DBSIZE\r\n", 1},
    {"fan out write", "FLUSHALL\r\n", 1},
    {"walk", "SCAN 0\r\n", 1},
    {"walk to the end", "KEYS *\r\n", 1},
    {"transaction", "MULTI\r\nSET bar 1\r\nEXEC\r\n", 3},
    {"watch", "WATCH bar\r\n", 1},
    {"script", "EVAL \"return 1\" 1 bar\r\n", 1},
    {"script by its sum", "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 bar\r\n", 1},
    {"publish", "PUBLISH news hello\r\n", 1},
    {"unlisted", "MODULE.COMMAND bar\r\n", 1},
    {"wait", "WAIT 1 100\r\n", 1},
};

int lines_with_type(const std::string& text) {
  int count = 0;
  for (size_t at = 0; at < text.size(); at = text.find("\r\n", at) + 2)
    count += std::string("+-:$*").find(text[at]) != std::string::npos;
  return count;
}

class DeadlineTest : public testing::TestWithParam<Fault> {};

TEST_P(DeadlineTest, EveryCommandIsAnsweredWithinTheRequestTimeout) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    config::Settings settings;
    settings.upstream.request_timeout_ms = 1000;
    settings.upstream.connect_timeout_ms = 300;
    Stage stage(settings);
    const auto client = stage.connect_client();
    stage.client_sends(client, one.commands);
    pass_with_fault(stage, GetParam(), 1350);
    const std::string replies = stage.received(client);
    EXPECT_EQ(lines_with_type(replies), one.replies) << replies;
    EXPECT_FALSE(client.socket->closed);
    if (one.name == "wait") continue;  // 0 replicas
    EXPECT_NE(replies.find("\r\n-") + 1 + (replies[0] == '-'), 0u) << replies << " ends with an error";
    stage.client_sends(client, "PING\r\n");
    EXPECT_EQ(stage.received(client), "+PONG\r\n");
  }
}

// BLPOP may wait for as long as it says, but not for a connection.
TEST_P(DeadlineTest, ABlockingCommandDoesNotWaitForAConnectionForLongerThanARequestMayTake) {
  if (GetParam() == Fault::kSilent) return;
  config::Settings settings;
  settings.upstream.request_timeout_ms = 1000;
  settings.upstream.connect_timeout_ms = 300;
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "BLPOP bar 0\r\n");
  pass_with_fault(stage, GetParam(), 2500);
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN "));
}

INSTANTIATE_TEST_SUITE_P(Faults, DeadlineTest, testing::Values(Fault::kRefuses, Fault::kHangs, Fault::kSilent));

struct SlowNodeTest : testing::Test {
  SlowNodeTest() : client(stage.connect_client()) {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA, 11);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
    stage.taken(kNodeA);
  }
  Stage stage;
  const Stage::Client client;
};

// It answers now and then, so it is not stuck; but it has more to do than it can.
TEST_F(SlowNodeTest, WhatItDoesNotComeToIsAnsweredWithoutIt) {
  FakeSocket& link = stage.link(kNodeA);
  const auto other = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\nSET bar 3\r\nGET bar\r\n");
  stage.client_sends(other, "MULTI\r\nSET hello 1\r\nEXEC\r\n");
  stage.received(other);
  for (int i = 0; i < 2; ++i) {
    stage.pass(3000);
    stage.answer(kNodeA, "+OK\r\n");
  }
  stage.pass(100);
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("+OK\r\n")) << replies;
  EXPECT_NE(replies.find("-INDOUBT "), std::string::npos) << replies;
  EXPECT_NE(replies.find("did not come to it within the request timeout"), std::string::npos) << replies;
  EXPECT_EQ(lines_with_type(replies), 4) << replies;
  EXPECT_GE(stage.count(&Stats::requests_expired), 2u);
  EXPECT_FALSE(link.closed);
  // What it still says finds nobody; what comes behind it finds its own.
  stage.client_sends(client, "GET bar\r\n");
  stage.answer(kNodeA, "+OK\r\n$1\r\n3\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$1\r\n4\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\n4\r\n");
  EXPECT_EQ(stage.received(other), "*1\r\n+OK\r\n") << "a transaction is not cut short";
}

// The time for which it was held counts, too: it may not take so long twice.
TEST_F(SlowNodeTest, WhatWasHeldFirstIsAnsweredInTimeAllTheSame) {
  stage.client_sends(client, "SET bar 1\r\n");
  for (int i = 0; i < 40; ++i) {
    if (!stage.taken(kNodeA).empty()) stage.answer(kNodeA, "-LOADING Redis is loading the dataset in memory\r\n");
    stage.pass(100);
  }
  for (int i = 0; i < 10 && stage.taken(kNodeA).empty(); ++i) stage.pass(100);
  const auto other = stage.connect_client();
  stage.client_sends(other, "GET bar\r\n");
  stage.pass(1500);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
  EXPECT_EQ(stage.received(other), "") << "it has not had its time";
}

// Likewise where there is no connection: the request is taken back, and others that came with it stay.
TEST(Deadline, AConnectionIsNotWaitedForBeyondTheRequestTimeout) {
  config::Settings settings;
  settings.upstream.request_timeout_ms = settings.upstream.connect_timeout_ms = 1000;
  Stage stage(settings);
  const auto first = stage.connect_client(), second = stage.connect_client();
  stage.client_sends(first, "SET bar 1\r\nGET bar\r\n");
  stage.pass(900);
  stage.lose(kNodeA, "connection refused");
  for (int i = 0; i < 50 && !stage.has_link(kNodeA); ++i) stage.pass(1);
  stage.client_sends(second, "SET bar 2\r\n");
  stage.pass(900);
  const std::string replies = stage.received(first);
  EXPECT_TRUE(replies.starts_with("-CLUSTERDOWN ")) << replies;
  EXPECT_EQ(lines_with_type(replies), 2) << replies;
  stage.accept(kNodeA, 11);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET bar 2"}));
}

TEST_F(SlowNodeTest, AReplyThatNeverEndsIsGivenUpAlthoughItComes) {
  FakeSocket& link = stage.link(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  stage.answer(kNodeA, "+O");
  for (int i = 0; i < 120 && !link.closed; ++i) {
    stage.pass(100);
    if (!link.closed) stage.turn([&] { link.endpoint->on_bytes("K", 1); });
  }
  EXPECT_TRUE(link.closed);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
}

}  // namespace
}  // namespace corral::core

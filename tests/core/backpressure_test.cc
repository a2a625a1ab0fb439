// A client that asks for much or reads little: it is not read from, and closed past a limit; nothing it sent is lost.
#include <gtest/gtest.h>

#include "proxy/core/session.h"
#include "stage.h"

namespace corral::core {
namespace {

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

config::Settings with_pipeline(uint32_t limit) {
  config::Settings settings;
  settings.limits.client_pipeline = limit;
  return settings;
}

TEST(Backpressure, PipelineBeyondTheLimitIsTakenUpAsRepliesCome) {
  Stage stage(with_pipeline(10));
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, ":0\r\n");
  stage.taken(kNodeA);
  stage.received(client);

  stage.client_sends(client, repeated("GET bar\r\n", 25));
  EXPECT_EQ(stage.taken(kNodeA).size(), 10u);
  EXPECT_FALSE(client.socket->reading);
  size_t taken = 10, answered = 0;
  std::string replies;
  while (answered < taken) {
    stage.answer(kNodeA, ":" + std::to_string(++answered) + "\r\n");
    replies += stage.received(client);
    taken += stage.taken(kNodeA).size();
    EXPECT_LE(taken - answered, 10u);
  }
  EXPECT_EQ(taken, 25u);
  EXPECT_TRUE(client.socket->reading);
  std::string expected;
  for (int i = 1; i <= 25; ++i) expected += ":" + std::to_string(i) + "\r\n";
  EXPECT_EQ(replies, expected);
}

TEST(Backpressure, LimitOfOneServesOneAfterTheOther) {
  Stage stage(with_pipeline(1));
  const auto client = stage.connect_client();
  stage.client_sends(client, repeated("GET bar\r\n", 3));
  stage.accept(kNodeA);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(stage.taken(kNodeA).size(), 1u);
    stage.answer(kNodeA, ":1\r\n");
  }
  EXPECT_EQ(stage.received(client), repeated(":1\r\n", 3));
  EXPECT_TRUE(client.socket->reading);
}

TEST(Backpressure, LocalCommandsBeyondTheLimitAreAllAnswered) {
  Stage stage(with_pipeline(4));
  const auto client = stage.connect_client();
  stage.client_sends(client, repeated("PING\r\n", 100));
  EXPECT_EQ(stage.received(client), repeated("+PONG\r\n", 100));
  EXPECT_TRUE(client.socket->reading);
}

TEST(Backpressure, ClientThatDoesNotReadIsNotReadFromUntilItDoes) {
  Stage stage;
  const auto client = stage.connect_client();
  const std::string echo = "*2\r\n$4\r\nECHO\r\n$300000\r\n" + std::string(300'000, 'x') + "\r\n";
  const std::string reply = "$300000\r\n" + std::string(300'000, 'x') + "\r\n";
  client.socket->room = 0;
  stage.client_sends(client, repeated(echo, 6));
  EXPECT_FALSE(client.socket->reading);
  EXPECT_FALSE(client.socket->closed);
  std::string replies;
  for (int i = 0; i < 30 && replies.size() < 6 * reply.size(); ++i) {
    stage.give_room(client, 200'000);
    replies += stage.received(client);
  }
  EXPECT_EQ(replies, repeated(reply, 6));
  EXPECT_TRUE(client.socket->reading);
}

TEST(Backpressure, ClientPastTheOutputLimitIsClosed) {
  config::Settings settings;
  settings.limits.client_output_bytes = 100'000;
  Stage stage(settings);
  const auto client = stage.connect_client();
  client.socket->room = 0;
  stage.client_sends(client, repeated("GET bar\r\n", 4));
  stage.accept(kNodeA);
  const std::string reply = "$60000\r\n" + std::string(60'000, 'x') + "\r\n";
  stage.answer(kNodeA, reply + reply);
  EXPECT_FALSE(client.socket->closed);
  stage.answer(kNodeA, reply);
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.count(&Stats::clients_overrun), 1u);
  EXPECT_EQ(stage.process.clients(), 0u);
  stage.answer(kNodeA, reply);  // of a request that nobody waits for any more
}

TEST(Backpressure, EarlyRepliesKeptForTheirTurnCountForTheOutputLimit) {
  config::Settings settings;
  settings.limits.client_output_bytes = 100'000;
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET foo\r\n" + repeated("GET bar\r\n", 3));
  stage.accept(kNodeA);
  const std::string reply = "$60000\r\n" + std::string(60'000, 'x') + "\r\n";
  stage.answer(kNodeA, reply + reply + reply);
  EXPECT_TRUE(client.socket->closed) << "the reply to GET foo has not come";
}

TEST(Backpressure, LargeRepliesMakeThePipelineShorter) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  const std::string reply = "$5000000\r\n" + std::string(5'000'000, 'x') + "\r\n";
  stage.answer(kNodeA, reply);
  stage.taken(kNodeA);
  stage.received(client);

  stage.client_sends(client, repeated("GET bar\r\n", 40));
  size_t under_way = stage.taken(kNodeA).size();
  EXPECT_LE(under_way, 8u);
  size_t total = under_way;
  for (int i = 0; i < 40 && under_way > 0; ++i) {
    stage.answer(kNodeA, reply);
    EXPECT_EQ(stage.received(client).size(), reply.size());
    const size_t more = stage.taken(kNodeA).size();
    under_way += more - 1;
    total += more;
    EXPECT_LE(under_way, 8u);
  }
  EXPECT_EQ(total, 40u);
}

TEST(Backpressure, RequestsBeyondTheInflightBytesOfTheWorkerWaitForAll) {
  config::Settings settings;
  settings.limits.inflight_bytes = 1000;
  Stage stage(settings);
  const auto first = stage.connect_client();
  const auto second = stage.connect_client();
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$600\r\n" + std::string(600, 'x') + "\r\n";
  stage.client_sends(first, repeated(set, 5));
  stage.client_sends(second, repeated("GET bar\r\n", 5));
  EXPECT_FALSE(first.socket->reading);
  EXPECT_FALSE(second.socket->reading);
  stage.accept(kNodeA);
  size_t answered = 0;
  for (size_t due = stage.taken(kNodeA).size(); due > 0; due = stage.taken(kNodeA).size()) {
    EXPECT_LE(due, 5u);
    stage.answer(kNodeA, repeated("+OK\r\n", static_cast<int>(due)));
    answered += due;
  }
  EXPECT_EQ(answered, 10u);
  EXPECT_EQ(stage.received(first), repeated("+OK\r\n", 5));
  EXPECT_EQ(stage.received(second), repeated("+OK\r\n", 5));
  EXPECT_TRUE(first.socket->reading);
  EXPECT_TRUE(second.socket->reading);
}

// While a node loads its data, what is for it waits here.
TEST(Backpressure, HeldRequestsCountAsUnderWay) {
  config::Settings settings;
  settings.limits.inflight_bytes = 10'000;
  Stage stage(settings);
  const auto client = stage.connect_client();
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$6000\r\n" + std::string(6000, 'x') + "\r\n";
  stage.client_sends(client, set);
  stage.accept(kNodeA);
  stage.taken(kNodeA);
  const std::string loading = "-LOADING Redis is loading the dataset in memory\r\n";
  stage.answer(kNodeA, loading);
  EXPECT_GT(stage.worker.inflight_bytes(), set.size());
  EXPECT_TRUE(client.socket->reading);
  stage.client_sends(client, set + set);
  EXPECT_GT(stage.worker.inflight_bytes(), 2 * set.size());
  EXPECT_LT(stage.worker.inflight_bytes(), 3 * set.size()) << "the third is not taken";
  EXPECT_FALSE(client.socket->reading);
  for (int answers = 0; answers < 3; stage.pass(10)) {
    const int due = static_cast<int>(stage.taken(kNodeA).size());
    stage.answer(kNodeA, repeated("+OK\r\n", due));
    answers += due;
  }
  EXPECT_EQ(stage.received(client), repeated("+OK\r\n", 3));
  EXPECT_TRUE(client.socket->reading);
  EXPECT_EQ(stage.worker.inflight_bytes(), 0u);
}

TEST(Backpressure, RequestsKeptBehindAPauseAreAnsweredAfterTheClientEnds) {
  Stage stage(with_pipeline(2));
  const auto client = stage.connect_client();
  stage.client_sends(client, repeated("GET bar\r\n", 5));
  // The end may be told although reading is paused.
  stage.turn([&] { client.session->on_end(); });
  stage.accept(kNodeA);
  for (int i = 0; i < 5; ++i) stage.answer(kNodeA, ":1\r\n");
  EXPECT_EQ(stage.received(client), repeated(":1\r\n", 5));
  EXPECT_TRUE(client.socket->closed);
}

TEST(Backpressure, HalfARequestBehindAPauseDoesNotKeepAnEndedClientOpen) {
  Stage stage(with_pipeline(2));
  const auto client = stage.connect_client();
  stage.client_sends(client, repeated("GET bar\r\n", 5) + "GET ba");
  stage.turn([&] { client.session->on_end(); });
  stage.accept(kNodeA);
  for (int i = 0; i < 5; ++i) stage.answer(kNodeA, ":1\r\n");
  EXPECT_EQ(stage.received(client), repeated(":1\r\n", 5));
  EXPECT_TRUE(client.socket->closed);
}

TEST(Backpressure, EndBetweenTheEndOfAPauseAndTheNextTurnLosesNoRequest) {
  Stage stage(with_pipeline(2));
  const auto client = stage.connect_client();
  stage.client_sends(client, repeated("GET bar\r\n", 3));
  stage.accept(kNodeA);
  FakeSocket& node = stage.link(kNodeA);
  stage.worker.begin_turn(stage.now_ms);
  node.endpoint->on_bytes(":1\r\n:1\r\n", 8);
  stage.worker.end_turn();  // writes the replies, which ends the pause; the worker wants another turn
  stage.worker.begin_turn(stage.now_ms);
  client.session->on_end();
  stage.turn([] {});
  stage.answer(kNodeA, ":1\r\n");
  EXPECT_EQ(stage.received(client), repeated(":1\r\n", 3));
}

TEST(Backpressure, ClosingByACommandWhileTheWorkerIsBackloggedIsHarmless) {
  config::Settings settings;
  settings.limits.inflight_bytes = 1000;
  Stage stage(settings);
  const auto full = stage.connect_client();
  const auto hostile = stage.connect_client();
  stage.client_sends(full, "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$2000\r\n" + std::string(2000, 'x') + "\r\n");
  stage.client_sends(hostile, "POST / HTTP/1.1\r\n");
  EXPECT_TRUE(hostile.socket->closed);
}

}  // namespace
}  // namespace corral::core

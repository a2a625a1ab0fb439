// Requests and replies that are too large to be collected are passed on as they come.
#include <gtest/gtest.h>

#include "stage.h"

namespace corral::core {
namespace {

constexpr size_t kLarge = 16u << 20;
constexpr size_t kPiece = 64u << 10;

std::string set_header(size_t size) { return "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$" + std::to_string(size) + "\r\n"; }

class LargeValueTest : public testing::Test {
 protected:
  void SetUp() override {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }

  // The beginning of a large SET has come and its node has been found.
  void begin_upload() {
    stage.client_sends(client, set_header(kLarge));
    stage.accept(kNodeA, 7);
    EXPECT_EQ(stage.taken(kNodeA), Commands{"EXISTS bar"});
    stage.answer(kNodeA, ":0\r\n");
  }

  void send_value(size_t size) {
    const std::string piece(kPiece, 'v');
    for (size_t sent = 0; sent < size; sent += kPiece) {
      ASSERT_TRUE(client.socket->reading);
      stage.client_sends(client, piece);
      written += stage.link(kNodeA).written.size();
      stage.link(kNodeA).written.clear();
    }
  }

  Stage stage;
  Stage::Client client = stage.connect_client();
  size_t written = 0;
};

TEST_F(LargeValueTest, RequestIsPassedOnAndNotKept) {
  begin_upload();
  send_value(kLarge);
  EXPECT_GE(written, kLarge);
  EXPECT_EQ(stage.received(client), "");
  stage.client_sends(client, "\r\nGET foo\r\n");
  EXPECT_FALSE(stage.has_link(kNodeB));  // what follows waits
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_TRUE(stage.has_link(kNodeB));
  EXPECT_EQ(stage.worker.own_links().idle(), 1u);
}

TEST_F(LargeValueTest, ClientIsNotReadFromWhileTheNodeDoesNotRead) {
  begin_upload();
  stage.link(kNodeA).room = 0;
  const std::string piece(kPiece, 'v');
  size_t sent = 0;
  for (; client.socket->reading && sent < kLarge; sent += kPiece) stage.client_sends(client, piece);
  EXPECT_LE(sent, size_t{2} << 20);
}

TEST_F(LargeValueTest, OwnerIsFollowedBeforeTheValueIsSent) {
  stage.client_sends(client, set_header(kLarge));
  stage.accept(kNodeA, 7);
  stage.answer(kNodeA, "-MOVED 5061 10.0.0.2:7002\r\n");
  stage.pass(20);
  stage.accept(kNodeB, 8);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"EXISTS bar"});
  stage.answer(kNodeB, ":0\r\n");
  EXPECT_TRUE(stage.link(kNodeB).written.starts_with(set_header(kLarge)));
}

TEST_F(LargeValueTest, NodeThatIsLostInTheMiddleStoresNothingAndTheClientLivesOn) {
  begin_upload();
  send_value(kLarge / 2);
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), "");
  const std::string piece(kPiece, 'v');
  for (size_t sent = kLarge / 2; sent < kLarge; sent += kPiece) stage.client_sends(client, piece);
  stage.client_sends(client, "\r\nPING\r\n");
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("-CLUSTERDOWN ")) << replies;
  EXPECT_TRUE(replies.ends_with("+PONG\r\n")) << replies;
}

TEST_F(LargeValueTest, ClientThatGoesAwayInTheMiddleClosesTheNodesConnection) {
  begin_upload();
  send_value(kLarge / 2);
  FakeSocket& link = stage.link(kNodeA);
  stage.client_fails(client);
  EXPECT_TRUE(link.closed);
  EXPECT_EQ(stage.worker.own_links().used(), 0u);
}

TEST_F(LargeValueTest, ClientThatEndsInTheMiddleClosesTheNodesConnection) {
  begin_upload();
  send_value(kLarge / 2);
  FakeSocket& link = stage.link(kNodeA);
  stage.client_ends(client);
  EXPECT_TRUE(link.closed);
}

TEST_F(LargeValueTest, ReplyIsPassedOnAtTheClientsPace) {
  stage.client_sends(client, "GET bar\r\n");
  stage.taken(kNodeA);
  FakeSocket& link = stage.link(kNodeA);
  client.socket->room = 0;
  stage.answer(kNodeA, "$" + std::to_string(kLarge) + "\r\n");
  size_t sent = 0;
  for (; link.reading && sent < kLarge; sent += kPiece) {
    stage.turn([&] { link.endpoint->on_bytes(std::string(kPiece, 'v').data(), kPiece); });
  }
  EXPECT_LE(sent, size_t{2} << 20);
  stage.give_room(client, SIZE_MAX);
  EXPECT_TRUE(link.reading);
  for (; sent < kLarge; sent += kPiece) {
    stage.turn([&] { link.endpoint->on_bytes(std::string(kPiece, 'v').data(), kPiece); });
  }
  stage.turn([&] { link.endpoint->on_bytes("\r\n", 2); });
  EXPECT_EQ(stage.received(client).size(), kLarge + std::string("$16777216\r\n\r\n").size());
  stage.client_sends(client, "PING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
}

TEST_F(LargeValueTest, OthersGetAFreshConnection) {
  const auto other = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  stage.client_sends(other, "GET hello\r\nSET bar 1\r\n");
  stage.taken(kNodeA);
  FakeSocket& old = stage.link(kNodeA);
  client.socket->room = 0;
  stage.answer(kNodeA, "$" + std::to_string(kLarge) + "\r\n");
  stage.accept(kNodeA, 9);
  EXPECT_NE(&stage.link(kNodeA), &old);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET hello"});  // which only reads; the SET waits where it is
  stage.client_sends(other, "GET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});  // behind its SET
  stage.answer(kNodeA, "$1\r\nh\r\n");
  EXPECT_EQ(stage.received(other), "$1\r\nh\r\n");
}

TEST_F(LargeValueTest, ReplyThatBreaksOffClosesItsClient) {
  stage.client_sends(client, "GET bar\r\n");
  stage.answer(kNodeA, "$" + std::to_string(kLarge) + "\r\nabc");
  stage.lose(kNodeA);
  EXPECT_TRUE(client.socket->closed);
}

// The reply under way is that of a request that has run: what is held meanwhile does not wait for it.
TEST_F(LargeValueTest, WhatIsHeldWhileALargeReplyIsUnderWayIsSentAgain) {
  stage.client_sends(client, "GET bar\r\n");
  FakeSocket& old = stage.link(kNodeA);
  old.written.clear();
  const std::string value(kLarge, 'v');
  stage.answer(kNodeA, "$" + std::to_string(kLarge) + "\r\n" + value.substr(1));
  stage.client_sends(client, "SET bar 1\r\n");
  stage.accept(kNodeA, 9);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  stage.answer(kNodeA, "-LOADING Redis is loading the dataset in memory\r\n");
  stage.turn([&] { old.endpoint->on_bytes("v\r\n", 3); });
  stage.pass(100);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_TRUE(stage.received(client).ends_with("v\r\n+OK\r\n"));
  EXPECT_EQ(stage.worker.holds().size(), 0u);
}

// What follows of the value is no request, and the connection is of no more use.
TEST_F(LargeValueTest, NodeThatAnswersBeforeItHasAllEndsTheRequestThere) {
  begin_upload();
  send_value(kLarge / 2);
  FakeSocket& node = stage.link(kNodeA);
  stage.answer(kNodeA, "-ERR Protocol error: invalid bulk length\r\n");
  EXPECT_TRUE(node.closed);
  const std::string piece(kPiece, 'v');
  for (size_t sent = kLarge / 2; sent < kLarge; sent += kPiece) stage.client_sends(client, piece);
  stage.client_sends(client, "\r\nPING\r\n");
  EXPECT_EQ(stage.received(client), "-ERR Protocol error: invalid bulk length\r\n+PONG\r\n");
}

}  // namespace
}  // namespace corral::core

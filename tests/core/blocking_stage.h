// A client that is to block, on a stage; for the tests of blocking commands.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "stage.h"

namespace corral::core {

inline constexpr std::string_view kElement = "*2\r\n$3\r\nbar\r\n$1\r\nx\r\n";

/// A client; nothing is connected yet. {bar} is on A.
struct BlockingTest : testing::Test {
  BlockingTest() : client(stage.connect_client()) {}

  /// The client waits at A.
  void block(std::string_view command) {
    stage.client_sends(client, std::string(command) + "\r\n");
    if (!stage.link(kNodeA).connected) stage.accept(kNodeA, 11);
    ASSERT_EQ(stage.taken(kNodeA), Commands{std::string(command)});
    ASSERT_TRUE(client.session->blocked());
  }
  /// Time passes until a connection to the node is being made.
  void until_connecting(const config::Address& node, uint32_t most_ms = 1000) {
    for (uint32_t i = 0; i < most_ms && !stage.has_link(node); ++i) stage.pass(1);
    ASSERT_TRUE(stage.has_link(node));
  }
  void hang_up() {
    stage.turn([&] { client.session->on_hang_up(); });
  }
  /// Refuses all connections to A until the client hears something, for at most `most_ms`.
  std::string refuse_until_answered(uint32_t most_ms) {
    std::string reply;
    for (uint32_t passed = 0; passed < most_ms && reply.empty(); passed += 10) {
      if (stage.has_link(kNodeA)) stage.lose(kNodeA, "connection refused");
      stage.pass(10);
      reply = stage.received(client);
    }
    return reply;
  }
  void expect_nothing_left() {
    EXPECT_FALSE(client.session->blocked());
    EXPECT_FALSE(client.session->referenced());
    EXPECT_EQ(stage.worker.own_links().used(), 0u);
    EXPECT_EQ(stage.process.blocked_clients(), 0u);
  }

  Stage stage;
  const Stage::Client client;
};

}  // namespace corral::core

// A node that says what no Redis says: it loses its connection, and nothing else happens. Memory follows what it has
// sent, never what it announces.
#include <gtest/gtest.h>

#include "faulty_nodes.h"
#include "proxy/core/session.h"
#include "proxy/core/topology_source.h"

namespace corral::core {
namespace {

std::string repeated(std::string_view text, size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

struct HostileNode : testing::Test {
  explicit HostileNode(config::Settings settings = {}) : stage(std::move(settings)), client(stage.connect_client()) {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA, 11);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }
  void closes_after(std::string_view bytes) {
    SCOPED_TRACE(bytes.substr(0, 40));
    if (!stage.has_link(kNodeA)) {
      stage.client_sends(client, "GET bar\r\n");
      stage.pass(10);
      stage.accept(kNodeA, 12);
      stage.answer(kNodeA, "$-1\r\n");
      stage.received(client);
    }
    stage.client_sends(client, "SET bar 1\r\n");
    FakeSocket& link = stage.link(kNodeA);
    stage.turn([&] { link.endpoint->on_bytes(bytes.data(), bytes.size()); });
    EXPECT_TRUE(link.closed);
    const std::string reply = stage.received(client);
    EXPECT_TRUE(reply.starts_with("-INDOUBT ")) << reply;
    EXPECT_EQ(reply.find("\r\n"), reply.size() - 2) << reply;
  }
  /// As a whole reply, which the client gets as it is.
  void passes(const std::string& bytes) {
    stage.client_sends(client, "GET bar\r\n");
    stage.answer(kNodeA, bytes);
    EXPECT_TRUE(stage.received(client) == bytes);
  }
  Stage stage;
  const Stage::Client client;
};

TEST_F(HostileNode, LengthsThatCannotBe) {
  closes_after("$-2\r\n");
  closes_after("*-2\r\n");
  closes_after("%-1\r\n");
  closes_after("$4294967297\r\n");
  closes_after("*4294967295\r\n");
  closes_after("*2147483648\r\n");
  closes_after("$99999999999999999999\r\n");
  closes_after("$18446744073709551615\r\n");
  closes_after("*" + std::string(100'000, '1'));
  closes_after("$\r\n");
}

TEST_F(HostileNode, GarbageAndStreams) {
  closes_after("@what\r\n");
  closes_after(std::string(1000, '\0'));
  closes_after("$?\r\n;4\r\nabcd\r\n;0\r\n");
  closes_after("+a\rb\r\n");
  closes_after("$3\r\nabcde");
}

TEST_F(HostileNode, LargeLengthsTakeNoMemoryBeforeTheBytesCome) {
  stage.client_sends(client, "EXISTS bar hello\r\n");  // collected, since it is merged or told anew
  const size_t before = stage.worker.find_link(stage.process.node_id(kNodeA), LinkKind())->memory_bytes();
  for (const char* header : {"*2147483645\r\n", "$1000000000\r\n", "%2147483645\r\n", "*2\r\n*2147483647\r\n"}) {
    Stage one;
    const auto other = one.connect_client();
    one.client_sends(other, "GET bar\r\n");
    one.accept(kNodeA, 11);
    one.answer(kNodeA, header);
    const Link* link = one.worker.find_link(one.process.node_id(kNodeA), LinkKind());
    if (link) {
      EXPECT_LT(link->memory_bytes(), before + 100'000) << header;
    }
  }
}

TEST_F(HostileNode, NestingOfAHundredThousandLevels) {
  passes(repeated("*1\r\n", 100'000) + "*0\r\n");
  stage.client_sends(client, "MULTI\r\nGET bar\r\nEXEC\r\nMGET bar {bar}2 foo\r\n");
  stage.accept(kNodeB);
  stage.received(client);
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n" + repeated("*1\r\n", 100'000) + "*0\r\n");
  stage.answer(kNodeA, repeated("*1\r\n", 100'000) + "*0\r\n");
  stage.answer(kNodeB, "*1\r\n" + repeated("*1\r\n", 100'000) + "*0\r\n");
  EXPECT_FALSE(client.socket->closed);
}

TEST_F(HostileNode, ABillionEmptyArrays) {
  // Announced, and as many as fit into a MiB sent: nothing but these is held.
  stage.client_sends(client, "GET bar\r\n");
  stage.answer(kNodeA, "*1000000000\r\n" + repeated("*0\r\n", 1 << 18));
  const Link* link = stage.worker.find_link(stage.process.node_id(kNodeA), LinkKind());
  ASSERT_NE(link, nullptr);
  EXPECT_LT(link->memory_bytes(), 4u << 20);
  EXPECT_FALSE(client.socket->closed);
}

TEST_F(HostileNode, RepliesToNothing) {
  FakeSocket& link = stage.link(kNodeA);
  stage.turn([&] { link.endpoint->on_bytes("+OK\r\n+OK\r\n", 10); });
  EXPECT_TRUE(link.closed);
  stage.client_sends(client, "PING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
}

// Found by fuzzing: what was held before such an answer came stayed so for ever.
TEST(NodeOfACluster, WhereOneServerShouldBeDoesNotKeepWhatIsHeldWaiting) {
  config::Settings settings;
  settings.upstream.mode = "standalone";
  settings.upstream.seeds = {kNodeA};
  Stage stage(settings);
  const ClusterView view = view_of_one_owner("standalone", kNodeA);
  stage.turn([&] { stage.worker.set_map(stage.process.publish(view, stage.transport.wall_us)); });
  const auto client = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\nGET foo\r\n");
  stage.accept(kNodeA, 11);
  stage.taken(kNodeA);
  stage.answer(kNodeA, "-LOADING Redis is loading the dataset in memory\r\n-MOVED 12182 10.0.0.2:7002\r\n");
  stage.pass(100);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  stage.answer(kNodeA, "+OK\r\n");
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("+OK\r\n-ERR the upstream is a node of a cluster")) << replies;
  EXPECT_EQ(stage.worker.holds().size(), 0u);
}

// Found by fuzzing: it was taken for the reply, and the rest of the request for the start of the next.
TEST_F(HostileNode, RepliesToWhatHasNotWhollyBeenSent) {
  for (const std::string& reply : {std::string("+OK\r\n"), "$5000000\r\n" + std::string(5'000'000, 'x') + "\r\n"}) {
    FakeSocket& link = stage.link(kNodeA);
    link.room = 20;
    stage.client_sends(client, "GET " + std::string(100, '0') + "{bar}\r\n");
    stage.answer(kNodeA, reply);
    EXPECT_TRUE(link.closed);
    stage.pass(100);
    stage.accept(kNodeA, 12);
    EXPECT_EQ(stage.taken(kNodeA).size(), 1u) << "it cannot have run";
    stage.answer(kNodeA, "$-1\r\n");
    EXPECT_EQ(stage.received(client), "$-1\r\n");
  }
}

TEST_F(HostileNode, PushesThatMakeNoSense) {
  for (const char* push : {">0\r\n", ">1\r\n*0\r\n", ">2\r\n$10\r\ninvalidate\r\n:1\r\n",
                           ">3\r\n+message\r\n+a\r\n+b\r\n", ">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n:5\r\n"}) {
    stage.answer(kNodeA, push);
  }
  EXPECT_FALSE(client.socket->closed);
}

struct SmallReplies : HostileNode {
  static config::Settings settings() {
    config::Settings settings;
    settings.limits.reply_bytes = 6 << 20;
    return settings;
  }
  SmallReplies() : HostileNode(settings()) {}
};

// What cannot be passed on, here since it is to be merged, has to fit.
TEST_F(SmallReplies, AnEndlessLineIsGivenUp) {
  FakeSocket& link = stage.link(kNodeA);
  stage.client_sends(client, "EXISTS bar foo\r\n");
  std::string line = ":";
  for (int i = 0; i < 100 && !link.closed; ++i) {
    line += std::string(100'000, '1');
    stage.turn([&] { link.endpoint->on_bytes(line.data(), line.size()); });
    line.clear();
  }
  EXPECT_TRUE(link.closed);
  EXPECT_EQ(stage.count(&Stats::replies_too_large), 1u);
}

TEST_F(SmallReplies, AReplyThatIsAnnouncedAsTooLargeIsGivenUpAtOnce) {
  FakeSocket& link = stage.link(kNodeA);
  stage.client_sends(client, "MGET bar foo\r\n");
  stage.answer(kNodeA, "*1\r\n$7000000\r\nx");
  if (!link.closed) stage.answer(kNodeA, "x");
  EXPECT_TRUE(link.closed);
}

// A refusal whose text has line ends in it must not become two replies.
TEST(HostileHandshake, LineEndsInWhatTheNodeSaysDoNotReachTheClient) {
  config::Settings settings;
  settings.upstream.password = "secret";
  settings.upstream.request_timeout_ms = 500;
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\nDBSIZE\r\n");
  std::string replies;
  for (int i = 0; i < 200; ++i) {
    for (size_t s = 0; s < stage.transport.sockets.size(); ++s) {
      FakeSocket& socket = *stage.transport.sockets[s];
      if (socket.closed || socket.connected || socket.address.host.empty()) continue;
      socket.connected = true;
      stage.turn([&] { socket.endpoint->on_connected(); });
      const std::string refusal = "!21\r\nNO\r\n+OK\r\n$5\r\nhello\r\n";
      stage.turn([&] { socket.endpoint->on_bytes(refusal.data(), refusal.size()); });
    }
    stage.pass(10);
    replies += stage.received(client);
  }
  EXPECT_EQ(std::count(replies.begin(), replies.end(), '\n'), 2) << replies;
  EXPECT_EQ(replies.find("\r\n+OK"), std::string::npos) << replies;
}

}  // namespace
}  // namespace corral::core

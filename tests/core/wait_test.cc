// WAIT: asked of each master that the client wrote to, on connections of its own; the least count is the reply.
#include <gtest/gtest.h>

#include <bit>

#include "blocking_stage.h"
#include "proxy/core/wait_task.h"
#include "resp/reply_builder.h"

namespace corral::core {
namespace {

/// Writes of the client have been answered by A and by B; connections: the shared ones.
struct WaitTest : BlockingTest {
  WaitTest() {
    stage.client_sends(client, "GET bar\r\nGET foo\r\n");
    for (const auto* node : {&kNodeA, &kNodeB}) {
      stage.accept(*node);
      stage.taken(*node);
      stage.answer(*node, "$-1\r\n");
    }
    stage.received(client);
  }
  void write(const config::Address& node, std::string_view command) {
    stage.client_sends(client, std::string(command) + "\r\n");
    EXPECT_EQ(stage.taken(node), Commands{std::string(command)});
    stage.answer(node, resp::kOk);
    EXPECT_EQ(stage.received(client), resp::kOk);
  }
  /// The node gets the question on a new connection.
  void expect_asked(const config::Address& node, std::string_view command, int id = 21) {
    stage.accept(node, id);
    EXPECT_EQ(stage.taken(node), (Commands{"PING", std::string(command)}));
    stage.answer(node, "+PONG\r\n");
  }
};

TEST_F(WaitTest, AsksTheMasterThatWasWrittenTo) {
  write(kNodeB, "SET foo 1");
  stage.client_sends(client, "WAIT 1 1000\r\n");
  EXPECT_TRUE(client.session->blocked());
  EXPECT_EQ(stage.worker.own_links().used(), 1u);
  expect_asked(kNodeB, "WAIT 1 1000");
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeB, ":2\r\n");
  EXPECT_EQ(stage.received(client), ":2\r\n");
  expect_nothing_left();
  EXPECT_EQ(stage.worker.own_links().idle(), 1u);
}

TEST_F(WaitTest, TheLeastCountOfTheMastersIsTheReply) {
  write(kNodeB, "SET foo 1");
  write(kNodeA, "SET bar 1");
  stage.client_sends(client, "WAIT 1 0\r\n");
  expect_asked(kNodeA, "WAIT 1 0");
  expect_asked(kNodeB, "WAIT 1 0");
  stage.answer(kNodeA, ":3\r\n");
  EXPECT_EQ(stage.received(client), "");
  stage.pass(20'000);
  stage.answer(kNodeB, ":1\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n");
  expect_nothing_left();
}

TEST_F(WaitTest, WhoWroteNothingAsksAnyMasterWithoutWaitingForOthersWrites) {
  stage.client_sends(client, "WAIT 0 0\r\n");
  EXPECT_EQ(stage.worker.own_links().used(), 1u);
  const config::Address& asked = stage.link(kNodeA).connected ? kNodeB : kNodeA;
  stage.accept(asked);
  EXPECT_EQ(stage.taken(asked), Commands{"WAIT 0 0"});
  stage.answer(asked, ":1\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n");
}

TEST_F(WaitTest, ScriptsTransactionsAndSplitWritesAreWrites) {
  stage.client_sends(client, "EVAL x 1 foo\r\n");
  EXPECT_EQ(client.session->written(), uint64_t{1} << stage.process.node_id(kNodeB));
  client.session->forget_written(~uint64_t{0});
  stage.client_sends(client, "DEL foo bar\r\n");
  EXPECT_EQ(std::popcount(client.session->written()), 2);
  client.session->forget_written(~uint64_t{0});
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nEXEC\r\n");
  EXPECT_EQ(client.session->written(), uint64_t{1} << stage.process.node_id(kNodeA));
  client.session->forget_written(~uint64_t{0});
  stage.client_sends(client, "EVAL_RO x 1 foo\r\nMGET foo bar\r\nCONFIG GET x\r\n");
  EXPECT_EQ(client.session->written(), 0u);
}

TEST_F(WaitTest, BlockingWriteIsAWrite) {
  stage.client_sends(client, "BLPOP bar 0\r\n");
  EXPECT_EQ(client.session->written(), uint64_t{1} << stage.process.node_id(kNodeA));
}

TEST_F(WaitTest, RedirectedWriteIsOneOfTheNodeThatTookItToo) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.answer(kNodeA, "-MOVED 5061 10.0.0.2:7002\r\n");
  EXPECT_EQ(std::popcount(client.session->written()), 2);
}

TEST_F(WaitTest, ErrorsAboutArgumentsAreTheClients) {
  write(kNodeA, "SET bar 1");
  write(kNodeB, "SET foo 1");
  stage.client_sends(client, "WAIT x 0\r\n");
  expect_asked(kNodeA, "WAIT x 0");
  stage.answer(kNodeA, "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(stage.received(client), "-ERR value is not an integer or out of range\r\n");
  expect_nothing_left();
}

TEST_F(WaitTest, LostNodeCountsZero) {
  write(kNodeA, "SET bar 1");
  write(kNodeB, "SET foo 1");
  stage.client_sends(client, "WAIT 1 0\r\n");
  expect_asked(kNodeA, "WAIT 1 0");
  expect_asked(kNodeB, "WAIT 1 0");
  stage.answer(kNodeB, ":1\r\n");
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), ":0\r\n");
  EXPECT_EQ(stage.count(&Stats::indoubt), 0u);
  expect_nothing_left();
}

TEST_F(WaitTest, NodeThatBecomesAReplicaCountsZero) {
  for (const std::string_view says :
       {"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n",
        "-ERR WAIT cannot be used with replica instances. Please also note\r\n", "-LOADING Redis is loading\r\n"}) {
    write(kNodeA, "SET bar 1");
    stage.client_sends(client, "WAIT 1 0\r\n");
    if (!stage.link(kNodeA).connected) stage.accept(kNodeA);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "+PONG\r\n" + std::string(says));
    EXPECT_EQ(stage.received(client), ":0\r\n");
    expect_nothing_left();
    stage.worker.own_links().tick(stage.worker.now_ms() + 1'000'000);
  }
}

TEST_F(WaitTest, MasterThatIsNoneAnyMoreCountsZeroOnce) {
  write(kNodeA, "SET bar 1");
  write(kNodeB, "SET foo 1");
  ClusterView view;
  view.nodes = {{"aaaa", kNodeA, false}, {"bbbb", kNodeB, true}, {"cccc", kNodeC, true}};
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) view.owner[slot] = slot < resp::kSlots / 2 ? 2 : 1;
  stage.turn([&] { stage.worker.set_map(stage.process.publish(view, stage.transport.wall_us)); });
  stage.client_sends(client, "WAIT 1 0\r\n");
  expect_asked(kNodeB, "WAIT 1 0");
  stage.answer(kNodeB, ":1\r\n");
  EXPECT_EQ(stage.received(client), ":0\r\n");
  stage.client_sends(client, "WAIT 1 0\r\n");
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"PING", "WAIT 1 0"}));
  stage.answer(kNodeB, "+PONG\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n");
}

TEST_F(WaitTest, SilentNodeThatIsNoMasterAnyMoreCountsZeroAfterTwoSeconds) {
  write(kNodeA, "SET bar 1");
  stage.client_sends(client, "WAIT 1 0\r\n");
  expect_asked(kNodeA, "WAIT 1 0");
  FakeSocket& silent = stage.link(kNodeA);
  ClusterView view;
  view.nodes = {{"bbbb", kNodeB, true}, {"cccc", kNodeC, true}};
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) view.owner[slot] = slot < resp::kSlots / 2 ? 1 : 0;
  stage.turn([&] { stage.worker.set_map(stage.process.publish(view, stage.transport.wall_us)); });
  stage.pass(1900);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(1200);
  EXPECT_EQ(stage.received(client), ":0\r\n");
  EXPECT_TRUE(silent.closed);
}

TEST_F(WaitTest, NodeThatDoesNotSayThatTimeIsOverCountsZero) {
  write(kNodeA, "SET bar 1");
  stage.client_sends(client, "WAIT 1 1000\r\n");
  expect_asked(kNodeA, "WAIT 1 1000");
  stage.pass(5800);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(1000);
  EXPECT_EQ(stage.received(client), ":0\r\n");
}

TEST_F(WaitTest, ClientThatGoesAwayClosesTheConnections) {
  write(kNodeA, "SET bar 1");
  stage.client_sends(client, "WAIT 1 0\r\n");
  expect_asked(kNodeA, "WAIT 1 0");
  FakeSocket& asked = stage.link(kNodeA);
  hang_up();
  EXPECT_TRUE(asked.closed);
  EXPECT_EQ(stage.worker.own_links().used(), 0u);
  EXPECT_EQ(stage.process.blocked_clients(), 0u);
}

}  // namespace
}  // namespace corral::core

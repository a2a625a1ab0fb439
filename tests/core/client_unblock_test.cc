// CLIENT UNBLOCK: the node answers the blocked client, nobody else is unblocked, and the asker hears what became of it.
#include <gtest/gtest.h>

#include "blocking_stage.h"

namespace corral::core {
namespace {

struct UnblockTest : BlockingTest {
  UnblockTest() : other_worker(stage.process, stage.transport, 0, stage.now_ms), admin(stage.connect_client()) {}

  /// Runs what the workers have for each other.
  void run_posted() {
    while (!stage.transport.posted.empty()) {
      for (auto& [worker, work] : std::exchange(stage.transport.posted, {})) {
        if (worker == 0) {
          work(other_worker);
        } else {
          stage.turn([&, &work = work] { work(stage.worker); });
        }
      }
    }
  }
  void ask(std::string_view reason) {
    stage.client_sends(admin, "CLIENT UNBLOCK " + std::to_string(client.session->id()) + std::string(reason) + "\r\n");
    run_posted();
  }

  Worker other_worker;
  const Stage::Client admin;
};

TEST_F(UnblockTest, NodeItselfAnswersTheBlockedClient) {
  block("BLPOP bar 0");
  FakeSocket& blocked = stage.link(kNodeA);
  ask(" TIMEOUT");
  stage.accept(kNodeA, 12);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLIENT UNBLOCK 11 TIMEOUT"});
  EXPECT_EQ(stage.received(admin), "");
  stage.answer(kNodeA, ":1\r\n");
  run_posted();
  EXPECT_EQ(stage.received(admin), ":1\r\n");
  stage.turn([&] { blocked.endpoint->on_bytes("*-1\r\n", 5); });
  EXPECT_EQ(stage.received(client), "*-1\r\n");
  EXPECT_TRUE(blocked.closed) << "a late CLIENT UNBLOCK must not meet the next one who waits there";
  expect_nothing_left();
}

TEST_F(UnblockTest, ErrorIsTheClients) {
  block("BLPOP bar 0");
  FakeSocket& blocked = stage.link(kNodeA);
  ask(" error");
  stage.accept(kNodeA, 12);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLIENT UNBLOCK 11 ERROR"});
  const std::string_view error = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
  stage.turn([&] { blocked.endpoint->on_bytes(error.data(), error.size()); });
  EXPECT_EQ(stage.received(client), error);
}

TEST_F(UnblockTest, NodeThatHasAnsweredMeanwhileMakesItZero) {
  block("BLPOP bar 0");
  ask("");
  stage.accept(kNodeA, 12);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"CLIENT UNBLOCK 11 TIMEOUT"});
  stage.answer(kNodeA, ":0\r\n");
  run_posted();
  EXPECT_EQ(stage.received(admin), ":0\r\n");
}

TEST_F(UnblockTest, ClientThatIsNotBlockedOrNotThereIsZero) {
  ask("");
  EXPECT_EQ(stage.received(admin), ":0\r\n");
  stage.client_sends(admin, "CLIENT UNBLOCK 99999\r\nCLIENT UNBLOCK -1\r\n");
  run_posted();
  EXPECT_EQ(stage.received(admin), ":0\r\n:0\r\n");
}

TEST_F(UnblockTest, ArgumentsAreChecked) {
  stage.client_sends(admin, "CLIENT UNBLOCK x\r\nCLIENT UNBLOCK 1 NOW\r\nCLIENT UNBLOCK 1 ERROR 2\r\n");
  EXPECT_EQ(stage.received(admin),
            "-ERR value is not an integer or out of range\r\n"
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"
            "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.\r\n");
}

TEST_F(UnblockTest, WhileNoNodeHasItTheTimeIsOver) {
  stage.client_sends(client, "BLPOP bar 0\r\n");
  ask("");
  EXPECT_EQ(stage.received(admin), ":1\r\n");
  until_connecting(kNodeA);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"BLPOP bar 0.001"});
  stage.answer(kNodeA, "*-1\r\n");
  EXPECT_EQ(stage.received(client), "*-1\r\n");
}

TEST_F(UnblockTest, WhileNoNodeHasItTheErrorIsCorrals) {
  stage.client_sends(client, "BLPOP bar 0\r\n");
  ask(" ERROR");
  EXPECT_EQ(stage.received(admin), ":1\r\n");
  EXPECT_EQ(stage.received(client), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  expect_nothing_left();
}

}  // namespace
}  // namespace corral::core

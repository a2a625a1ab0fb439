// MULTI, EXEC and WATCH: what is queued, what the node gets in one piece, and what becomes of it when it is refused.
#include "proxy/core/transaction.h"

#include <gtest/gtest.h>

#include "stage.h"

namespace corral::core {
namespace {

constexpr const char* kQueuedTwice = "+OK\r\n+QUEUED\r\n+QUEUED\r\n";

class TransactionTest : public testing::Test {
 protected:
  // A connection to A that is ready, and nothing to be read anywhere.
  void SetUp() override {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }

  // WATCH bar, confirmed on a connection of its own.
  void watch() {
    stage.client_sends(client, "WATCH bar\r\n");
    stage.accept(kNodeA, 7);
    EXPECT_EQ(stage.taken(kNodeA), Commands{"WATCH bar"});
    stage.answer(kNodeA, "+OK\r\n");
    EXPECT_EQ(stage.received(client), "+OK\r\n");
  }

  Stage stage;
  Stage::Client client = stage.connect_client();
};

TEST_F(TransactionTest, NothingIsSentBeforeExecAndThenAllInOnePiece) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nINCR bar\r\n");
  EXPECT_EQ(stage.received(client), kQueuedTwice);
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  stage.client_sends(client, "EXEC\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "SET bar 1", "INCR bar", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeA, "*2\r\n+OK\r\n:2\r\n");
  EXPECT_EQ(stage.received(client), "*2\r\n+OK\r\n:2\r\n");
}

TEST_F(TransactionTest, CommandsBehindExecKeepTheirOrder) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nEXEC\r\nGET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "SET bar 1", "EXEC", "GET bar"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$1\r\n1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$1\r\n1\r\n");
}

TEST_F(TransactionTest, CommandThatIsRefusedWhenQueuedAborts) {
  stage.client_sends(client, "MULTI\r\nconfig|get x\r\nSET bar\r\nEXEC\r\nEXEC\r\n");
  const std::string all = stage.received(client);
  EXPECT_NE(all.find("-ERR unknown command 'config|get'"), all.npos) << all;
  EXPECT_NE(all.find("-ERR wrong number of arguments for 'set' command"), all.npos) << all;
  EXPECT_NE(all.find("-EXECABORT Transaction discarded because of previous errors."), all.npos) << all;
  EXPECT_TRUE(all.ends_with("-ERR EXEC without MULTI\r\n")) << all;
}

TEST_F(TransactionTest, ExecWithAnArgumentEndsTheTransaction) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nEXEC x\r\nEXEC\r\n");
  EXPECT_EQ(stage.received(client),
            "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
            "command\r\n-ERR EXEC without MULTI\r\n");
}

TEST_F(TransactionTest, KeysOfTwoSlotsAreRefusedWithTheRemedy) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nSET foo 1\r\nEXEC\r\n");
  const std::string replies = stage.received(client);
  EXPECT_NE(replies.find("-CROSSSLOT Keys in request don't hash to the same slot"), replies.npos) << replies;
  EXPECT_NE(replies.find("hash tag"), replies.npos) << replies;
  EXPECT_NE(replies.find("-EXECABORT"), replies.npos) << replies;
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
}

TEST_F(TransactionTest, OwnCommandsAreAnsweredInTheirPlaces) {
  stage.client_sends(client, "MULTI\r\nPING\r\nGET bar\r\nECHO x\r\nEXEC\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "GET bar", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n");
  EXPECT_EQ(stage.received(client), "*3\r\n+PONG\r\n$1\r\nv\r\n$1\r\nx\r\n");
}

TEST_F(TransactionTest, EmptyOneNeedsNoNode) {
  stage.client_sends(client, "MULTI\r\nEXEC\r\nMULTI\r\nPING\r\nEXEC\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n*0\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
}

TEST_F(TransactionTest, RefusedPieceIsSentAgainAsAWhole) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nEXEC\r\n");
  stage.received(client);
  stage.taken(kNodeA);
  stage.answer(kNodeA,
               "+OK\r\n-MOVED 5061 10.0.0.2:7002\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
  EXPECT_EQ(stage.received(client), "");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"MULTI", "SET bar 1", "EXEC"}));
  stage.answer(kNodeB, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  EXPECT_EQ(stage.received(client), "*1\r\n+OK\r\n");
}

TEST_F(TransactionTest, AskedPieceGoesBehindOneAsking) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nEXEC\r\n");
  stage.received(client);
  stage.taken(kNodeA);
  stage.answer(kNodeA, "+OK\r\n-ASK 5061 10.0.0.2:7002\r\n-EXECABORT Transaction discarded\r\n");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), (Commands{"ASKING", "MULTI", "SET bar 1", "EXEC"}));
}

TEST_F(TransactionTest, ElementsOfExecAreNotTakenForRefusals) {
  stage.client_sends(client, "MULTI\r\nEVAL x 1 bar\r\nEXEC\r\n");
  stage.received(client);
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n*1\r\n-MOVED 5061 10.0.0.2:7002\r\n");
  EXPECT_EQ(stage.received(client), "*1\r\n-MOVED 5061 10.0.0.2:7002\r\n");
}

TEST_F(TransactionTest, ConnectionLostBeforeTheReplyIsInDoubt) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nEXEC\r\n");
  stage.received(client);
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n");
  stage.lose(kNodeA);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
}

TEST_F(TransactionTest, KnownScriptIsLoadedBeforeThePiece) {
  stage.client_sends(client, "EVAL 'return 1' 1 bar\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, ":1\r\n");
  stage.client_sends(client, "MULTI\r\nEVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 bar\r\nEXEC\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SCRIPT LOAD return 1", "MULTI",
                                           "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 bar", "EXEC"}));
  stage.received(client);
  stage.answer(kNodeA, "$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "*1\r\n:1\r\n");
}

TEST_F(TransactionTest, ScriptThatTheNodeForgotBecomesAnEvalInItsPlace) {
  stage.client_sends(client, "EVAL 'return 1' 1 bar\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, ":1\r\n");
  stage.client_sends(client, "EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 1 bar\r\nGET hello\r\n");
  stage.received(client);
  EXPECT_EQ(stage.taken(kNodeA),
            (Commands{"SCRIPT LOAD return 1", "EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 1 bar", "GET hello"}));
  stage.answer(kNodeA, "+loaded\r\n-NOSCRIPT No matching script. Please use EVAL.\r\n$1\r\nh\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SCRIPT EXISTS E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"});
  stage.answer(kNodeA, "*1\r\n:0\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"EVAL return 1 1 bar"});
  stage.answer(kNodeA, "-NOSCRIPT as the script itself says\r\n");
  EXPECT_EQ(stage.received(client), "-NOSCRIPT as the script itself says\r\n$1\r\nh\r\n");
}

TEST_F(TransactionTest, ScriptThatSaysNoscriptItselfIsNotRunAgain) {
  stage.client_sends(client, "EVAL 'return 1' 1 bar\r\n");
  stage.answer(kNodeA, ":1\r\n");
  stage.client_sends(client, "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 bar\r\n");
  stage.received(client);
  stage.answer(kNodeA, "+loaded\r\n-NOSCRIPT No matching script. Please use EVAL.\r\n");
  stage.taken(kNodeA);
  stage.client_sends(client, "GET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  stage.answer(kNodeA, "*1\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "-NOSCRIPT No matching script. Please use EVAL.\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
}

TEST_F(TransactionTest, NodeIsToldAScriptOnceOnAConnection) {
  stage.client_sends(client, "EVAL 'return 1' 1 bar\r\n");
  stage.answer(kNodeA, ":1\r\n");
  stage.taken(kNodeA);
  const std::string call = "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 bar";
  stage.client_sends(client, call + "\r\n" + call + "\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SCRIPT LOAD return 1", call, call}));
  stage.answer(kNodeA, "+loaded\r\n:1\r\n:1\r\n");
  stage.worker.process().scripts().clear();  // SCRIPT FLUSH: clients are to see that it is gone
  stage.client_sends(client, call + "\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{call});
}

TEST_F(TransactionTest, ScriptThatIsMissingAllTheSameDoesNotRunAfterWhatFollowedIt) {
  stage.client_sends(client, "EVAL 'return 1' 1 bar\r\n");
  stage.answer(kNodeA, ":1\r\n");
  stage.taken(kNodeA);
  stage.client_sends(client, "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 bar\r\nINCR bar\r\n");
  stage.received(client);
  stage.answer(kNodeA, "+loaded\r\n-NOSCRIPT No matching script. Please use EVAL.\r\n:1\r\n");
  stage.taken(kNodeA);
  stage.answer(kNodeA, "*1\r\n:0\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  EXPECT_EQ(stage.received(client).substr(0, 10), "-TRYAGAIN ");
}

TEST_F(TransactionTest, WatchingClientUsesItsOwnConnectionUntilExec) {
  watch();
  stage.client_sends(client, "GET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
  stage.answer(kNodeA, "$1\r\n1\r\n");
  stage.client_sends(client, "MULTI\r\nSET bar 2\r\nEXEC\r\nGET bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "SET bar 2", "EXEC"}));  // GET waits
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\n1\r\n+OK\r\n+QUEUED\r\n*-1\r\n");
  EXPECT_EQ(stage.worker.own_links().idle(), 1u);
  EXPECT_EQ(stage.worker.own_links().used(), 0u);
}

TEST_F(TransactionTest, ExecThatIsRedirectedUnderWatchAnswersNullAndIsNotSentAgain) {
  watch();
  stage.client_sends(client, "MULTI\r\nSET bar 2\r\nEXEC\r\n");
  stage.received(client);
  stage.answer(kNodeA, "+OK\r\n-MOVED 5061 10.0.0.2:7002\r\n-EXECABORT Transaction discarded\r\n");
  EXPECT_EQ(stage.received(client), "*-1\r\n");
  EXPECT_FALSE(stage.has_link(kNodeB));
}

TEST_F(TransactionTest, LostWatchMakesExecAnswerNull) {
  watch();
  stage.lose(kNodeA);
  stage.client_sends(client, "MULTI\r\nSET bar 2\r\nEXEC\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n*-1\r\n");
}

TEST_F(TransactionTest, ExecLostUnderWatchIsInDoubt) {
  watch();
  stage.client_sends(client, "MULTI\r\nSET bar 2\r\nEXEC\r\n");
  stage.received(client);
  stage.lose(kNodeA);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
}

TEST_F(TransactionTest, WatchFollowsTheSlot) {
  stage.client_sends(client, "WATCH bar\r\n");
  stage.accept(kNodeA, 7);
  stage.answer(kNodeA, "-MOVED 5061 10.0.0.2:7002\r\n");
  stage.pass(20);
  stage.accept(kNodeB, 8);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"WATCH bar"});
  stage.answer(kNodeB, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
}

// Found by tests/sim, sessions_breaking.
TEST_F(TransactionTest, WatchThatFailedHoldsNoSlot) {
  stage.client_sends(client, "WATCH bar\r\n");
  stage.accept(kNodeA, 7);
  stage.taken(kNodeA);
  stage.answer(kNodeA, "-ERR no\r\n");
  EXPECT_EQ(stage.received(client), "-ERR no\r\n");
  stage.client_sends(client, "MULTI\r\nSET foo 1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n");
}

TEST_F(TransactionTest, UnwatchGivesTheConnectionBack) {
  watch();
  stage.client_sends(client, "UNWATCH\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"UNWATCH"});
  EXPECT_EQ(stage.worker.own_links().idle(), 1u);
}

TEST_F(TransactionTest, ClientThatGoesAwayInTheMiddleLeavesNothing) {
  watch();
  stage.client_sends(client, "MULTI\r\nSET bar 2\r\nEXEC\r\n");
  stage.client_fails(client);
  EXPECT_EQ(stage.worker.own_links().used(), 0u);
  EXPECT_EQ(stage.worker.sessions().size(), 0u);
}

TEST_F(TransactionTest, DiscardForgetsTheQueue) {
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nDISCARD\r\nMULTI\r\nEXEC\r\nDISCARD\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n*0\r\n-ERR DISCARD without MULTI\r\n");
}

// Found by fuzzing: the connection was dropped twice.
TEST_F(TransactionTest, ClientThatGoesAwayDuringItsSecondWatchLeavesNothing) {
  watch();
  stage.client_sends(client, "WATCH {bar}2\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"WATCH {bar}2"});
  stage.client_fails(client);
  EXPECT_EQ(stage.worker.own_links().used(), 0u);
  EXPECT_EQ(stage.worker.sessions().size() + stage.worker.lingering(), 0u);
}

// Found by fuzzing: what was under way on a connection that nobody used any more stayed counted for ever, and made the
// next one who watched wait.
TEST_F(TransactionTest, AConnectionOnWhichUnwatchIsNotAnsweredIsNotKept) {
  watch();
  FakeSocket& watching = stage.link(kNodeA);
  stage.client_fails(client);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"UNWATCH"});
  EXPECT_GT(stage.worker.inflight_bytes(), 0u);
  stage.pass(stage.process.settings().upstream.request_timeout_ms + 200);
  EXPECT_TRUE(watching.closed);
  EXPECT_EQ(stage.worker.inflight_bytes(), 0u);
}

TEST_F(TransactionTest, AConnectionMayBeLostBeforeUnwatchIsWritten) {
  watch();
  FakeSocket& watching = stage.link(kNodeA);
  stage.now_ms += 200;  // so that idle connections are looked at in the same turn
  client.socket->closed = watching.closed = true;
  stage.turn([&] {
    client.session->on_failed("reset by peer");
    watching.endpoint->on_failed("reset by peer");
  });
  EXPECT_EQ(stage.worker.inflight_bytes(), 0u);
}

}  // namespace
}  // namespace corral::core

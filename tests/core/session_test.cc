// A client's connection: replies in the order of its requests, CLIENT REPLY, and how a connection ends.
#include "proxy/core/session.h"

#include <gtest/gtest.h>

#include "stage.h"

namespace corral::core {
namespace {

TEST(Session, LocalCommandIsAnsweredAtOnce) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "PING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
}

TEST(Session, RequestGoesToTheOwnerOfItsSlotAndTheReplyComesBack) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
  EXPECT_FALSE(stage.has_link(kNodeB));
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
}

TEST(Session, RequestInPiecesIsHandledWhenItIsWhole) {
  Stage stage;
  const auto client = stage.connect_client();
  for (const char c : std::string_view("*2\r\n$4\r\nECHO\r\n$5\r\nhello\r")) {
    stage.client_sends(client, {&c, 1});
    EXPECT_EQ(stage.received(client), "");
  }
  stage.client_sends(client, "\n");
  EXPECT_EQ(stage.received(client), "$5\r\nhello\r\n");
}

TEST(Session, RepliesComeInTheOrderOfTheRequestsWhicheverNodeIsFaster) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET foo\r\nGET bar\r\nPING\r\nGET foo\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "$1\r\na\r\n");
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeB, "$1\r\n1\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\n1\r\n$1\r\na\r\n+PONG\r\n");
  stage.answer(kNodeB, "$1\r\n2\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\n2\r\n");
}

TEST(Session, RepliesOfOneTurnGoOutInOneWrite) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "PING\r\nPING\r\nPING\r\n");
  EXPECT_EQ(client.socket->writes, 1);
}

TEST(Session, RequestsOfOneTurnGoToTheNodeInOneWrite) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$-1\r\n");
  const int before = stage.link(kNodeA).writes;
  stage.client_sends(client, "GET bar\r\nSET bar 1\r\nGET {bar}2\r\n");
  EXPECT_EQ(stage.link(kNodeA).writes, before + 1);
}

// --- CLIENT REPLY ---

TEST(SessionReply, OffHidesRepliesUntilOn) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT REPLY OFF\r\nPING\r\nGET bar\r\nNOSUCHCONTAINER\r\nCLIENT REPLY ON\r\nPING\r\n");
  stage.accept(kNodeA);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  if (stage.taken(kNodeA).size() == 2) stage.answer(kNodeA, "*0\r\n");  // what NOSUCHCONTAINER is
  if (stage.has_link(kNodeB)) {
    stage.accept(kNodeB);
    stage.answer(kNodeB, "*0\r\n");
  }
  EXPECT_EQ(stage.received(client), "+OK\r\n+PONG\r\n");
}

TEST(SessionReply, SkipHidesTheNextReplyOnly) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT REPLY SKIP\r\nGET bar\r\nECHO two\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.received(client), "") << "the skipped one is still awaited in its place";
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$3\r\ntwo\r\n");
}

TEST(SessionReply, ResetTurnsRepliesOnAgain) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT REPLY OFF\r\nPING\r\nRESET\r\nPING\r\n");
  EXPECT_EQ(stage.received(client), "+RESET\r\n+PONG\r\n");
}

TEST(SessionReply, OnAnswersEvenAfterSkip) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  stage.client_sends(client, "CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+PONG\r\n");
}

// --- ends ---

// --- all nodes ---

TEST(FanOut, WhatComesBehindAWriteToAllNodesWaitsForIt) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "FLUSHALL\r\nSET hello 1\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"FLUSHALL"});
  stage.answer(kNodeB, "+OK\r\n");
  stage.answer(kNodeA, "-LOADING Redis is loading the dataset in memory\r\n");
  stage.pass(100);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"FLUSHALL"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET hello 1"});
}

TEST(FanOut, WhatOnlySomeNodesHaveDoneIsInDoubt) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "FLUSHALL\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "+OK\r\n");
  stage.answer(kNodeB, "-NOPERM no\r\n");
  EXPECT_EQ(stage.received(client), "-INDOUBT some nodes have executed it, others have not: NOPERM no\r\n");
  stage.client_sends(client, "FLUSHALL\r\n");
  stage.answer(kNodeA, "-NOPERM no\r\n");
  stage.answer(kNodeB, "-NOPERM no\r\n");
  EXPECT_EQ(stage.received(client), "-NOPERM no\r\n");
}

TEST(SessionEnd, ProtocolErrorIsAnsweredAfterRepliesDueAndThenTheConnectionIsClosed) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n*1\r\n!garbage\r\nPING\r\n");
  stage.accept(kNodeA);
  EXPECT_FALSE(client.socket->closed);
  EXPECT_EQ(stage.received(client), "");
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n-ERR Protocol error: expected '$', got '!'\r\n");
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.count(&Stats::protocol_errors), 1u);
}

TEST(SessionEnd, WhatFollowsAProtocolErrorIsNotHandled) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n*1\r\n!garbage\r\n");
  stage.client_sends(client, "SET bar 1\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
}

TEST(SessionEnd, ProtocolErrorAfterASkippedReplyIsShown) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT REPLY SKIP\r\nPING\r\n*1\r\n!garbage\r\n");
  EXPECT_EQ(stage.received(client), "-ERR Protocol error: expected '$', got '!'\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST(SessionEnd, QuitIsAnsweredAfterRepliesDueAndThenTheConnectionIsClosed) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\nQUIT\r\nSET bar 1\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
  EXPECT_FALSE(client.socket->closed);
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n+OK\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST(SessionEnd, QuitWaitsForAClientThatReadsSlowly) {
  Stage stage;
  const auto client = stage.connect_client();
  client.socket->room = 2;
  stage.client_sends(client, "QUIT\r\n");
  EXPECT_FALSE(client.socket->closed);
  stage.give_room(client, 100);
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST(SessionEnd, HalfClosedClientGetsAllRepliesAndIsClosed) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\nGET foo\r\n");
  stage.client_ends(client);
  EXPECT_FALSE(client.socket->closed);
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeB, "$1\r\nf\r\n");
  stage.answer(kNodeA, "$1\r\nb\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nb\r\n$1\r\nf\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST(SessionEnd, HalfClosedClientWithHalfARequestIsClosed) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "PING\r\n*2\r\n$3\r\nGE");
  stage.client_ends(client);
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST(SessionEnd, IdleClientThatEndsIsClosed) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_ends(client);
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.process.clients(), 0u);
}

TEST(SessionEnd, RepliesToAClientThatIsGoneAreTakenFromTheNodeAndDropped) {
  Stage stage;
  const auto gone = stage.connect_client();
  const auto other = stage.connect_client();
  stage.client_sends(gone, "GET bar\r\n");
  stage.client_sends(other, "GET {bar}2\r\n");
  stage.accept(kNodeA);
  stage.client_fails(gone);
  EXPECT_EQ(stage.process.clients(), 1u);
  stage.answer(kNodeA, "$1\r\nx\r\n$1\r\ny\r\n");
  EXPECT_EQ(stage.received(other), "$1\r\ny\r\n");
}

TEST(SessionEnd, SilentClientIsClosedAfterTheIdleTimeoutUnlessAReplyIsDue) {
  config::Settings settings;
  settings.server.idle_timeout_ms = 1000;
  Stage stage(settings);
  const auto silent = stage.connect_client();
  const auto waiting = stage.connect_client();
  stage.client_sends(waiting, "GET bar\r\n");
  stage.accept(kNodeA);
  FakeSocket& node = stage.link(kNodeA);
  stage.pass(900);
  EXPECT_FALSE(silent.socket->closed);
  stage.pass(300);
  EXPECT_TRUE(silent.socket->closed);
  EXPECT_FALSE(waiting.socket->closed);
  stage.turn([&] { node.endpoint->on_bytes("$-1\r\n", 5); });
  stage.pass(300);
  EXPECT_TRUE(waiting.socket->closed);
}

TEST(SessionEnd, ClosingByACommandThatCameInPiecesIsHarmless) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "PO");
  stage.client_sends(client, "ST / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.socket->closed);
}

// Larger than the inputs that are kept for reuse; the address sanitizer sees one that is freed while it is read.
TEST(SessionEnd, ClosingByALargeCommandThatCameInPiecesIsHarmless) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "*2\r\n$4\r\nPOST\r\n$100000\r\n");
  stage.client_sends(client, std::string(100'000, 'x') + "\r\n");
  EXPECT_TRUE(client.socket->closed);
}

// --- drain and limits on clients ---

TEST(SessionDrain, ClientIsClosedWhenItHasBeenQuietAndNothingIsUnderWay) {
  Stage stage;
  const auto idle = stage.connect_client();
  const auto busy = stage.connect_client();
  stage.client_sends(busy, "GET bar\r\n");
  stage.accept(kNodeA);
  stage.turn([&] { stage.worker.drain(); });
  stage.pass(1000);
  EXPECT_TRUE(idle.socket->closed);
  EXPECT_FALSE(busy.socket->closed);
  EXPECT_FALSE(stage.worker.drained());
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(busy), "$1\r\nx\r\n");
  stage.pass(1000);
  EXPECT_TRUE(busy.socket->closed);
  EXPECT_TRUE(stage.worker.drained());
}

TEST(SessionDrain, NewClientIsNotAccepted) {
  Stage stage;
  stage.turn([&] { stage.worker.drain(); });
  EXPECT_EQ(stage.connect_client().session, nullptr);
}

TEST(SessionLimit, ClientOverMaxClientsIsToldAndRefused) {
  config::Settings settings;
  settings.server.max_clients = 1;
  Stage stage(settings);
  const auto first = stage.connect_client();
  const auto second = stage.connect_client();
  EXPECT_EQ(second.session, nullptr);
  EXPECT_EQ(stage.received(second), "-ERR max number of clients reached\r\n");
  stage.client_ends(first);
  EXPECT_NE(stage.connect_client().session, nullptr);
}

}  // namespace
}  // namespace corral::core

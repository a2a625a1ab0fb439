// An upstream connection: what it says first, what becomes of requests when it is lost, and when it gives up.
#include "proxy/core/link.h"

#include <gtest/gtest.h>

#include "resp/slot.h"
#include "stage.h"

namespace corral::core {
namespace {

constexpr std::string_view kLost =
    "-INDOUBT the connection to 10.0.0.1:7001 was lost (reset by peer) after the command was handed to it: it may or "
    "may not have run\r\n";

/// A stage on which the link to A is ready.
struct LinkTest : testing::Test {
  LinkTest() : client(stage.connect_client()) {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA, 11);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }
  Stage stage;
  const Stage::Client client;
};

LatencyCounts times_of(Stage& stage, CommandGroup group) {
  LatencyCounts counts;
  counts.add(stage.process.board(stage.worker.index()).times[static_cast<size_t>(group)]);
  return counts;
}

TEST_F(LinkTest, TimesAreFromTheTurnOfTheRequestToThatOfTheReply) {
  NodeStats& node = stage.worker.node_stats(stage.process.node_id(kNodeA));
  LatencyCounts earlier;
  earlier.add(node.times);
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.pass(3);
  stage.client_sends(client, "GET bar\r\nBLPOP list 0\r\n");
  stage.pass(4);
  stage.answer(kNodeA, "+OK\r\n+OK\r\n$1\r\n2\r\n");
  LatencyCounts at_node;
  at_node.add(node.times);
  at_node.subtract(earlier);
  EXPECT_EQ(at_node.count(), 3u);
  EXPECT_EQ(at_node.sum_us, (7 + 7 + 4) * 1000u);
  EXPECT_EQ(times_of(stage, CommandGroup::kWrite).count(), 2u);
  EXPECT_EQ(times_of(stage, CommandGroup::kWrite).sum_us, 14'000u);
  EXPECT_EQ(times_of(stage, CommandGroup::kRead).count(), 2u) << "and that of the fixture";
}

TEST_F(LinkTest, RepliesBeforeAFailureInOneReadAreTimed) {
  NodeStats& node = stage.worker.node_stats(stage.process.node_id(kNodeA));
  LatencyCounts earlier, later;
  earlier.add(node.times);
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  stage.pass(5);
  stage.answer(kNodeA, "+OK\r\n?\r\n");
  later.add(node.times);
  later.subtract(earlier);
  EXPECT_EQ(later.count(), 1u);
  EXPECT_EQ(later.sum_us, 5000u);
  EXPECT_EQ(node.failures.get(), 1u);
}

TEST(LinkHandshake, TellsItsNameAndAsksForItsIdBeforeAnyRequest) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\n");
  EXPECT_EQ(stage.link(kNodeA).written, "") << "nothing before it is connected";
  EXPECT_EQ(stage.accept(kNodeA), (Commands{"CLIENT SETNAME corral", "CLIENT INFO"}));
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
}

TEST(LinkHandshake, RequestWaitsForTheWholeHandshake) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\n");
  stage.turn([&] { stage.link(kNodeA).endpoint->on_connected(); });
  EXPECT_EQ(stage.taken(kNodeA).size(), 2u);
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  stage.answer(kNodeA, "$4\r\nid=7\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
}

TEST(LinkHandshake, AuthComesFirstIfThereIsAPassword) {
  config::Settings settings;
  settings.upstream.password = "secret";
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  EXPECT_EQ(stage.accept(kNodeA).front(), "AUTH default secret");
}

TEST(LinkHandshake, AuthNamesTheUserIfThereIsOne) {
  config::Settings settings;
  settings.upstream.username = "corral";
  settings.upstream.password = "secret";
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  EXPECT_EQ(stage.accept(kNodeA).front(), "AUTH corral secret");
}

// What a client is told in the end, whose node answers all of a handshake with `refusal`.
std::string told_when_refused(const char* password, const std::string& refusal) {
  config::Settings settings;
  settings.upstream.password = password;
  settings.upstream.request_timeout_ms = 500;
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "SET bar 1\r\n");
  std::string reply;
  for (int i = 0; i < 200 && reply.empty(); ++i) {
    if (stage.has_link(kNodeA) && !stage.link(kNodeA).connected) {
      FakeSocket& socket = stage.link(kNodeA);
      socket.connected = true;
      stage.turn([&] { socket.endpoint->on_connected(); });
      for (const auto& command : stage.taken(kNodeA)) EXPECT_NE(command, "SET bar 1");
      stage.answer(kNodeA, refusal);
    }
    stage.pass(10);
    reply = stage.received(client);
  }
  return reply;
}

TEST(LinkHandshake, WrongPasswordSendsNoRequestAndTellsTheClientInTheEnd) {
  EXPECT_EQ(told_when_refused("wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            "-CLUSTERDOWN no reachable owner of slot 5061 (WRONGPASS invalid username-password pair or user is "
            "disabled.)\r\n");
}

TEST(LinkHandshake, MissingPasswordIsNoneOfTheClient) {
  EXPECT_EQ(told_when_refused("", "-NOAUTH Authentication required.\r\n"),
            "-CLUSTERDOWN no reachable owner of slot 5061 (NOAUTH Authentication required.)\r\n");
}

TEST_F(LinkTest, NewConnectionKillsTheOneBeforeItBeforeAnyRequest) {
  stage.lose(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  EXPECT_EQ(stage.accept(kNodeA, 12),
            (Commands{"CLIENT KILL ID 11 ADDR 10.9.9.9:11", "CLIENT SETNAME corral", "CLIENT INFO"}));
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
}

TEST_F(LinkTest, KillIsRepeatedUntilAHandshakeSucceeds) {
  stage.lose(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  stage.turn([&] { stage.link(kNodeA).endpoint->on_connected(); });
  stage.lose(kNodeA);
  for (int i = 0; i < 100 && !stage.has_link(kNodeA); ++i) stage.pass(10);
  EXPECT_EQ(stage.accept(kNodeA, 13).front(), "CLIENT KILL ID 11 ADDR 10.9.9.9:11");
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
  stage.lose(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  EXPECT_EQ(stage.accept(kNodeA, 14).front(), "CLIENT KILL ID 13 ADDR 10.9.9.9:13");
}

// --- loss ---

TEST_F(LinkTest, WriteThatWasSentWhenTheConnectionIsLostIsInDoubt) {
  stage.client_sends(client, "SET bar 1\r\n");
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), kLost);
  EXPECT_EQ(stage.count(&Stats::indoubt), 1u);
  stage.pass(2000);
  EXPECT_FALSE(stage.has_link(kNodeA)) << "and is not sent again";
}

TEST_F(LinkTest, ReadThatWasSentWhenTheConnectionIsLostIsSentAgain) {
  stage.client_sends(client, "GET bar\r\n");
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(100);
  stage.accept(kNodeA, 12);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
  stage.answer(kNodeA, "$1\r\nx\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n");
  EXPECT_EQ(stage.worker.holds().size(), 0u);
  EXPECT_EQ(stage.count(&Stats::retries), 1u);
}

TEST_F(LinkTest, WriteThatWasNotSentWhenTheConnectionIsLostIsSentAgain) {
  stage.link(kNodeA).room = 0;
  stage.client_sends(client, "SET bar 1\r\n");
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(100);
  stage.accept(kNodeA, 12);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n");
}

TEST_F(LinkTest, WriteThatWasSentInPartCannotHaveRunAndIsSentAgain) {
  const std::string set = "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$1\r\n1\r\n";
  stage.link(kNodeA).room = set.size() + 5;
  stage.client_sends(client, set + set + set);
  stage.lose(kNodeA);
  EXPECT_EQ(stage.received(client), kLost);
  stage.pass(100);
  stage.accept(kNodeA, 12);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET bar 1", "SET bar 1"}));
}

TEST_F(LinkTest, WriteTakenBeforeTheConnectionIsMadeIsSentAgainWhenItFails) {
  const auto other = stage.connect_client();
  stage.client_sends(other, "SET foo 1\r\n");
  stage.lose(kNodeB, "connection refused");
  EXPECT_EQ(stage.received(other), "");
  for (int i = 0; i < 100 && !stage.has_link(kNodeB); ++i) stage.pass(10);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeB), Commands{"SET foo 1"});
}

TEST_F(LinkTest, ReadBeforeAWriteToItsKeyThatMayHaveRunIsNotSentAgain) {
  stage.client_sends(client, "GET bar\r\nSET bar 1\r\n");
  stage.lose(kNodeA);
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with("-TRYAGAIN ")) << replies;
  EXPECT_TRUE(replies.ends_with(kLost)) << replies;
}

TEST_F(LinkTest, UnreachableOwnerIsToldWhenTheRequestTimeoutHasPassed) {
  stage.lose(kNodeA);
  stage.client_sends(client, "SET bar 1\r\n");
  std::string reply;
  const uint64_t since = stage.now_ms;
  while (reply.empty() && stage.now_ms - since < 20'000) {
    if (stage.has_link(kNodeA)) stage.lose(kNodeA, "connection refused");
    stage.pass(10);
    reply = stage.received(client);
  }
  EXPECT_TRUE(reply.starts_with("-CLUSTERDOWN no reachable owner of slot 5061 (")) << reply;
  EXPECT_NEAR(static_cast<double>(stage.now_ms - since), 5000, 700);
  EXPECT_EQ(stage.worker.holds().size(), 0u);
}

TEST_F(LinkTest, LossAsksForTheTopology) {
  stage.transport.posted.clear();
  stage.lose(kNodeA);
  ASSERT_FALSE(stage.transport.posted.empty());
  EXPECT_EQ(stage.transport.posted.front().first, 0u);
}

// --- timeouts and nonsense ---

TEST(LinkTimeout, ConnectionThatIsNotMadeInTimeIsGivenUp) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  FakeSocket& socket = stage.link(kNodeA);
  stage.pass(900);
  EXPECT_FALSE(socket.closed);
  stage.pass(300);
  EXPECT_TRUE(socket.closed);
}

TEST(LinkTimeout, HandshakeThatIsNotAnsweredInTimeIsGivenUp) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\n");
  FakeSocket& socket = stage.link(kNodeA);
  stage.turn([&] { socket.endpoint->on_connected(); });
  stage.pass(1300);
  EXPECT_TRUE(socket.closed);
}

TEST_F(LinkTest, NodeThatAnswersNothingWithinTheRequestTimeoutIsGivenUp) {
  stage.client_sends(client, "SET bar 1\r\n");
  FakeSocket& socket = stage.link(kNodeA);
  stage.pass(4900);
  EXPECT_FALSE(socket.closed);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(300);
  EXPECT_TRUE(socket.closed);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
}

TEST_F(LinkTest, QuietLinkIsAskedForAKeyOfTheNodeNowAndThen) {
  FakeSocket& link = stage.link(kNodeA);
  stage.pass(9'000);
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  for (int i = 0; i < 3; ++i) {
    stage.pass(1'500);
    const Commands probe = stage.taken(kNodeA);
    ASSERT_EQ(probe.size(), 1u);
    ASSERT_TRUE(probe[0].starts_with("EXISTS ")) << probe[0];
    EXPECT_LT(resp::key_slot(probe[0].substr(7)), resp::kSlots / 2) << "PING succeeds on a master left behind";
    stage.answer(kNodeA, ":0\r\n");
    stage.pass(9'000);
  }
  EXPECT_FALSE(link.closed);
  stage.pass(10'000);
  EXPECT_TRUE(link.closed) << "the last probe was not answered";
  EXPECT_EQ(stage.received(client), "");
}

TEST_F(LinkTest, GarbageFromTheNodeFailsTheConnection) {
  stage.client_sends(client, "SET bar 1\r\n");
  FakeSocket& socket = stage.link(kNodeA);
  stage.turn([&] { socket.endpoint->on_bytes("@what\r\n", 7); });
  EXPECT_TRUE(socket.closed);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
}

TEST_F(LinkTest, ReplyToNothingFailsTheConnection) {
  FakeSocket& socket = stage.link(kNodeA);
  stage.turn([&] { socket.endpoint->on_bytes("+OK\r\n", 5); });
  EXPECT_TRUE(socket.closed);
}

TEST_F(LinkTest, NodeThatClosesIsALoss) {
  stage.client_sends(client, "SET bar 1\r\n");
  FakeSocket& socket = stage.link(kNodeA);
  stage.turn([&] { socket.endpoint->on_end(); });
  EXPECT_TRUE(socket.closed);
  EXPECT_TRUE(stage.received(client).starts_with("-INDOUBT "));
}

TEST_F(LinkTest, ReplyInPiecesIsGivenWhenItIsWhole) {
  stage.client_sends(client, "GET bar\r\nGET bar\r\n");
  for (const char c : std::string_view("$5\r\nhello\r\n*2\r\n:1\r\n$-1\r")) stage.answer(kNodeA, {&c, 1});
  EXPECT_EQ(stage.received(client), "$5\r\nhello\r\n");
  stage.answer(kNodeA, "\n");
  EXPECT_EQ(stage.received(client), "*2\r\n:1\r\n$-1\r\n");
}

TEST_F(LinkTest, RequestsThatTheSocketDoesNotTakeAreSentWhenItIsWritable) {
  FakeSocket& socket = stage.link(kNodeA);
  socket.room = 10;
  stage.client_sends(client, "SET bar 1\r\nSET bar 2\r\n");
  EXPECT_EQ(stage.taken(kNodeA), Commands{});
  socket.room = SIZE_MAX;
  stage.turn([&] { socket.endpoint->on_writable(); });
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SET bar 1", "SET bar 2"}));
}

/// What is lost is asked for again at once.
struct AskingAgain final : Task {
  explicit AskingAgain(Stage& of) : stage(of) {}
  void ask() {
    Request request;
    request.task = this;
    request.flags = kReadOnly;
    stage.worker.send_to_node(request, stage.process.node_id(kNodeA), "*1\r\n$4\r\nPING\r\n", true);
  }
  void on_reply(uint32_t, std::string_view reply) override {
    replies.emplace_back(reply);
    if (replies.size() == 1) ask();
  }
  Stage& stage;
  std::vector<std::string> replies;
};

// Found by tests/sim, everything: the link connected twice, and lost a socket.
TEST(LinkFailure, WhoIsToldOfALossSendsNothingOverTheLinkThatFails) {
  Stage stage;
  AskingAgain task(stage);
  stage.turn([&] { task.ask(); });
  stage.accept(kNodeA);
  stage.lose(kNodeA);
  ASSERT_EQ(task.replies.size(), 2u);
  EXPECT_EQ(task.replies[1], "-CLUSTERDOWN the connection to a node failed\r\n");
  stage.turn([&] { task.ask(); });
  EXPECT_EQ(stage.transport.sockets.size(), 2u);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PING"});
  stage.answer(kNodeA, "+PONG\r\n");
  EXPECT_EQ(task.replies.size(), 3u);
}

}  // namespace
}  // namespace corral::core

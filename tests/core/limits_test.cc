// What a client may have: each limit is kept, counted, and harms nobody else.
#include <gtest/gtest.h>

#include "faulty_nodes.h"
#include "proxy/core/session.h"
#include "resp/reply_builder.h"

namespace corral::core {
namespace {

config::Settings with_limits(const std::function<void(config::LimitSettings&)>& change) {
  config::Settings settings;
  change(settings.limits);
  return settings;
}

std::string encode(std::initializer_list<std::string_view> words) {
  std::string bytes;
  resp::append_command(bytes, words);
  return bytes;
}

Stage::Client connect_from(Stage& stage, const std::string& peer) {
  auto& socket = stage.transport.sockets.emplace_back(std::make_unique<FakeSocket>());
  Stage::Client client{socket.get(), nullptr};
  stage.turn([&] { client.session = stage.worker.accept(client.socket, {peer, "192.0.2.2:6380", -1, true}); });
  client.socket->endpoint = client.session;
  return client;
}

TEST(Limits, ClientsOfOneAddressAreCountedApart) {
  Stage stage(with_limits([](auto& limits) { limits.clients_per_address = 2; }));
  const auto first = connect_from(stage, "192.0.2.1:1001");
  EXPECT_NE(connect_from(stage, "192.0.2.1:1002").session, nullptr);
  const auto third = connect_from(stage, "192.0.2.1:1003");
  EXPECT_EQ(third.session, nullptr);
  EXPECT_EQ(stage.received(third), "-ERR max number of clients of this address reached\r\n");
  EXPECT_NE(connect_from(stage, "192.0.2.3:1001").session, nullptr);
  EXPECT_NE(connect_from(stage, "[2001:db8::1]:1001").session, nullptr);
  for (int i = 0; i < 4; ++i) EXPECT_NE(connect_from(stage, "/run/corral.sock:0").session, nullptr);
  EXPECT_EQ(stage.count(&Stats::clients_rejected_by_address), 1u);
  stage.client_fails(first);
  EXPECT_NE(connect_from(stage, "192.0.2.1:1004").session, nullptr);
}

TEST(Limits, CommandOverTheQueryBufferEndsItsConnection) {
  Stage stage(with_limits([](auto& limits) { limits.query_buffer_bytes = 100'000; }));
  const auto client = stage.connect_client();
  stage.client_sends(client, "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$100000\r\n");
  EXPECT_EQ(stage.received(client), "-ERR Protocol error: request exceeds the query buffer limit\r\n");
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.count(&Stats::query_buffers_full), 1u);
}

TEST(Limits, CommandOfTooManyArgumentsEndsItsConnection) {
  Stage stage(with_limits([](auto& limits) { limits.arguments = 20; }));
  const auto client = stage.connect_client(), wrong = stage.connect_client();
  stage.client_sends(client, "*20\r\n$4\r\nMGET\r\n");
  EXPECT_EQ(stage.received(client), "");
  stage.client_sends(wrong, "*x\r\n");
  EXPECT_EQ(stage.count(&Stats::too_many_arguments), 0u);
  const auto other = stage.connect_client();
  stage.client_sends(other, "*21\r\n$4\r\nMGET\r\n");
  EXPECT_EQ(stage.received(other), "-ERR Protocol error: invalid multibulk length\r\n");
  EXPECT_TRUE(other.socket->closed);
  EXPECT_EQ(stage.count(&Stats::too_many_arguments), 1u);
}

// --- the time that a command may take to arrive ---

TEST(Limits, CommandThatTricklesInIsCutOff) {
  Stage stage(with_limits([](auto& limits) { limits.command_time_ms = 2000; }));
  const auto slow = stage.connect_client(), idle = stage.connect_client(), good = stage.connect_client();
  const std::string command = encode({"ECHO", std::string(100, 'x')});
  for (int i = 0; i < 100 && !slow.socket->closed; ++i) {
    stage.client_sends(slow, command.substr(static_cast<size_t>(i), 1));
    stage.client_sends(good, command.substr(0, 30));
    stage.client_sends(good, command.substr(30));
    stage.pass(60);
  }
  EXPECT_TRUE(slow.socket->closed) << "bytes alone do not keep it";
  EXPECT_FALSE(good.socket->closed);
  EXPECT_FALSE(idle.socket->closed) << "it has begun nothing";
  EXPECT_EQ(stage.count(&Stats::clients_slow), 1u);
}

TEST(Limits, WholeCommandsBetweenGiveANewTime) {
  Stage stage(with_limits([](auto& limits) { limits.command_time_ms = 2000; }));
  const auto client = stage.connect_client();
  for (int i = 0; i < 10; ++i) {
    stage.client_sends(client, "NG\r\nPI" + std::string());
    stage.pass(1500);
    if (i == 0) stage.received(client);
  }
  EXPECT_FALSE(client.socket->closed);
  stage.pass(1000);
  EXPECT_TRUE(client.socket->closed);
}

TEST(Limits, CommandBehindAPauseIsNotHurried) {
  config::Settings settings = with_limits([](auto& limits) {
    limits.command_time_ms = 1000;
    limits.client_pipeline = 1;
  });
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\nGET bar\r\nGET ba");
  stage.accept(kNodeA);
  FakeSocket& node = stage.link(kNodeA);
  stage.pass(3000);
  EXPECT_FALSE(client.socket->closed) << "it is Corral that does not read";
  say(stage, node, "$1\r\nx\r\n");
  say(stage, node, "$1\r\nx\r\n");
  stage.pass(800);
  EXPECT_FALSE(client.socket->closed);
  stage.pass(500);
  EXPECT_TRUE(client.socket->closed);
}

TEST(Limits, ValueThatIsRefusedOrPassedOnAsItComesIsCutOffToo) {
  config::Settings settings = with_limits([](auto& limits) { limits.command_time_ms = 2000; });
  settings.guard.max_value_bytes = 8 << 20;
  Stage stage(settings);
  const auto refused = stage.connect_client(), passed_on = stage.connect_client();
  stage.client_sends(refused, "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$9000000\r\n");
  EXPECT_TRUE(stage.received(refused).starts_with("-TOOBIG "));
  stage.client_sends(passed_on, "*3\r\n$3\r\nSET\r\n$3\r\nbar\r\n$7000000\r\nx");
  stage.accept(kNodeA);
  stage.answer(kNodeA, ":0\r\n");
  for (int i = 0; i < 30; ++i) {
    if (!refused.socket->closed) stage.client_sends(refused, "x");
    if (!passed_on.socket->closed) stage.client_sends(passed_on, "x");
    stage.pass(100);
  }
  EXPECT_TRUE(refused.socket->closed);
  EXPECT_TRUE(passed_on.socket->closed);
}

// --- what is queued and subscribed to ---

TEST(Limits, TransactionOverItsBytesIsRefusedAndAborted) {
  Stage stage(with_limits([](auto& limits) { limits.transaction_bytes = 1000; }));
  const auto client = stage.connect_client();
  stage.client_sends(client, "MULTI\r\n" + encode({"SET", "bar", std::string(600, 'x')}));
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n");
  stage.client_sends(client, encode({"SET", "bar", std::string(600, 'x')}) + "EXEC\r\nPING\r\n");
  EXPECT_EQ(stage.received(client),
            "-ERR the transaction is too large\r\n-EXECABORT Transaction discarded because of previous "
            "errors.\r\n+PONG\r\n");
  EXPECT_EQ(stage.count(&Stats::transactions_too_large), 1u);
}

TEST(Limits, SubscriptionsBeyondTheirNumberAreRefused) {
  Stage stage(with_limits([](auto& limits) { limits.subscriptions = 3; }));
  const auto client = stage.connect_client();
  stage.client_sends(client, "SUBSCRIBE a b c d\r\nPING\r\n");
  EXPECT_EQ(stage.received(client), "-ERR too many subscriptions, a client may have 3\r\n+PONG\r\n");
  EXPECT_EQ(stage.count(&Stats::too_many_subscriptions), 1u);
}

TEST(Limits, PipelineThatIsFullIsCounted) {
  Stage stage(with_limits([](auto& limits) { limits.client_pipeline = 2; }));
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\nGET bar\r\nGET bar\r\n");
  EXPECT_FALSE(client.socket->reading);
  EXPECT_EQ(stage.count(&Stats::pipelines_full), 1u);
}

// --- memory ---

struct MemoryLimit : testing::Test {
  static config::Settings settings(bool near = false) {
    config::Settings settings = with_limits([](auto& limits) { limits.memory_bytes = 3 << 20; });
    settings.near_cache.memory_bytes = near ? 8u << 20 : 0;
    return settings;
  }
  // Half a command of this many bytes.
  static void hold(Stage& stage, const Stage::Client& client, size_t bytes) {
    stage.client_sends(client, "*2\r\n$4\r\nECHO\r\n$3000000\r\n" + std::string(bytes, 'x'));
  }
};

TEST_F(MemoryLimit, TheLargestClientGoesAndNoOther) {
  Stage stage(settings());
  ASSERT_TRUE(stage.process.near_cache()->shrink()) << "by worker 0, which is not here";
  const auto small = stage.connect_client(), large = stage.connect_client(), middle = stage.connect_client();
  hold(stage, small, 300'000);
  hold(stage, large, 1'500'000);
  stage.pass(200);
  EXPECT_FALSE(large.socket->closed);
  hold(stage, middle, 1'400'000);
  stage.pass(200);
  EXPECT_TRUE(large.socket->closed);
  EXPECT_FALSE(middle.socket->closed);
  EXPECT_FALSE(small.socket->closed);
  EXPECT_EQ(stage.count(&Stats::clients_evicted), 1u);
}

TEST_F(MemoryLimit, AClientThatIsNotToBeEvictedStays) {
  Stage stage(settings());
  ASSERT_TRUE(stage.process.near_cache()->shrink());
  const auto large = stage.connect_client(), middle = stage.connect_client();
  stage.client_sends(large, "CLIENT NO-EVICT ON\r\n");
  hold(stage, large, 2'000'000);
  hold(stage, middle, 1'500'000);
  stage.pass(200);
  EXPECT_FALSE(large.socket->closed);
  EXPECT_TRUE(middle.socket->closed);
}

TEST_F(MemoryLimit, TheLargestOfAnotherWorkerGoesThere) {
  Stage stage(settings());
  ASSERT_TRUE(stage.process.near_cache()->shrink());
  stage.process.board(0).memory_bytes = 2'500'000;
  stage.process.board(0).largest_client_bytes = 2'500'000;
  const auto client = stage.connect_client();
  hold(stage, client, 1'500'000);
  stage.pass(200);
  EXPECT_FALSE(client.socket->closed);
}

class OneFill final : public policy::NearFill {};

/// Puts a reply into the near cache.
struct Filler {
  policy::NearPlace place() const { return {0, link}; }
  bool admit() const { return true; }
  policy::NearFill& make_fill() { return fill; }
  void join(policy::NearFill&) {}
  void serve(const policy::KeyReply&, uint64_t) {}
  void read_plainly(policy::NearTouched, uint64_t) {}
  uint16_t link;
  OneFill fill;
};

void fill(policy::NearCache& cache, uint16_t link, const std::string& key, const std::string& reply, uint64_t now_ms) {
  Filler filler{link, {}};
  policy::NearRead read;
  read.key = key;
  read.hash = policy::KeyTable::hash(key);
  ASSERT_EQ(cache.read(
                read, now_ms, [=] { return now_ms; }, filler),
            policy::NearCache::Answer::kFill);
  policy::NearCache::Landing landing;
  landing.resp2 = landing.resp3 = reply;
  landing.until_ms = landing.deadline_ms = policy::NearCache::kNeverMs;
  cache.land(filler.fill, &landing, [] {});
}

TEST_F(MemoryLimit, TheNearCacheGivesWayFirstAndComesBack) {
  Stage stage(settings(true), 0);
  policy::NearCache& cache = *stage.process.near_cache();
  const uint16_t link = cache.add_link();
  cache.renew(link, policy::NearCache::kNeverMs);
  for (int i = 0; i < 100; ++i) {
    fill(cache, link, "key" + std::to_string(i), "$30000\r\n" + std::string(30'000, 'x') + "\r\n", stage.now_ms);
  }
  ASSERT_GT(cache.totals().bytes, 2'500'000u);
  const auto client = stage.connect_client();
  hold(stage, client, 1'000'000);
  stage.pass(200);
  EXPECT_FALSE(client.socket->closed);
  EXPECT_GT(stage.count(&Stats::near_cache_shrunk), 0u);
  EXPECT_FALSE(cache.has_given_way()) << "no more than there is need for";
  EXPECT_GT(cache.totals().keys, 10u);
  EXPECT_LT(cache.totals().keys, 90u);
  stage.client_fails(client);
  stage.pass(20'000);
  EXPECT_FALSE(cache.grow()) << "all of it is in use again";
}

// --- what is kept of replies ---

TEST(Limits, PartsOfRepliesThatWaitForOthersCountAsTheClients) {
  config::Settings settings;
  settings.limits.client_output_bytes = 10'000;
  Stage stage(settings);
  const auto client = stage.connect_client();
  const std::string part = "*1\r\n$6000\r\n" + std::string(6000, 'x') + "\r\n";
  stage.client_sends(client, "MGET bar foo\r\nMGET bar foo\r\nMGET bar foo\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, part + part);
  EXPECT_FALSE(client.socket->closed);
  stage.answer(kNodeA, part);
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.count(&Stats::clients_overrun), 1u);
}

TEST(Limits, OneLargeReplyIsAsGoodInPartsAsInOnePiece) {
  config::Settings settings;
  settings.limits.client_output_bytes = 10'000;
  Stage stage(settings);
  const auto client = stage.connect_client();
  const std::string value = "$20000\r\n" + std::string(20'000, 'x') + "\r\n";
  stage.client_sends(client, "MGET bar foo\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "*1\r\n" + value);
  stage.answer(kNodeB, "*1\r\n" + value);
  EXPECT_EQ(stage.received(client), "*2\r\n" + value + value);
  EXPECT_EQ(client.session->memory_bytes(), Stage().connect_client().session->memory_bytes());
}

TEST(Limits, RepliesThatAreKeptGoWithTheClient) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\nGET foo\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeB, "$20000\r\n" + std::string(20'000, 'x') + "\r\n");
  EXPECT_GT(client.session->memory_bytes(), 20'000u);
  stage.client_fails(client);
  ASSERT_EQ(stage.worker.lingering(), 1u) << "a node still owes it a reply";
  stage.worker.for_each_session([](Session& session) { EXPECT_LT(session.memory_bytes(), 2000u); });
}

TEST(Limits, NamesOfClientsAreNotLong) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CLIENT SETNAME " + std::string(1024, 'n') + "\r\nCLIENT SETNAME " +
                                 std::string(1025, 'n') + "\r\nCLIENT SETINFO lib-name " + std::string(1025, 'n') +
                                 "\r\n");
  EXPECT_EQ(stage.received(client),
            "+OK\r\n-ERR Client names cannot be longer than 1024 bytes\r\n"
            "-ERR lib-name cannot be longer than 1024 bytes\r\n");
}

}  // namespace
}  // namespace corral::core

// Clients that ask for too much: one that never reads, ten thousand that idle, more than are allowed, a pipeline
// without end. The others are served, memory stays bounded, replies stay in order.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <iostream>

#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// As many open files as the system lets this process have, for its children too.
void raise_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class LoadTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    raise_file_limit();
    cluster_ = std::make_unique<RedisCluster>();
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  // A new Corral for each test, since they look at its memory.
  std::unique_ptr<Corral> start(const std::string& settings = {}) {
    auto corral = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds(), .settings = settings});
    corral->wait_until_serving();
    return corral;
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
};

TEST_F(LoadTest, a_client_that_never_reads_is_bounded_and_closed) {
  const auto corral = start("[limits]\nclient_output = \"32MiB\"\n");
  Client good = corral->connect();
  good.command("SET", "large", std::string(100'000, 'x'));
  const uint64_t before = corral->rss_bytes();
  Client deaf = corral->connect();
  deaf.shrink_receive_buffer(4096);
  const std::string gets = encode_all(std::vector<Args>(1000, Args{"GET", "large"}));
  uint64_t peak = 0;
  size_t stalled = 0;
  bool closed = false;
  // It ends closed, or not read from any more; either way it costs no more than the limit and nobody else notices.
  while (!closed && stalled < 300) {
    try {
      stalled = deaf.send_some(gets) > 0 ? 0 : stalled + 1;
    } catch (const Disconnected&) {
      closed = true;
    }
    ASSERT_EQ(good.command("PING"), Reply::status("PONG"));
    ASSERT_EQ(good.command("GET", "large").text.size(), 100'000u);
    peak = std::max(peak, corral->rss_bytes());
  }
  EXPECT_LT(peak, before + 128 * kMiB + kSanitizerBytes);
  std::cout << "closed: " << closed << ", peak: " << (peak - before) / kMiB << " MiB\n";
}

TEST_F(LoadTest, replies_past_the_output_limit_close_the_client) {
  const auto corral = start("[limits]\nclient_output = \"1MiB\"\n");
  Client good = corral->connect();
  good.command("SET", "value", std::string(16'000, 'x'));
  Client deaf = corral->connect();
  deaf.shrink_receive_buffer(4096);
  deaf.send(encode_all(std::vector<Args>(1000, Args{"GET", "value"})));  // 16 MB of replies
  const std::string address = " addr=127.0.0.1:" + std::to_string(deaf.local_port()) + " ";
  EXPECT_TRUE(eventually([&] { return good.command("CLIENT", "LIST").text.find(address) == std::string::npos; }))
      << good.command("CLIENT", "LIST").text;
  EXPECT_EQ(good.command("GET", "value").text.size(), 16'000u);
}

TEST_F(LoadTest, ten_thousand_idle_connections) {
  const auto corral = start("[server]\nmax_clients = 11000\n");
  Client good = corral->connect();
  const uint64_t before = corral->rss_bytes();
  std::vector<Client> idle;
  for (int i = 0; i < 10'000; ++i) {
    idle.push_back(corral->connect());
    if (i % 100 == 0) idle.back().command("PING");  // so that the listen queue does not run over
  }
  for (Client& client : idle) client.send("*1\r\n$4\r\nPING\r\n");
  for (Client& client : idle) ASSERT_EQ(client.read_reply(), Reply::status("PONG"));
  const uint64_t each = (corral->rss_bytes() - before) / idle.size();
  std::cout << each << " bytes for an idle connection\n";
  EXPECT_LE(each, 1024u + kSanitizerBytes);
  const auto start_time = Clock::now();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(good.command("SET", "k", i), Reply::status("OK"));
  EXPECT_LT(seconds_since(start_time), 10);
  const double cpu = corral->cpu_seconds();
  EXPECT_FALSE(good.readable(milliseconds(1000)));
  EXPECT_LT(corral->cpu_seconds() - cpu, 0.3) << "idle connections cost nothing";
  idle.clear();
  EXPECT_TRUE(eventually([&] {
    const std::string info = good.command("INFO", "clients").text;
    return std::stoi("0" + info_field(info, "connected_clients")) < 100;
  }));
}

TEST_F(LoadTest, one_client_too_many_is_told_so) {
  const auto corral = start("[server]\nmax_clients = 20\n");
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(corral->connect());
    // Connections of before this test may not be gone yet.
    require_eventually("a place is free", [&] {
      try {
        return clients.back().command("PING") == Reply::status("PONG");
      } catch (const Disconnected&) {
        clients.back() = corral->connect();
        return false;
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(corral->connect().read_until_close(), "-ERR max number of clients reached\r\n");
  }
  for (Client& client : clients) EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
  clients.pop_back();
  EXPECT_TRUE(eventually([&] {
    try {
      return corral->connect().command("PING") == Reply::status("PONG");
    } catch (const Disconnected&) {
      return false;
    }
  }));
}

TEST_F(LoadTest, a_pipeline_of_100000_is_answered_in_order) {
  const auto corral = start();
  constexpr size_t kCommands = 100'000, kKeys = 1000;
  const std::string padding(500, 'p');
  Client client = corral->connect();
  std::vector<Args> sets, gets;
  for (size_t i = 0; i < kKeys; ++i) sets.push_back({"SET", "key:" + std::to_string(i), std::to_string(i) + padding});
  for (size_t i = 0; i < kCommands; ++i) gets.push_back({"GET", "key:" + std::to_string(i * 7 % kKeys)});
  client.pipeline(sets);
  const uint64_t before = corral->rss_bytes();
  const auto replies = client.pipeline(gets);
  for (size_t i = 0; i < kCommands; ++i) ASSERT_EQ(replies[i].text, std::to_string(i * 7 % kKeys) + padding) << i;
  EXPECT_LT(corral->rss_bytes(), before + 64 * kMiB + kSanitizerBytes);
}

TEST_F(LoadTest, a_pipeline_is_read_as_fast_as_it_is_answered) {
  const auto corral = start();
  Client client = corral->connect();
  client.shrink_receive_buffer(64 * 1024);
  const std::string value(1000, 'v');
  client.command("SET", "k", value);
  const uint64_t before = corral->rss_bytes();
  // All of it is written before the first reply is read; what the sockets and Corral do not hold waits in send().
  const std::string gets = encode_all(std::vector<Args>(100'000, Args{"GET", "k"}));
  std::string_view rest = gets;
  uint64_t peak = 0;
  for (size_t stalled = 0; !rest.empty() && stalled < 100;) {
    const size_t sent = client.send_some(rest);
    rest.remove_prefix(sent);
    stalled = sent ? 0 : stalled + 1;
    if (!sent) std::this_thread::sleep_for(milliseconds(1));
    peak = std::max(peak, corral->rss_bytes());
  }
  EXPECT_LT(peak, before + 64 * kMiB + kSanitizerBytes);
  const auto replies = client.exchange(rest, 100'000);
  for (const Reply& reply : replies) ASSERT_EQ(reply.text, value);
}

}  // namespace
}  // namespace corral::test

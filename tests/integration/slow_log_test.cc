// CORRAL SLOWLOG and LATENCY HISTOGRAM through the whole program: where the time went, for whom, and how often.
#include <gtest/gtest.h>

#include <thread>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr const char* kSettings =
    "[log]\nslow_request = \"100ms\"\n"
    "[[rule]]\nname = \"leased\"\nmatch = [\"lease:*\"]\nstampede = { lease = \"20s\", wait = \"10s\" }\n"
    "[[rule]]\nname = \"near\"\nmatch = [\"near:*\"]\nnear_cache = {}\n";

class SlowLogTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds(), .settings = kSettings});
    corral_->wait_until_serving();
  }
  static void TearDownTestSuite() {
    corral_.reset();
    cluster_.reset();
  }
  SlowLogTest() { client_.command("CORRAL", "SLOWLOG", "RESET"); }

  // The entry of a command on `key`; fails the test if there is not just one.
  Reply entry_of(const std::string& key) {
    const Reply all = client_.command("CORRAL", "SLOWLOG", "GET", "-1");
    std::vector<Reply> found;
    for (const Reply& one : all.elements) {
      const auto args = one.at("command").strings();
      if (args.size() > 1 && args[1] == key) found.push_back(one);
    }
    EXPECT_EQ(found.size(), 1u) << to_string(all);
    return found.empty() ? Reply() : found[0];
  }
  // Sends a command whose node stands still for `ms`.
  Reply slowly(Client& client, const std::string& key, const Args& command, int ms) {
    RedisServer& node = cluster_->owner_of(key);
    node.pause();
    client.send(encode(command));
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
    node.resume();
    return client.read_reply();
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::unique_ptr<Corral> corral_;
  Client client_ = corral_->connect();
};

TEST_F(SlowLogTest, a_slow_node_is_told_with_the_command_and_who_sent_it) {
  Client named = corral_->connect();
  named.command("CLIENT", "SETNAME", "somebody");
  named.command("SET", "plain", "v");
  ASSERT_EQ(slowly(named, "plain", {"SET", "plain", std::string(300, 'x')}, 300), Reply::status("OK"));
  const Reply entry = entry_of("plain");
  EXPECT_EQ(entry.at("node").text, "127.0.0.1:" + std::to_string(cluster_->owner_of("plain").port()));
  EXPECT_EQ(entry.at("client_name").text, "somebody");
  EXPECT_EQ(entry.at("command").strings().at(2), std::string(128, 'x') + "... (172 more bytes)");
  EXPECT_GE(entry.at("upstream_us").integer, 250'000);
  EXPECT_EQ(entry.at("lease_us").integer, 0);
  EXPECT_EQ(entry.at("duration_us").integer,
            entry.at("queue_us").integer + entry.at("upstream_us").integer + entry.at("lease_us").integer);
  EXPECT_LT(entry.at("queue_us").integer, entry.at("upstream_us").integer);
  EXPECT_GE(corral_->counter("slow_requests"), 1);
}

TEST_F(SlowLogTest, a_read_that_fills_the_near_cache_is_told_once_for_its_client) {
  slowly(client_, "near:1", {"GET", "near:1"}, 300);
  const Reply entry = entry_of("near:1");
  EXPECT_GE(entry.at("upstream_us").integer, 250'000);
  EXPECT_NE(entry.at("client").text, "");
}

TEST_F(SlowLogTest, a_wait_on_a_lease_is_told_as_such) {
  Client holder = corral_->connect(), waiting = corral_->connect();
  ASSERT_EQ(holder.command("GET", "lease:1"), Reply::nil());
  const int64_t waits = corral_->counter("waits");
  waiting.send(encode({"GET", "lease:1"}));
  require_eventually("it waits", [&] { return corral_->counter("waits") == waits + 1; });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  holder.command("SET", "lease:1", "v", "EX", "60");
  ASSERT_EQ(waiting.read_reply().text, "v");
  const Reply entry = entry_of("lease:1");
  EXPECT_GE(entry.at("lease_us").integer, 290'000);
  EXPECT_LT(entry.at("upstream_us").integer, entry.at("lease_us").integer);
}

TEST_F(SlowLogTest, what_is_fast_or_may_wait_is_not_in_it_and_its_subcommands_are_checked) {
  EXPECT_TRUE(client_.command("BLPOP", "nothing", "0.3").is_nil());
  EXPECT_EQ(client_.command("CORRAL", "SLOWLOG", "LEN"), Reply::number(0));
  for (const Args& wrong : {Args{"GET", "-2"}, Args{"GET", "x"}, Args{"LEN", "1"}, Args{"RESET", "1"}, Args{"NO"}}) {
    Args command = {"CORRAL", "SLOWLOG"};
    command.insert(command.end(), wrong.begin(), wrong.end());
    EXPECT_TRUE(client_.command(command).is_error("ERR")) << wrong[0];
  }
}

// Cumulative, in powers of two, ending with all calls: as Redis tells it.
void check_histogram(const Reply& histogram, int64_t calls) {
  EXPECT_EQ(histogram.at("calls"), Reply::number(calls)) << to_string(histogram);
  const Reply buckets = histogram.at("histogram_usec");
  ASSERT_GE(buckets.elements.size(), 2u);
  int64_t us_before = 0, count_before = 0;
  for (size_t i = 0; i + 1 < buckets.elements.size(); i += 2) {
    const int64_t us = buckets.elements[i].integer, count = buckets.elements[i + 1].integer;
    EXPECT_EQ(us & (us - 1), 0) << us;
    EXPECT_GT(us, us_before);
    EXPECT_GT(count, count_before);
    us_before = us;
    count_before = count;
  }
  EXPECT_EQ(count_before, calls);
}

TEST_F(SlowLogTest, who_joins_a_slow_fill_late_was_not_slow) {
  RedisServer& node = cluster_->owner_of("near:2");
  Client late = corral_->connect();
  node.pause();
  client_.send(encode({"GET", "near:2"}));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  late.send(encode({"GET", "near:2"}));
  EXPECT_TRUE(eventually([&] { return corral_->counter("reads_shared") > 0; }));
  node.resume();
  EXPECT_TRUE(client_.read_reply().is_nil());
  EXPECT_TRUE(late.read_reply().is_nil());
  const Reply all = client_.command("CORRAL", "SLOWLOG", "GET", "-1");
  EXPECT_FALSE(all.elements.empty());
  for (const Reply& one : all.elements) EXPECT_GE(one.at("duration_us").integer, 100'000) << to_string(all);
}

TEST_F(SlowLogTest, latency_histogram_counts_what_clients_sent_wherever_it_was_answered) {
  for (const int version : {2, 3}) {
    client_.command("HELLO", version);
    client_.command("CONFIG", "RESETSTAT");
    for (int i = 0; i < 40; ++i) client_.command("GET", "near:hot");
    for (int i = 0; i < 7; ++i) client_.command("MGET", "a", "b", "c");
    slowly(client_, "plain", {"SET", "plain", "v"}, 200);
    const Reply all = client_.command("LATENCY", "HISTOGRAM");
    check_histogram(all.at("get"), 40);
    check_histogram(all.at("mget"), 7);
    check_histogram(all.at("set"), 1);
    const Reply buckets = all.at("set").at("histogram_usec");
    EXPECT_GE(buckets.elements.at(0).integer, 131'072) << to_string(buckets);
    const Reply some = client_.command("LATENCY", "HISTOGRAM", "set", "nosuch", "config");
    EXPECT_EQ(some.elements.size(), 4u) << to_string(some);
    EXPECT_EQ(some.elements.at(0).text, "set");
    EXPECT_EQ(some.elements.at(2).text, "config|resetstat");
  }
}

}  // namespace
}  // namespace corral::test

// The admin port: metrics that Prometheus' own parser accepts under load and that agree with what the clients counted,
// health and readiness, and what becomes of the port when it is taken, taken over or asked by strangers.
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <sstream>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"
#include "support/http.h"

namespace corral::test {
namespace {

constexpr const char* kSettings =
    "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"500ms\"\n"
    "[[rule]]\nname = \"pages\"\nmatch = [\"page:*\"]\nnear_cache = {}\n"
    "ttl = { default = \"5m\", max = \"10m\", jitter = 0 }\nmax_value = \"1KiB\"\n";

std::string at(const Port& port) { return "127.0.0.1:" + std::to_string(port.number()); }

// What a program that reads its standard input from a file says, and its exit status.
Finished run_on(const std::string& command, const std::string& input) {
  const TempDir dir;
  const auto file = dir.path() / "input";
  std::ofstream(file) << input;
  return run({"sh", "-c", command + " < " + file.string()});
}

class AdminTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }

  CorralOptions options() const { return {.upstream = cluster_->seeds(), .settings = kSettings, .admin = at(*port_)}; }
  Metrics scrape() const {
    const HttpReply reply = http_get(port_->number(), "/metrics");
    EXPECT_EQ(reply.status, 200);
    return parse_metrics(reply.body);
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  const std::shared_ptr<Port> port_ = std::make_shared<Port>();
};

TEST_F(AdminTest, promtool_accepts_the_metrics_under_load) {
  Corral corral(options());
  corral.wait_until_serving();
  Background load([client = corral.connect()](Background::Stop stop) mutable {
    const std::vector<Args> batch = {{"SET", "page:1", "v"},
                                     {"GET", "page:1"},
                                     {"HSET", "h", "f", "v"},
                                     {"DBSIZE"},
                                     {"NO", "SUCH"},
                                     {"EVAL", "return 1", "0"},
                                     {"MULTI"},
                                     {"EXEC"}};
    while (!stop) client.pipeline(batch);
  });
  for (int i = 0; i < 5; ++i) {
    const HttpReply reply = http_get(port_->number(), "/metrics");
    ASSERT_EQ(reply.status, 200);
    const Finished checked = run_on("promtool check metrics", reply.body);
    EXPECT_EQ(checked.status, 0) << checked.output;
    EXPECT_EQ(checked.output, "");
  }
}

TEST_F(AdminTest, counters_agree_with_what_the_client_counted) {
  Corral corral(options());
  corral.wait_until_serving();
  Client client = corral.connect();
  client.command("FLUSHALL");
  const Metrics before = scrape();
  const std::string big(2000, 'x');
  std::vector<Args> commands;
  for (int i = 0; i < 300; ++i) {
    const std::string key = std::to_string(i % 10);
    commands.push_back({"SET", "page:" + key, "v"});               // given the default
    commands.push_back({"SET", "page:" + key, "v", "EX", "900"});  // capped
    commands.push_back({"SET", "page:" + key, big});               // too big
    commands.push_back({"GET", "plain:" + key});
    commands.push_back({"EVAL", "return 1", "0"});
    commands.push_back({"NOSUCHCOMMAND"});
  }
  const auto replies = client.pipeline(commands);
  ASSERT_EQ(replies.size(), commands.size());
  uint64_t hits = 0;
  for (int i = 0; i < 500; ++i) hits += client.command("GET", "page:" + std::to_string(i % 10)).text == "v";
  ASSERT_EQ(hits, 500u);
  const Metrics after = scrape();
  const auto counted = [&](const std::string& name) {
    EXPECT_TRUE(after.contains(name)) << name;
    return after.contains(name) ? after.at(name) - (before.contains(name) ? before.at(name) : 0) : -1;
  };
  EXPECT_EQ(counted("corral_requests_total"), commands.size() + 500);
  EXPECT_EQ(counted("corral_request_duration_seconds_count{group=\"write\"}"), 900);
  EXPECT_EQ(counted("corral_request_duration_seconds_count{group=\"read\"}"), 300 + 500);
  EXPECT_EQ(counted("corral_request_duration_seconds_count{group=\"script\"}"), 300);
  EXPECT_EQ(counted("corral_request_duration_seconds_count{group=\"local\"}"), 300);
  EXPECT_LT(counted("corral_request_duration_seconds_sum{group=\"read\"}"), 800 * 1.0);
  EXPECT_GT(counted("corral_request_duration_seconds_sum{group=\"read\"}"), 0);
  EXPECT_EQ(counted("corral_near_cache_hits_total") + counted("corral_near_cache_misses_total"), 500);
  EXPECT_GT(counted("corral_near_cache_hits_total"), 450);
  EXPECT_EQ(counted("corral_rule_near_cache_hits_total{rule=\"pages\"}"), counted("corral_near_cache_hits_total"));
  for (const std::string name : {"ttl_defaulted", "ttl_clamped", "too_big"}) {
    EXPECT_EQ(counted("corral_" + name + "_total"), 300) << name;
    EXPECT_EQ(counted("corral_rule_" + name + "_total{rule=\"pages\"}"), 300) << name;
  }
  EXPECT_EQ(counted("corral_errors_total{code=\"TOOBIG\"}"), 300);
  double of_nodes = 0;
  for (const auto& [name, value] : after) {
    if (name.starts_with("corral_node_request_duration_seconds_count")) of_nodes += value - before.at(name);
    EXPECT_TRUE(!name.starts_with("corral_node_request_duration_seconds_sum") || value < 1000) << name;
    EXPECT_TRUE(!name.starts_with("corral_node_up") || value == 1) << name;
  }
  EXPECT_GE(of_nodes, 300 + 300 + 300 + 300) << "the writes that fit, the plain reads and the scripts";
  // INFO tells the same, from the same counters.
  EXPECT_EQ(after.at("corral_requests_total") + 1, corral.counter("requests"));
  EXPECT_EQ(after.at("corral_near_cache_hits_total"), corral.counter("near_cache_hits"));
}

// INFO's # Corral, by name.
std::map<std::string, double> info_of(const Corral& corral) {
  std::map<std::string, double> fields;
  std::istringstream lines(corral.connect().command("INFO", "corral").text);
  for (std::string line; std::getline(lines, line);) {
    if (const size_t colon = line.find(':'); colon != std::string::npos) {
      fields[line.substr(0, colon)] = std::stod(line.substr(colon + 1));
    }
  }
  return fields;
}

TEST_F(AdminTest, info_and_the_metrics_have_the_same_names) {
  Corral corral(options());
  corral.wait_until_serving();
  const auto info = info_of(corral);
  ASSERT_GT(info.size(), 30u);
  const Metrics metrics = scrape();
  for (const auto& [name, value] : info) {
    EXPECT_NE(metrics.contains("corral_" + name), metrics.contains("corral_" + name + "_total")) << name;
  }
  constexpr std::string_view kPrefix = "corral_", kSuffix = "_total";
  for (const auto& [name, value] : metrics) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;  // no counter, or one with labels
    const std::string bare = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    EXPECT_TRUE(info.contains(bare)) << name;
  }
}

TEST_F(AdminTest, leases_are_counted_by_rule) {
  CorralOptions leasing = options();
  leasing.settings =
      "[[rule]]\nname = \"leased\"\nmatch = [\"lease:*\"]\nstampede = { lease = \"10s\", wait = \"5s\" }\n";
  Corral corral(leasing);
  corral.wait_until_serving();
  Client holder = corral.connect(), waiting = corral.connect();
  holder.command("DEL", "lease:1");
  ASSERT_EQ(holder.command("GET", "lease:1"), Reply::nil());
  waiting.send(encode({"GET", "lease:1"}));
  require_eventually("it waits", [&] { return scrape().at("corral_waits_total") == 1; });
  holder.command("SET", "lease:1", "v", "EX", "60");
  ASSERT_EQ(waiting.read_reply().text, "v");
  const Metrics metrics = scrape();
  for (const std::string name : {"leases_granted", "leases_filled", "waits", "waits_filled"}) {
    EXPECT_EQ(metrics.at("corral_" + name + "_total"), 1) << name;
    EXPECT_EQ(metrics.at("corral_rule_" + name + "_total{rule=\"leased\"}"), 1) << name;
  }
}

TEST_F(AdminTest, not_ready_while_a_slot_has_no_reachable_owner) {
  RedisCluster cluster;
  Corral corral({.upstream = cluster.seeds(), .settings = kSettings, .admin = at(*port_)});
  const auto readiness = [&] { return http_get(port_->number(), "/readyz"); };
  require_eventually("it is ready", [&] { return readiness().status == 200; });
  EXPECT_EQ(readiness().body, "ready\n");
  cluster.node(1).kill();
  require_eventually("it is not", [&] { return readiness().status == 503; });
  EXPECT_EQ(readiness().body,
            "127.0.0.1:" + std::to_string(cluster.node(1).port()) + " cannot be reached; it owns 5461 slots\n");
  EXPECT_EQ(http_get(port_->number(), "/healthz").status, 200) << "the process lives";
  cluster.node(1).restart();
  EXPECT_TRUE(eventually([&] { return readiness().status == 200; }));
}

TEST_F(AdminTest, an_address_that_is_taken_ends_the_start_with_a_clear_error) {
  Corral first(options());
  CorralOptions taken = options();
  taken.wait_until_ready = false;
  Corral second(taken);
  EXPECT_EQ(second.wait_for_exit(), 1);
  EXPECT_NE(second.log().find("cannot listen on " + at(*port_) +
                              " for metrics and health: Address already in use; --admin HOST:PORT is another "
                              "address, --admin \"\" is none"),
            std::string::npos)
      << second.log();
  EXPECT_EQ(http_get(port_->number(), "/healthz").status, 200) << "the first goes on";
}

TEST_F(AdminTest, a_takeover_hands_the_address_on) {
  auto running = std::make_unique<Corral>(options());
  for (int generation = 0; generation < 3; ++generation) {
    require_eventually("it answers", [&] { return http_get(port_->number(), "/healthz").status == 200; });
    CorralOptions next_options = options();
    next_options.port = running->shared_port();
    next_options.flags = {"--takeover"};
    auto next = std::make_unique<Corral>(next_options);
    EXPECT_EQ(running->wait_for_exit(), 0);
    EXPECT_TRUE(next->running());
    running = std::move(next);
  }
  const double now = static_cast<double>(std::time(nullptr));
  require_eventually("the new one answers", [&] { return http_get(port_->number(), "/healthz").status == 200; });
  EXPECT_LT(now - scrape().at("process_start_time_seconds"), 20);
}

TEST_F(AdminTest, draining_is_not_ready) {
  CorralOptions slow = options();
  slow.settings = "[upstream]\nrequest_timeout = \"60s\"\n";
  Corral corral(slow);
  corral.wait_until_serving();
  RedisServer& node = cluster_->owner_of("key");
  Client client = corral.connect();
  node.pause();
  client.send(encode({"INCR", "key"}));
  corral.terminate();
  EXPECT_TRUE(eventually([&] {
    const HttpReply reply = http_get(port_->number(), "/readyz");
    return reply.status == 503 && reply.body == "draining\n";
  }));
  node.resume();
  EXPECT_EQ(corral.wait_for_exit(), 0);
}

TEST_F(AdminTest, connections_left_open_hold_up_no_end) {
  Corral corral(options());
  Client idle(port_->number()), halfway(port_->number());
  idle.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  halfway.send("GET /heal");
  require_eventually("it answers", [&] { return http_get(port_->number(), "/healthz").status == 200; });
  corral.terminate();
  EXPECT_EQ(corral.wait_for_exit(), 0);
}

TEST_F(AdminTest, a_token_is_wanted_where_it_is_set) {
  CorralOptions with_token = options();
  with_token.admin = "0.0.0.0:" + std::to_string(port_->number());
  with_token.settings = "[server]\nadmin_token = \"s3cret\"\n";
  Corral corral(with_token);
  EXPECT_EQ(http_get(port_->number(), "/metrics").status, 401);
  EXPECT_EQ(http_get(port_->number(), "/metrics", {{"Authorization", "Bearer wrong"}}).status, 401);
  EXPECT_EQ(http_get(port_->number(), "/metrics", {{"Authorization", "Bearer s3cret"}}).status, 200);
  EXPECT_EQ(http_get(port_->number(), "/healthz").status, 200);
}

// The body of a request that is refused is not read, and must not be taken for the next request.
TEST_F(AdminTest, a_connection_is_for_one_request) {
  Corral corral(options());
  const std::string purge =
      "POST /purge HTTP/1.1\r\nHost: localhost\r\nX-Corral-Action: 1\r\nContent-Length: 1\r\n\r\n*";
  Client stranger(port_->number());
  stranger.send("POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: " +
                std::to_string(purge.size()) + "\r\n\r\n");
  stranger.send(purge);
  const std::string told = stranger.read_until_close();
  EXPECT_TRUE(told.starts_with("HTTP/1.1 403 ")) << told;
  EXPECT_EQ(told.find("HTTP/1.1", 1), std::string::npos) << told;
}

TEST_F(AdminTest, parts_are_not_given) {
  Corral corral(options());
  EXPECT_EQ(http_get(port_->number(), "/", {{"Range", "bytes=0-,0-,0-"}}).status, 416);
}

TEST_F(AdminTest, strangers_names_and_methods_are_turned_away) {
  Corral corral(options());
  EXPECT_EQ(http_get(port_->number(), "/metrics", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(http_post(port_->number(), "/metrics", "").status, 403);
  EXPECT_EQ(http_get(port_->number(), "/nothing").status, 404);
}

}  // namespace
}  // namespace corral::test

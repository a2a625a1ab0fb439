// Two Corrals before one cluster. With scope = "cluster" the whole fleet computes once, and what that takes is not to
// be seen by clients; with scope = "proxy" each Corral computes once. See stampede_front.h for how to make these fail.
#include <array>
#include <iostream>
#include <set>

#include "rush.h"
#include "stampede_front.h"
#include "traffic.h"

namespace corral::test {
namespace {

constexpr milliseconds kOrigin{200}, kTtl{1000};
constexpr int kLeaseMs = 2000;
constexpr size_t kClients = 200;

std::string settings() {
  const std::string stampede = "lease = \"10s\", wait = " + milliseconds_text(wait_ms());
  return stampede_rule("fleet", stampede + ", scope = \"cluster\"") +
         stampede_rule("fleetsoft", stampede + ", scope = \"cluster\", stale_while_revalidate = \"2s\"") +
         stampede_rule("fleetshort",
                       "lease = " + milliseconds_text(kLeaseMs) + ", wait = \"1m\", scope = \"cluster\"") +
         stampede_rule("each", stampede + ", scope = \"proxy\"") +
         stampede_rule("eachsoft", stampede + ", scope = \"proxy\", stale_while_revalidate = \"2s\"");
}

class StampedeFleetTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    for (auto& proxy : proxies_) proxy = start_proxy();
  }
  static void TearDownTestSuite() {
    for (auto& proxy : proxies_) proxy.reset();
    cluster_.reset();
  }
  static std::unique_ptr<Corral> start_proxy() {
    auto proxy = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds(), .settings = settings()});
    proxy->wait_until_serving();
    return proxy;
  }
  void SetUp() override { proxies_[0]->connect().command("FLUSHALL"); }

  static std::vector<uint16_t> ports() { return {proxies_[0]->port(), proxies_[1]->port()}; }
  int64_t keys_at_nodes() {
    int64_t sum = 0;
    for (size_t i = 0; i < cluster_->size(); ++i) sum += cluster_->node(i).command("DBSIZE").integer;
    return sum;
  }
  void rush(Rush& rush) {
    rush.run([&](size_t, size_t client) { rush.after(kOrigin, [&, client] { rush.fill(client, "value"); }); });
    std::cout << rush.report() << std::endl;
    EXPECT_EQ(rush.filled(), kClients - rush.nils());
  }
  void watch(Traffic& traffic, Crowd& crowd) {
    traffic.fill();
    traffic.start();
    EXPECT_TRUE(crowd.run_until([&] { return traffic.computed() > 4; }, kPatience * 5));
    traffic.stop();
    std::cout << traffic.report() << std::endl;
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::array<std::unique_ptr<Corral>, 2> proxies_;
};

TEST_F(StampedeFleetTest, on_a_cold_key_one_of_all_clients_computes) {
  Crowd crowd(ports(), kClients, true);
  Rush one(crowd, fresh_key("fleet"));
  rush(one);
  EXPECT_EQ(one.nils(), 1u);
}

TEST_F(StampedeFleetTest, past_the_soft_ttl_one_of_all_clients_computes) {
  Crowd crowd(ports(), 60);
  Traffic traffic(crowd, {.key = fresh_key("fleetsoft"), .ttl = kTtl});
  watch(traffic, crowd);
  EXPECT_EQ(traffic.overlapping(), 0u) << "clients computed the same at once";
  EXPECT_EQ(traffic.calls_before(kTtl - milliseconds(50)), 0u) << "asked for anew too soon";
}

TEST_F(StampedeFleetTest, with_scope_proxy_one_client_of_each_computes) {
  Crowd crowd(ports(), kClients, true);
  Rush each(crowd, fresh_key("each"));
  rush(each);
  EXPECT_LE(each.nils(), 2u);
  Crowd steady(ports(), 60);
  Traffic traffic(steady, {.key = fresh_key("eachsoft"), .ttl = kTtl});
  watch(traffic, steady);
  EXPECT_LE(traffic.overlapping(), (traffic.calls().size() + 1) / 2);
}

TEST_F(StampedeFleetTest, when_the_holder_hangs_up_a_client_of_another_proxy_computes) {
  const std::string key = fresh_key("fleet");
  auto holder = std::make_unique<Client>(proxies_[0]->connect());
  Client other = proxies_[1]->connect();
  ASSERT_TRUE(holder->command("GET", key).is_nil());
  const int64_t before = proxies_[1]->counter("waits");
  other.send(encode({"GET", key}));
  require_eventually("it waits", [&] { return proxies_[1]->counter("waits") > before; });
  holder.reset();
  EXPECT_TRUE(other.read_reply().is_nil());
  Client third = proxies_[0]->connect();
  third.send(encode({"GET", key}));
  other.command("SET", key, "value");
  EXPECT_EQ(third.read_reply(), Reply::string("value"));
}

TEST_F(StampedeFleetTest, when_the_proxy_of_the_holder_dies_another_computes_after_the_lease) {
  const std::string key = fresh_key("fleetshort");
  auto proxy = start_proxy();
  Client holder = proxy->connect();
  const auto granted = Clock::now();
  ASSERT_TRUE(holder.command("GET", key).is_nil());
  std::vector<Client> others;
  for (int i = 0; i < 20; ++i) others.push_back(proxies_[static_cast<size_t>(i % 2)]->connect());
  for (Client& other : others) other.send(encode({"GET", key}));
  proxy->signal(SIGKILL);
  size_t told_nil = 0, holder_index = others.size();
  require_eventually("another one is told that it is missing", [&] {
    for (size_t i = 0; i < others.size() && told_nil == 0; ++i) {
      if (!others[i].readable(milliseconds(0))) continue;
      EXPECT_TRUE(others[i].read_reply().is_nil());
      ++told_nil;
      holder_index = i;
    }
    return told_nil > 0;
  });
  std::cout << "told after " << seconds_since(granted) << " s, the lease is of " << kLeaseMs << " ms" << std::endl;
  EXPECT_GE(seconds_since(granted), kLeaseMs / 1000.0 - 0.05) << "who was to wait did not";
  others[holder_index].command("SET", key, "value");
  for (size_t i = 0; i < others.size(); ++i) {
    if (i == holder_index) continue;
    EXPECT_EQ(others[i].read_reply(), Reply::string("value"));
  }
}

TEST_F(StampedeFleetTest, the_keys_of_leases_are_not_to_be_seen) {
  Client holder = proxies_[0]->connect(), other = proxies_[1]->connect();
  std::set<std::string> there;
  for (int i = 0; i < 20; ++i) {
    const std::string key = fresh_key("fleetsoft");
    there.insert(key);
    holder.command("SET", key, "value");
    ASSERT_TRUE(holder.command("GET", fresh_key("fleet")).is_nil());
  }
  ASSERT_GT(keys_at_nodes(), static_cast<int64_t>(there.size())) << "there are no keys to be hidden";
  EXPECT_EQ(holder.command("DBSIZE").integer, static_cast<int64_t>(there.size()));
  // Of leases that nobody waits for here this proxy knows nothing: a number cannot leave them out.
  EXPECT_LE(other.command("DBSIZE").integer, static_cast<int64_t>(2 * there.size()));
  for (Client* client : {&holder, &other}) {
    const auto keys = client->command("KEYS", "*").strings();
    EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()), there);
    std::set<std::string> scanned;
    std::string cursor = "0";
    do {
      const Reply reply = client->command("SCAN", cursor, "COUNT", 7);
      for (const std::string& key : reply.elements.at(1).strings()) scanned.insert(key);
      cursor = reply.elements.at(0).text;
    } while (cursor != "0");
    EXPECT_EQ(scanned, there);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(there.contains(client->command("RANDOMKEY").text));
  }
}

TEST_F(StampedeFleetTest, the_key_of_a_lease_goes_with_it) {
  Client holder = proxies_[0]->connect();
  const std::string key = fresh_key("fleet");
  ASSERT_TRUE(holder.command("GET", key).is_nil());
  ASSERT_EQ(keys_at_nodes(), 1) << "there is no key for the lease";
  holder.command("SET", key, "value");
  EXPECT_TRUE(eventually([&] { return keys_at_nodes() == 1; }));
  EXPECT_EQ(cluster_->command_to_owner(key, "GET", key).text, "value");
}

}  // namespace
}  // namespace corral::test

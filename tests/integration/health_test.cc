// Nodes that are dead, hang or have moved, in front of real servers: what is for them fails at once after a while, the
// rest is served, and they are found again.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "forwarder.h"
#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr const char* kTimes =
    "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"500ms\"\n";
constexpr const char* kStandalone =
    "[upstream]\nmode = \"standalone\"\nconnect_timeout = \"300ms\"\nrequest_timeout = \"4s\"\n"
    "refresh_interval = \"500ms\"\n";

class DeadShardTest : public ::testing::TestWithParam<bool> {
 protected:
  RedisCluster cluster_;  // without replicas, with a long node timeout: the dead node stays the owner
  Corral corral_{{.upstream = cluster_.seeds(), .settings = kTimes}};
  const std::string here_ = tag_of_slot(5) + "k", elsewhere_ = tag_of_slot(16'000) + "k";
};

TEST_P(DeadShardTest, its_requests_fail_at_once_the_others_are_served_and_it_comes_back) {
  corral_.wait_until_serving();
  Client client = corral_.connect(), other = corral_.connect();
  ASSERT_EQ(client.command("SET", here_, "v"), Reply::status("OK"));
  const bool hangs = GetParam();
  hangs ? cluster_.node(0).pause() : cluster_.node(0).kill();
  double slowest_elsewhere = 0;
  EXPECT_TRUE(eventually([&] {
    client.send(encode({"SET", here_, "v"}));
    while (!client.readable(milliseconds(0))) {
      const auto start = Clock::now();
      EXPECT_EQ(other.command("SET", elsewhere_, "v"), Reply::status("OK"));
      slowest_elsewhere = std::max(slowest_elsewhere, seconds_since(start));
    }
    EXPECT_TRUE(client.read_reply().is_error());
    return corral_.counter("breakers_opened") >= 1;
  }));
  EXPECT_LT(slowest_elsewhere, 0.9) << "no request of another shard waits for the dead one";
  // Each worker finds out for itself: from when both have, a hundred requests take no time.
  EXPECT_TRUE(eventually([&] {
    const auto start = Clock::now();
    for (int i = 0; i < 100; ++i) {
      const Reply reply = corral_.connect().command("GET", here_);
      EXPECT_TRUE(reply.is_error("CLUSTERDOWN")) << reply;
      if (seconds_since(start) > 1) return false;
    }
    return true;
  }));
  EXPECT_GE(corral_.counter("failed_fast"), 100);
  hangs ? cluster_.node(0).resume() : cluster_.node(0).restart();
  const auto back = Clock::now();
  EXPECT_TRUE(eventually([&] { return client.command("SET", here_, "w") == Reply::status("OK"); }));
  EXPECT_LT(seconds_since(back), 5);
  EXPECT_EQ(client.command("GET", here_).text, "w");
}

INSTANTIATE_TEST_SUITE_P(Hangs, DeadShardTest, ::testing::Bool());

// A firewall that has forgotten a connection: its bytes go nowhere, and new connections are fine.
TEST(HalfOpenTest, a_read_is_answered_over_a_new_connection_before_its_time_is_over) {
  RedisServer redis;
  Forwarder network(redis.port());
  Corral corral({.upstream = "127.0.0.1:" + std::to_string(network.port()), .workers = 1, .settings = kStandalone});
  Client client = corral.connect();
  EXPECT_TRUE(eventually([&] { return client.command("SET", "k", "v") == Reply::status("OK"); }));
  network.hold(network.links(), Forwarder::Held::kBoth);
  const auto start = Clock::now();
  EXPECT_EQ(client.command("GET", "k").text, "v");
  EXPECT_LT(seconds_since(start), 3.5);
  EXPECT_GE(corral.counter("links_half_open"), 1);
  EXPECT_EQ(client.command("SET", "k", "w"), Reply::status("OK"));
}

// A name whose address changes, as that of a server that is replaced. The program gets a hosts file of its own, in a
// mount namespace.
class NameTest : public ::testing::Test {
 protected:
  static bool can_run() {
    try {
      return run({"unshare", "--mount", "--map-root-user", "true"}).status == 0;
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  void SetUp() override {
    if (!can_run()) GTEST_SKIP() << "needs unshare and user namespaces";
    name_is("127.0.0.1");
    const auto program = dir_.path() / "corral";
    std::ofstream(program) << "#!/bin/sh\nexec unshare --mount --map-root-user sh -c 'mount --bind \""
                           << hosts_.string() << "\" /etc/hosts && exec \"" << corral_binary()
                           << "\" \"$@\"' sh \"$@\"\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    first_ = std::make_unique<RedisServer>();
    first_->command("SET", "who", "first");
    port_ = std::to_string(first_->port());
    second_ = std::make_unique<Process>(std::vector<std::string>{"redis-server", "--port", port_, "--bind", "127.0.0.2",
                                                                 "--save", "", "--dir", dir_.path().string()},
                                        dir_.path() / "second.log");
    setenv("CORRAL_BINARY", program.c_str(), 1);
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = "moving.example:" + port_, .settings = kStandalone});
    unsetenv("CORRAL_BINARY");
  }
  void name_is(const std::string& address) {
    std::ofstream(hosts_) << address << " moving.example\n127.0.0.1 localhost\n";
  }
  void is_served_by_the_second() {
    Client client = corral_->connect();
    EXPECT_TRUE(eventually([&] { return client.command("SET", "who", "second") == Reply::status("OK"); }));
    EXPECT_EQ(client.command("GET", "who").text, "second");
  }

  TempDir dir_;
  const std::filesystem::path hosts_ = dir_.path() / "hosts";
  std::unique_ptr<RedisServer> first_;
  std::string port_;
  std::unique_ptr<Process> second_;
  std::unique_ptr<Corral> corral_;
};

TEST_F(NameTest, is_resolved_again_when_its_server_is_gone) {
  EXPECT_TRUE(eventually([&] { return corral_->connect().command("GET", "who").text == "first"; }));
  name_is("127.0.0.2");
  first_->kill();
  is_served_by_the_second();
}

TEST_F(NameTest, is_resolved_again_when_its_server_is_a_replica_now) {
  EXPECT_TRUE(eventually([&] { return corral_->connect().command("GET", "who").text == "first"; }));
  name_is("127.0.0.2");
  EXPECT_EQ(first_->command("REPLICAOF", "127.0.0.2", port_), Reply::status("OK"));
  is_served_by_the_second();
}

// A failover that Redis has completed is noticed at once, however the old master went.
class TakeOverTest : public ::testing::TestWithParam<bool> {};

TEST_P(TakeOverTest, requests_succeed_within_a_second_of_the_election) {
  RedisCluster cluster({.replicas_per_master = 1, .node_timeout_ms = 2000});
  Corral corral({.upstream = cluster.seeds(), .settings = kTimes});
  corral.wait_until_serving();
  const std::string key = tag_of_slot(5) + "k";
  Client client = corral.connect();
  ASSERT_EQ(client.command("SET", key, "v"), Reply::status("OK"));
  const bool hangs = GetParam();
  hangs ? cluster.node(0).pause() : cluster.node(0).kill();
  Clock::time_point elected;
  std::atomic<bool> is_elected = false;
  Background watcher([&](Background::Stop stop) {
    while (!stop && !is_elected) {
      if (cluster.owner_seen_by(1, 5) != 3) continue;
      elected = Clock::now();
      is_elected = true;
    }
  });
  EXPECT_TRUE(eventually([&] { return client.command("SET", key, "w") == Reply::status("OK"); }));
  const auto served = Clock::now();
  watcher.finish();
  if (is_elected) {  // else Corral has heard of it before the node that was watched
    EXPECT_LT(std::chrono::duration<double>(served - elected).count(), 1.0);
  }
  if (hangs) cluster.node(0).resume();
}

INSTANTIATE_TEST_SUITE_P(Hangs, TakeOverTest, ::testing::Bool());

}  // namespace
}  // namespace corral::test

// The cluster changes its members under load: a node joins, another leaves for good, all are restarted. No request is
// lost or done twice, and a node that has left is not asked any more.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <memory>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr int kCounters = 60;
constexpr const char* kSettings =
    "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"200ms\"\n";

// Counters all over the slots, counted up in pipelines until told to stop.
class Counting {
 public:
  explicit Counting(Corral& corral) : thread_([this, &corral](Background::Stop stop) { run(corral.connect(), stop); }) {}

  static std::string key(int i) { return tag_of_slot(i * (kSlots / kCounters)) + "count"; }
  bool goes_on() {
    const int64_t before = acknowledged_;
    return eventually([&] { return acknowledged_ > before + 10 * kCounters; });
  }
  void finish() { thread_.finish(); }
  void expect_exact(RedisCluster& cluster) {
    int64_t sum = 0;
    for (int i = 0; i < kCounters; ++i) sum += std::atoll(cluster.command_to_owner(key(i), "GET", key(i)).text.c_str());
    EXPECT_GE(sum, acknowledged_);
    EXPECT_LE(sum, acknowledged_ + in_doubt);
    EXPECT_EQ(unexpected, "");
    std::cout << acknowledged_ << " counted, " << in_doubt << " in doubt, " << refused << " refused\n";
  }

  int in_doubt = 0, refused = 0;
  std::string unexpected;

 private:
  void run(Client client, Background::Stop stop) {
    std::vector<Args> commands;
    for (int i = 0; i < kCounters; ++i) commands.push_back({"INCR", key(i)});
    while (!stop) {
      for (const Reply& reply : client.pipeline(commands)) {
        if (reply.type == Reply::Type::kInteger) {
          ++acknowledged_;
        } else if (reply.is_error("INDOUBT")) {
          ++in_doubt;
        } else if (reply.is_error("CLUSTERDOWN") || reply.is_error("LOADING")) {
          ++refused;
        } else {
          unexpected = to_string(reply);
        }
      }
    }
  }

  std::atomic<int64_t> acknowledged_ = 0;
  Background thread_;  // last: begins when the others are there
};

// Whether anybody connects to the port before the condition holds.
template <class Condition>
bool is_called_before(uint16_t port, Condition condition) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener, 10), 0);
  EXPECT_TRUE(eventually(condition));
  pollfd called{listener, POLLIN, 0};
  const bool is_called = poll(&called, 1, 0) > 0;
  close(listener);
  return is_called;
}

int64_t maps_told_by(RedisServer& node) {
  const std::string calls = info_field(node.command("INFO", "commandstats").text, "cmdstat_cluster|shards");
  return calls.starts_with("calls=") ? std::stoll(calls.substr(6)) : 0;
}

TEST(MembersTest, a_node_joins_and_leaves_for_good_and_no_request_notices) {
  RedisCluster cluster;
  Corral corral({.upstream = cluster.seeds(), .settings = kSettings});
  corral.wait_until_serving();
  Counting counting(corral);
  ASSERT_TRUE(counting.goes_on());
  const size_t fresh = cluster.add_node();
  std::vector<int> slots;
  for (int i = 0; i < kCounters; i += 3) slots.push_back(slot_of(Counting::key(i)));
  for (const int slot : slots) cluster.migrate_slot(slot, cluster.owner(slot), fresh);
  ASSERT_TRUE(counting.goes_on());
  EXPECT_GT(cluster.node(fresh).info_number("total_commands_processed"), 100);
  for (const int slot : slots) cluster.migrate_slot(slot, fresh, static_cast<size_t>(slot) % fresh);
  ASSERT_TRUE(counting.goes_on());
  for (size_t i = 0; i < fresh; ++i) {
    EXPECT_EQ(cluster.node(i).command("CLUSTER", "FORGET", cluster.id(fresh)), Reply::status("OK"));
  }
  cluster.node(fresh).kill();
  ASSERT_TRUE(counting.goes_on());
  const auto maps_told = [&] {
    int64_t sum = 0;
    for (size_t i = 0; i < fresh; ++i) sum += maps_told_by(cluster.node(i));
    return sum;
  };
  const int64_t so_far = maps_told();
  EXPECT_FALSE(is_called_before(cluster.node(fresh).port(), [&] { return maps_told() >= so_far + 5; }));
  counting.finish();
  EXPECT_EQ(counting.in_doubt + counting.refused, 0);
  counting.expect_exact(cluster);
}

TEST(MembersTest, all_nodes_are_restarted_one_after_the_other_and_all_at_once) {
  RedisCluster cluster({.settings = {"--appendonly", "yes", "--appendfsync", "no"}});
  Corral corral({.upstream = cluster.seeds(), .settings = kSettings});
  corral.wait_until_serving();
  Counting counting(corral);
  ASSERT_TRUE(counting.goes_on());
  const auto all_serve = [&] {
    Client client = corral.connect();
    return eventually([&] {
      for (int i = 0; i < kCounters; ++i) {
        if (client.command("GET", Counting::key(i)).is_error()) return false;
      }
      return true;
    });
  };
  for (size_t i = 0; i < cluster.size(); ++i) {
    cluster.node(i).kill();
    cluster.node(i).restart();
    ASSERT_TRUE(all_serve());
    ASSERT_TRUE(counting.goes_on());
  }
  for (size_t i = 0; i < cluster.size(); ++i) cluster.node(i).kill();
  for (size_t i = 0; i < cluster.size(); ++i) cluster.node(i).restart();
  ASSERT_TRUE(all_serve());
  ASSERT_TRUE(counting.goes_on());
  counting.finish();
  counting.expect_exact(cluster);
}

}  // namespace
}  // namespace corral::test

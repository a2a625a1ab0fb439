// Clients that keep what they read (CLIENT TRACKING), in all modes, while others change it past this Corral and the
// cluster is shaken: whatever they keep in the end is what the cluster has.
//
// CORRAL_SEED repeats a run as far as threads let it, CORRAL_STEPS makes it longer.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "caching_client.h"
#include "support/background.h"
#include "support/cluster.h"
#include "support/env.h"

namespace corral::test {
namespace {

constexpr const char* kSettings =
    "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"500ms\"\n";

class TrackingRaceTest : public ::testing::Test {
 protected:
  TrackingRaceTest() {
    std::cout << "CORRAL_SEED=" << seed_ << " CORRAL_STEPS=" << steps_ << std::endl;
    corral_.wait_until_serving();
    others_.wait_until_serving();
    for (int i = 0; i < 60; ++i) keys_.push_back((i % 2 ? "a:" : "b:") + std::to_string(i));
    for (int i = 0; i <= static_cast<int>(CachingClient::Mode::kLast); ++i) {
      for (const bool redirects : {false, true}) {
        const std::string name = "mode" + std::to_string(i) + (redirects ? "r" : "");
        const auto mode = static_cast<CachingClient::Mode>(i);
        clients_.push_back(std::make_unique<CachingClient>(corral_, mode, redirects, name));
        clients_.push_back(std::make_unique<CachingClient>(corral_, mode, redirects, name + "+"));
      }
    }
  }

  // Changes keys through another Corral, which follows them wherever they go.
  void write(Background::Stop stop, uint64_t seed) {
    std::mt19937_64 random(seed);
    Client client = others_.connect();
    for (uint64_t i = 0; !stop; ++i) {
      std::vector<Args> commands;
      for (uint64_t n = 1 + random() % 10; n > 0; --n) commands.push_back(change(random, i));
      client.pipeline(commands);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    }
  }
  Args change(std::mt19937_64& random, uint64_t i) {
    const std::string& key = keys_[random() % keys_.size()];
    if (random() % 10 == 0) return {"DEL", key};
    if (random() % 10 == 0) return {"SET", key, "short", "PX", std::to_string(1 + random() % 50)};
    return {"SET", key, std::to_string(seed_) + "." + std::to_string(i)};
  }

  // Steps all clients; `shake` is called now and then.
  template <class Shake>
  void run(Shake&& shake) {
    {
      Background writer([&](Background::Stop stop) { write(stop, seed_ + 1); });
      for (uint64_t i = 0; i < steps_; ++i) {
        step_all();
        if (i % 50 == 25) shake(i / 50);
      }
    }
    Background writer([&](Background::Stop stop) { write(stop, seed_ + 2); });
    for (int i = 0; i < 20; ++i) step_all();
    writer.finish();
    expect_nothing_stale();
  }

  void step_all() {
    size_t kept = 0;
    for (auto& client : clients_) {
      client->step(random_, keys_);
      kept += client->kept().size();
    }
    most_kept_ = std::max(most_kept_, kept);
  }

  void expect_nothing_stale() {
    cluster_.wait_until_agreed();
    Client asks = others_.connect();
    std::string stale;
    const bool fresh = eventually([&] {
      stale.clear();
      for (auto& client : clients_) {
        client->drain();
        for (const auto& [key, value] : client->kept()) {
          const Reply now = asks.command("GET", key);
          if (now != value) {
            stale += client->name() + " has " + key + " = " + to_string(value) + ", not " + to_string(now) + "\n";
          }
        }
      }
      return stale.empty();
    });
    EXPECT_TRUE(fresh) << stale;
    EXPECT_GT(most_kept_, clients_.size()) << "they do keep something";
    for (auto& client : clients_) EXPECT_GT(client->invalidations(), 0u) << client->name();
  }

  const uint64_t seed_ = from_environment("CORRAL_SEED", std::random_device()());
  const uint64_t steps_ = from_environment("CORRAL_STEPS", 100);
  std::mt19937_64 random_{seed_};
  RedisCluster cluster_{{.replicas_per_master = 1, .node_timeout_ms = 2000}};
  Corral corral_{{.upstream = cluster_.seeds(), .settings = kSettings}};
  Corral others_{{.upstream = cluster_.seeds(), .workers = 1, .settings = kSettings}};
  std::vector<std::string> keys_;
  std::vector<std::unique_ptr<CachingClient>> clients_;
  size_t most_kept_ = 0;  // by all of them together
};

TEST_F(TrackingRaceTest, what_is_kept_is_what_the_cluster_has) {
  run([](uint64_t) {});
}

TEST_F(TrackingRaceTest, connections_to_nodes_are_killed) {
  run([&](uint64_t i) {
    const Reply killed = cluster_.node(i % 3).command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    EXPECT_GT(killed.integer, 0);
  });
}

TEST_F(TrackingRaceTest, slots_move_and_nodes_are_flushed) {
  run([&](uint64_t i) {
    const int slot = slot_of(keys_[random_() % keys_.size()]);
    const size_t from = cluster_.owner(slot);
    cluster_.migrate_slot(slot, from, (from + 1) % 3);
    if (i % 2) cluster_.node(from).command("FLUSHALL");
  });
}

TEST_F(TrackingRaceTest, replicas_take_over) {
  size_t takes_over = 3;
  run([&](uint64_t i) {
    if (i % 2) return;
    const int slot = static_cast<int>(takes_over % 3) * 5462 + 10;
    cluster_.fail_over_to(takes_over, slot);
    takes_over = (takes_over + 1) % 6;
  });
}

TEST_F(TrackingRaceTest, nodes_hang_for_longer_than_the_request_timeout) {
  run([&](uint64_t i) {
    RedisServer& node = cluster_.node(i % 3);
    node.pause();
    const auto since = Clock::now();
    while (seconds_since(since) < 1.6) {
      for (auto& client : clients_) client->step(random_, keys_);
    }
    node.resume();
  });
}

}  // namespace
}  // namespace corral::test

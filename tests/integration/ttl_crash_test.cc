// Corral dies at any moment, in the middle of whatever clients send, and leaves no key under a rule without a TTL: what
// a write lacks goes with it in one piece.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "support/background.h"
#include "support/env.h"
#include "ttl_rules.h"

namespace corral::test {
namespace {

constexpr size_t kDefaultRounds = 6;
constexpr size_t kWriters = 4;
constexpr int64_t kLongestLifeMs = 500;

// Keys that are mostly new, so that most writes create one.
std::vector<Args> some_writes(std::mt19937_64& random) {
  std::vector<Args> writes;
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(random() % 1'000'000), tag = "{" + std::to_string(random() % 50) + "}";
    const std::vector<Args> kinds = {
        {"HSET", "h:" + n, "f", std::string(random() % 2000, 'x')},
        {"LPUSH", "l:" + n, "v"},
        {"SET", "s:" + n, "v"},
        {"INCR", "i:" + n},
        {"SADD", "set:" + n, "v"},
        {"SETNX", "nx:" + n, "v"},
        {"MSET", "m1:" + n, "v", "m2:" + n, std::string(random() % 2000, 'y'), "m3:" + n, "v"},
        {"COPY", tag + "source", tag + n, "REPLACE"},
        {"ZADD", "z:" + n, "1", "v"},
        {"XADD", "x:" + n, "*", "f", "v"},
        {"PERSIST", tag + "source"},
        {"SET", tag + "source", "v", "KEEPTTL"},
        {"EVAL", "return redis.call('set', KEYS[1], 'v')", "1", "e:" + n},
    };
    const Args& chosen = kinds[random() % kinds.size()];
    const bool in_transaction = random() % 4 == 0 && chosen[0] != "MSET";
    if (in_transaction) writes.push_back({"MULTI"});
    writes.push_back(chosen);
    if (in_transaction) writes.push_back({"EXEC"});
  }
  return writes;
}

// Until its server is gone.
void write_until_death(uint16_t port, uint64_t seed, std::atomic<uint64_t>& written) {
  std::mt19937_64 random(seed);
  try {
    Client client(port);
    while (true) written += client.pipeline(some_writes(random)).size();
  } catch (const Disconnected&) {
  }
}

TEST(TtlCrashTest, no_key_is_left_without_a_ttl) {
  const uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
  const uint64_t rounds = from_environment("CORRAL_ROUNDS", kDefaultRounds);
  std::cout << "CORRAL_SEED=" << seed << " CORRAL_ROUNDS=" << rounds << std::endl;
  std::mt19937_64 random(seed);
  RedisCluster cluster;
  for (size_t round = 0; round < rounds; ++round) {
    Corral corral({.upstream = cluster.seeds(), .settings = ttl_settings()});
    corral.wait_until_serving();
    corral.connect().command("FLUSHALL");
    std::atomic<uint64_t> written = 0;
    {
      std::vector<std::unique_ptr<Background>> writers;
      for (size_t i = 0; i < kWriters; ++i) {
        const uint64_t own_seed = random();
        writers.push_back(std::make_unique<Background>(
            [&, own_seed](Background::Stop) { write_until_death(corral.port(), own_seed, written); }));
      }
      require_eventually("the writers write", [&] { return written > 1000; });
      std::this_thread::sleep_for(milliseconds(random() % kLongestLifeMs));  // the moment of death is any
      corral.signal(SIGKILL);
      ASSERT_TRUE(corral.wait_for_exit());
    }
    // What had reached a node is executed by the time it has seen those connections close.
    for (size_t i = 0; i < 3; ++i) {
      require_eventually("the node is done with what was sent", [&] {
        return cluster.node(i).command("CLIENT", "LIST", "TYPE", "normal").text.find("name=corral") ==
               std::string::npos;
      });
    }
    size_t ruled = 0, all = 0;
    for (size_t i = 0; i < 3; ++i, all += ruled) {
      EXPECT_EQ(offenders(keys_of(cluster.node(i)), ruled), "") << "round " << round << ", seed " << seed;
    }
    EXPECT_GT(all, 500u);
  }
}

}  // namespace
}  // namespace corral::test

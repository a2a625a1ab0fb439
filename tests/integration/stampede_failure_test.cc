// All nodes of a cluster are gone or hang for a while, and clients go on: what a rule's on_upstream_error makes of it,
// and that the origin is not run over by those who cannot be answered. See stampede_front.h for how to make these fail.
#include <iostream>

#include "stampede_front.h"
#include "traffic.h"

namespace corral::test {
namespace {

constexpr milliseconds kOutage{5000};
constexpr int kLeaseMs = 2000;
constexpr size_t kKeys = 12, kClients = 24;

std::string settings() {
  // Where nodes hang, a SET is refused only after the request timeout: those who wait for it have to wait for that too.
  const std::string lease = "wait = \"4s\", lease = " + milliseconds_text(kLeaseMs);
  return "[upstream]\nconnect_timeout = \"200ms\"\nrequest_timeout = \"400ms\"\n"
         "[near_cache]\nmax_staleness = \"500ms\"\n" +
         stampede_rule("stale", "",
                       "near_cache = { ttl = \"10m\" }\n" + protection("on_upstream_error = \"stale\"\n")) +
         stampede_rule("miss", lease, protection("on_upstream_error = \"miss\"\n")) +
         stampede_rule("error", "", "near_cache = { ttl = \"10m\" }\n");
}

enum class Outage { kHang, kDie };

class StampedeFailureTest : public ::testing::TestWithParam<Outage> {
 protected:
  void begin_outage() {
    for (size_t i = 0; i < front_.masters(); ++i) {
      if (GetParam() == Outage::kHang) front_.master(i).pause();
      if (GetParam() == Outage::kDie) front_.master(i).kill();
    }
  }
  void end_outage() {
    for (size_t i = 0; i < front_.masters(); ++i) {
      if (GetParam() == Outage::kHang) front_.master(i).resume();
      if (GetParam() == Outage::kDie) front_.master(i).restart();
    }
    require_eventually("writes pass again",
                       [&] { return front_.connect().command("SET", "any", "value") == Reply::status("OK"); });
  }
  // Until a read of the key is answered from the near cache.
  void wait_until_held(const std::string& key) {
    require_eventually("it is held", [&] {
      const int64_t before = counter_of(front_, "near_cache_hits");
      client_.command("GET", key);
      return counter_of(front_, "near_cache_hits") > before;
    });
  }
  std::vector<std::string> held_keys(const std::string& prefix) {
    std::vector<std::string> keys;
    for (size_t i = 0; i < kKeys; ++i) {
      keys.push_back(fresh_key(prefix));
      client_.command("SET", keys.back(), keys.back());
      wait_until_held(keys.back());
    }
    return keys;
  }

  Front front_{{.settings = settings()}};
  Client client_ = front_.connect();
};

TEST_P(StampedeFailureTest, stale_goes_on_with_what_is_held) {
  const auto keys = held_keys("stale");
  Crowd crowd({front_.port()}, kClients);
  size_t reads = 0, failed = 0;
  bool over = false;
  std::string first_failure;
  std::function<void(size_t)> read = [&](size_t client) {
    const std::string& key = keys[reads++ % keys.size()];
    crowd.request(client, {"GET", key}, [&, client](const Reply& reply) {
      if (reply != Reply::string(key) && failed++ == 0) first_failure = to_string(reply);
      if (!over) crowd.after(milliseconds(20), [&, client] { read(client); });
    });
  };
  for (size_t i = 0; i < crowd.size(); ++i) read(i);
  crowd.run_for(milliseconds(200));
  begin_outage();
  crowd.run_for(kOutage);
  over = true;
  crowd.run_for(milliseconds(500));
  std::cout << reads << " reads, " << failed << " failed" << std::endl;
  EXPECT_EQ(failed, 0u) << first_failure;
  EXPECT_GT(counter_of(front_, "stale_served"), 0);
  EXPECT_TRUE(client_.command("GET", fresh_key("stale")).is_error()) << "nothing was held of it";
  end_outage();
  require_eventually("its node is found to answer again",
                     [&] { return client_.command("SET", keys[0], "new") == Reply::status("OK"); });
  EXPECT_EQ(client_.command("GET", keys[0]).text, "new");
}

TEST_P(StampedeFailureTest, miss_asks_the_origin_once_for_each_key_and_lease) {
  Crowd crowd({front_.port()}, 3 * kClients);
  std::vector<std::unique_ptr<Traffic>> all;
  begin_outage();
  for (size_t i = 0; i < 3; ++i) {
    all.push_back(std::make_unique<Traffic>(
        crowd,
        TrafficOptions{.key = fresh_key("miss"), .first_client = i * kClients, .clients = kClients, .may_fail = true}));
    all.back()->start();
  }
  const auto began = Clock::now();
  crowd.run_for(kOutage);
  for (const auto& traffic : all) traffic->stop();
  const double leases = seconds_since(began) * 1000 / kLeaseMs;
  for (const auto& traffic : all) {
    std::cout << traffic->report() << std::endl;
    EXPECT_EQ(traffic->failed_reads(), 0u);
    EXPECT_GE(traffic->computed(), 2u);
    EXPECT_LE(static_cast<double>(traffic->calls().size()), leases + 1);
    EXPECT_GT(traffic->reads(), traffic->calls().size() * 4) << "nobody got a value";
  }
  end_outage();
  require_eventually("all is as ever", [&] {
    const std::string key = fresh_key("miss");
    return client_.command("GET", key).is_nil() && client_.command("SET", key, "x") == Reply::status("OK") &&
           client_.command("GET", key).text == "x";
  });
}

TEST_P(StampedeFailureTest, error_says_so) {
  const auto keys = held_keys("error");
  begin_outage();
  require_eventually("an error", [&] { return client_.command("GET", keys[0]).is_error(); });
  EXPECT_TRUE(client_.command("GET", fresh_key("error")).is_error());
  EXPECT_TRUE(client_.command("GET", fresh_key("ruled by none")).is_error());
  end_outage();
  require_eventually("all is as ever", [&] { return !client_.command("GET", keys[0]).is_error(); });
}

INSTANTIATE_TEST_SUITE_P(All, StampedeFailureTest, ::testing::Values(Outage::kHang, Outage::kDie),
                         [](const auto& test) { return test.param == Outage::kHang ? "NodesHang" : "NodesDie"; });

}  // namespace
}  // namespace corral::test

// Keys that expire under steady traffic: past its soft TTL, or early, exactly one client computes while all others go
// on reading; and what clients see of the TTL then. See stampede_front.h for how to make these fail.
//
// CORRAL_EXPIRIES (3) is how many expiries are watched.
#include <iostream>

#include "stampede_front.h"
#include "traffic.h"

namespace corral::test {
namespace {

constexpr milliseconds kTtl{1000}, kStale{2000};
constexpr size_t kClients = 60;

std::string settings() {
  return stampede_rule("soft", "lease = \"10s\", wait = " + milliseconds_text(wait_ms()) +
                                   ", stale_while_revalidate = " + milliseconds_text(kStale.count())) +
         // Twice as eager as is usual, since a second of reads of some clients is little to choose from.
         stampede_rule("early", "lease = \"10s\", early_refresh = 2.0, wait = " + milliseconds_text(wait_ms())) +
         stampede_rule("both", "lease = \"10s\", early_refresh = 2.0, stale_while_revalidate = \"30s\", wait = \"1s\"",
                       "ttl = { default = \"10s\", max = \"100s\", jitter = 0 }\n");
}

class StampedeTtlTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { front_ = std::make_unique<Front>(FrontOptions{.settings = settings(), .workers = 2}); }
  static void TearDownTestSuite() { front_.reset(); }

  size_t expiries() const { return from_environment("CORRAL_EXPIRIES", 3); }
  // Steady traffic on a key that is there when it begins, until it was computed again so many times.
  void watch(Traffic& traffic, Crowd& crowd) {
    traffic.fill();
    traffic.start();
    EXPECT_TRUE(crowd.run_until([&] { return traffic.computed() > expiries(); }, kPatience * 5));
    traffic.stop();
    std::cout << traffic.report() << std::endl;
    EXPECT_EQ(traffic.overlapping(), 0u) << "clients computed the same at once";
    EXPECT_EQ(traffic.failed_reads(), 0u);
  }
  std::string key_with_ttl(const std::string& prefix, milliseconds ttl) {
    const std::string key = fresh_key(prefix);
    client_.command("SET", key, "value", "PX", ttl.count());
    return key;
  }
  int64_t pttl_at_node(const std::string& key) { return front_->owner_of(key).command("PTTL", key).integer; }

  static inline std::unique_ptr<Front> front_;
  Client client_ = front_->connect();
};

TEST_F(StampedeTtlTest, past_the_soft_ttl_one_computes_and_nobody_waits) {
  Crowd crowd({front_->port()}, kClients);
  Traffic traffic(crowd, {.key = fresh_key("soft"), .ttl = kTtl});
  const int64_t stale = counter_of(*front_, "stale_served"), before = counter_of(*front_, "waits");
  watch(traffic, crowd);
  EXPECT_EQ(counter_of(*front_, "waits"), before);
  EXPECT_GT(counter_of(*front_, "stale_served"), stale);
  EXPECT_EQ(traffic.calls_before(kTtl - milliseconds(50)), 0u) << "asked for anew too soon";
}

TEST_F(StampedeTtlTest, early_one_computes_before_the_ttl_is_over) {
  Crowd crowd({front_->port()}, kClients);
  constexpr milliseconds kLongTtl{2 * kTtl};
  Traffic traffic(crowd, {.key = fresh_key("early"), .pause = milliseconds(50), .ttl = kLongTtl});
  const int64_t before = counter_of(*front_, "early_refreshes");
  watch(traffic, crowd);
  // Where this machine does nothing for long none of the readers is chosen in time.
  const size_t early = traffic.calls_before(kLongTtl);
  std::cout << early << " calls before the TTL was over" << std::endl;
  EXPECT_GE(early, 1u);
  EXPECT_GE(counter_of(*front_, "early_refreshes") - before, static_cast<int64_t>(early));
}

TEST_F(StampedeTtlTest, the_holder_of_an_early_refresh_sets_with_nx) {
  bool was_there = false;
  for (int attempt = 0; attempt < 10 && !was_there; ++attempt) {
    const std::string key = fresh_key("early");
    ASSERT_TRUE(client_.command("GET", key).is_nil());
    std::this_thread::sleep_for(milliseconds(100));  // which is what it takes to compute it, as Corral sees it
    ASSERT_EQ(client_.command("SET", key, "old", "PX", 2000, "NX"), Reply::status("OK"));
    require_eventually("it is told missing", [&] { return client_.command("GET", key).is_nil(); });
    was_there = front_->owner_of(key).command("EXISTS", key).integer == 1;
    EXPECT_EQ(client_.command("SET", key, "new", "PX", 60'000, "NX"), Reply::status("OK")) << "it was told missing";
    EXPECT_EQ(front_->owner_of(key).command("GET", key).text, "new");
  }
  EXPECT_TRUE(was_there) << "it was never told missing before it was";
}

TEST_F(StampedeTtlTest, clients_see_the_soft_ttl) {
  const std::string key = key_with_ttl("soft", milliseconds(100'000));
  const int64_t pttl = client_.command("PTTL", key).integer,
                now_s =
                    client_.command("TIME").elements.empty() ? 0 : std::stoll(client_.command("TIME").elements[0].text);
  EXPECT_LE(pttl, 100'000);
  EXPECT_GT(pttl, 80'000);
  EXPECT_GT(pttl_at_node(key), pttl);
  const int64_t ttl = client_.command("TTL", key).integer;
  EXPECT_LE(ttl, 100);
  EXPECT_GT(ttl, 80);
  EXPECT_NEAR(static_cast<double>(client_.command("EXPIRETIME", key).integer), static_cast<double>(now_s + 100), 2);
  EXPECT_NEAR(static_cast<double>(client_.command("PEXPIRETIME", key).integer) / 1000, static_cast<double>(now_s + 100),
              2);
  client_.command("SET", key, "lasting");
  EXPECT_EQ(client_.command("TTL", key).integer, -1);
  EXPECT_EQ(client_.command("PEXPIRETIME", key).integer, -1);
  EXPECT_EQ(client_.command("GET", key).text, "lasting");
}

// Every form of SET that gives a TTL: stored with `stale` more, seen without it.
TEST_F(StampedeTtlTest, all_writes_of_the_set_family_store_the_time_to_be_stale) {
  const int64_t in_100_s = std::stoll(client_.command("TIME").elements[0].text) + 100;
  const std::vector<Args> writes = {{"SET", "K", "V", "EX", "100"},
                                    {"SET", "K", "V", "PX", "100000"},
                                    {"SET", "K", "V", "EXAT", std::to_string(in_100_s)},
                                    {"SET", "K", "V", "PXAT", std::to_string(in_100_s * 1000)},
                                    {"SETEX", "K", "100", "V"},
                                    {"PSETEX", "K", "100000", "V"}};
  for (Args write : writes) {
    SCOPED_TRACE(write[0] + " " + (write.size() > 3 ? write[3] : ""));
    write[1] = fresh_key("soft");
    ASSERT_EQ(client_.command(write), Reply::status("OK"));
    const int64_t seen = client_.command("PTTL", write[1]).integer, stored = pttl_at_node(write[1]);
    EXPECT_LE(seen, 100'000);
    EXPECT_GT(seen, 80'000);
    EXPECT_LE(stored, 100'000 + kStale.count());
    EXPECT_GE(stored, seen + kStale.count() - 5000);
    EXPECT_GT(stored, seen);
  }
}

TEST_F(StampedeTtlTest, a_ttl_by_rule_is_stored_with_the_time_to_be_stale) {
  const std::string key = fresh_key("both");
  client_.command("SET", key, "value");
  EXPECT_LE(client_.command("PTTL", key).integer, 10'000);
  EXPECT_GT(pttl_at_node(key), 20'000);
  client_.command("SET", key, "value", "EX", 1000);
  EXPECT_LE(client_.command("TTL", key).integer, 100);
  EXPECT_GT(pttl_at_node(key), 110'000);
}

TEST_F(StampedeTtlTest, between_soft_and_hard_expiry_the_ttl_is_0_and_the_value_is_given) {
  const std::string key = key_with_ttl("soft", milliseconds(300));
  Client holder = front_->connect();
  require_eventually("one is told that it is missing", [&] { return holder.command("GET", key).is_nil(); });
  EXPECT_EQ(client_.command("GET", key).text, "value");
  EXPECT_EQ(client_.command("MGET", key).elements.at(0).text, "value");
  EXPECT_EQ(client_.command("PTTL", key).integer, 0);
  EXPECT_EQ(client_.command("TTL", key).integer, 0);
  EXPECT_EQ(client_.command("EXISTS", key).integer, 1);
  EXPECT_GT(pttl_at_node(key), 0);
  require_eventually("it is gone", [&] { return client_.command("PTTL", key).integer == -2; });
}

TEST_F(StampedeTtlTest, a_stale_key_is_told_missing_once_by_mget_too) {
  const std::string key = key_with_ttl("soft", milliseconds(300)), other = key_with_ttl("soft", milliseconds(60'000));
  Client holder = front_->connect();
  require_eventually("one is told that it is missing",
                     [&] { return holder.command("MGET", other, key).elements.at(1).is_nil(); });
  EXPECT_EQ(client_.command("MGET", other, key).strings(), (std::vector<std::string>{"value", "value"}));
  holder.command("SET", key, "fresh", "PX", 60'000);
  EXPECT_EQ(client_.command("MGET", other, key).strings(), (std::vector<std::string>{"value", "fresh"}));
}

}  // namespace
}  // namespace corral::test

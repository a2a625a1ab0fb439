// Rules that keep keys for longer than their TTL (stale_while_revalidate), beside a plain Redis that is given the same
// commands: to clients the TTLs are the same; at the node itself they are by so much longer.
//
// How far two TTLs may be apart follows from when they were set and asked for: each is what was said, less the time
// from its being set to its being asked for, and both of these are within the time since the first command on the key
// began.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <iostream>
#include <numeric>
#include <random>

#include "support/env.h"
#include "ttl_rules.h"

namespace corral::test {
namespace {

constexpr int64_t kStaleMs = 100'000;
constexpr int64_t kClocksMs = 2;  // two clocks in whole milliseconds

std::string soft_settings() {
  const std::string stale = "stampede = { stale_while_revalidate = \"100s\" }\n";
  return "[[rule]]\nname = \"free\"\nmatch = [\"free:*\"]\n"
         "[[rule]]\nname = \"capped\"\nmatch = [\"capped:*\"]\n"
         "ttl = { default = \"5m\", max = \"1h\", jitter = 0 }\n" +
         stale + "[[rule]]\nname = \"soft\"\nmatch = [\"*\"]\n" + stale;
}

class SoftTtlTest : public BesideRule {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>(FrontOptions{.settings = soft_settings()});
    redis_ = std::make_unique<RedisServer>();
  }

  void speak(const char* version) {
    for (Client* client : {&actual_, &expected_}) client->command("HELLO", version);
  }

  // What may have passed between a TTL's being set and its being asked for.
  int64_t window_ms() const { return static_cast<int64_t>(seconds_since(begun_) * 1000) + 1 + kClocksMs; }
  void begin() { begun_ = Clock::now(); }
  // `ms` has been asked for before, so that it lies within the window.
  void expect_ms(int64_t ms, int64_t expected_ms) const {
    EXPECT_NEAR(static_cast<double>(ms), static_cast<double>(expected_ms), static_cast<double>(window_ms()));
  }

  void expect_near(const Args& asked, const Reply& actual, const Reply& expected) const {
    const std::string& name = asked[0];
    const int64_t unit_ms = name == "TTL" || name == "EXPIRETIME" ? 1000 : 1;
    if (expected.integer < 0) {
      EXPECT_EQ(actual, expected) << name << ' ' << asked[1];
    } else {
      EXPECT_GE(actual.integer, 0) << name << ' ' << asked[1];
      EXPECT_NEAR(static_cast<double>(actual.integer), static_cast<double>(expected.integer),
                  static_cast<double>(window_ms() / unit_ms + 1))
          << name << ' ' << asked[1];
    }
    EXPECT_EQ(actual.raw[0], expected.raw[0]);
  }

  // All that tells of the key's TTL is the same in both: one by one, in a pipeline, in a transaction. And the node says
  // so much more.
  void expect_same_ttl(const std::string& key, int64_t stale_ms = kStaleMs) {
    const std::vector<Args> asks = {{"TTL", key}, {"PTTL", key}, {"EXPIRETIME", key}, {"PEXPIRETIME", key}};
    for (const Args& ask : asks) expect_near(ask, actual_.command(ask), expected_.command(ask));
    const auto actual = actual_.pipeline(asks), expected = expected_.pipeline(asks);
    for (size_t i = 0; i < asks.size(); ++i) expect_near(asks[i], actual[i], expected[i]);
    const auto actual_exec = in_transaction(actual_, asks), expected_exec = in_transaction(expected_, asks);
    ASSERT_EQ(actual_exec.elements.size(), asks.size()) << actual_exec;
    for (size_t i = 0; i < asks.size(); ++i) expect_near(asks[i], actual_exec.elements[i], expected_exec.elements[i]);

    const int64_t visible_ms = expected[1].integer, stored_ms = pttl_ms(key);
    if (visible_ms < 0) {
      EXPECT_EQ(stored_ms, visible_ms) << key;
    } else {
      SCOPED_TRACE(key);
      expect_ms(stored_ms, visible_ms + stale_ms);
    }
  }

  static Reply in_transaction(Client& client, std::vector<Args> commands) {
    commands.insert(commands.begin(), {"MULTI"});
    commands.push_back({"EXEC"});
    return client.pipeline(commands).back();
  }

  // The key is set with a TTL that is over at once, but for its stale time.
  void let_soft_ttl_pass(const std::string& key) {
    ASSERT_EQ(actual_.command("SET", key, "old", "PX", 1), Reply::status("OK"));
    ASSERT_TRUE(eventually([&] { return pttl_ms(key) <= kStaleMs; }));
    EXPECT_GT(pttl_ms(key), 0);
    EXPECT_EQ(actual_.command("PTTL", key), Reply::number(0));
  }

  Clock::time_point begun_ = Clock::now();
};

TEST_F(SoftTtlTest, every_command_that_says_a_ttl) {
  for (const char* version : {"2", "3"}) {
    both("FLUSHALL");
    speak(version);
    begin();
    const int64_t now_s = std::time(nullptr);
    both("SET", "source", "text");
    const std::string dump = both("DUMP", "source").text;
    both("SET", "k1", "v", "EX", 1000);
    both("SET", "k2", "v", "PX", 1234, "NX");
    both("SET", "k3", "v", "EXAT", now_s + 500);
    both("SET", "k4", "v", "PXAT", now_s * 1000 + 600'123, "GET");
    both("SETEX", "k5", 1000, "v");
    both("PSETEX", "k6", 2001, "v");
    both("SET", "k7", "v");
    both("GETEX", "k7", "EX", 7);
    both("SET", "k8", "v");
    both("GETEX", "k8", "PXAT", now_s * 1000 + 600'123);
    both("RESTORE", "k9", 5000, dump);
    both("RESTORE", "k10", now_s * 1000 + 50'000, dump, "ABSTTL");
    both("RESTORE", "k11", 0, dump);
    both("HSET", "k12", "f", "v");
    both("EXPIRE", "k12", 100);
    both("RPUSH", "k13", "v");
    both("PEXPIRE", "k13", 100'500);
    both("SADD", "k14", "m");
    both("EXPIREAT", "k14", now_s + 77);
    both("ZADD", "k15", 1, "m");
    both("PEXPIREAT", "k15", now_s * 1000 + 77'777);
    both("SETNX", "k16", "v");
    both("GETSET", "k17", "v");
    for (int i = 1; i <= 18; ++i) expect_same_ttl("k" + std::to_string(i));
  }
}

TEST_F(SoftTtlTest, times_since_1970_are_told_to_the_millisecond) {
  const int64_t at_ms = std::time(nullptr) * 1000 + 3'600'499;
  both("SET", "a", "v", "PXAT", at_ms);
  both("SET", "b", "v", "EXAT", at_ms / 1000);
  both("SET", "c", "v");
  both("PEXPIREAT", "c", at_ms);
  both("SET", "d", "v");
  both("EXPIREAT", "d", at_ms / 1000);
  both("SET", "e", "v");
  both("GETEX", "e", "PXAT", at_ms);
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    const int64_t stored_ms = past(key, "PEXPIRETIME", key).integer;
    EXPECT_EQ(both("PEXPIRETIME", key).integer + kStaleMs, stored_ms);
    both("EXPIRETIME", key);
  }
}

TEST_F(SoftTtlTest, conditions_compare_what_clients_see) {
  begin();
  for (const char* key : {"none", "with", "list"}) both("RPUSH", key, "v");
  both("EXPIRE", "with", 1000);
  for (const char* condition : {"NX", "XX", "GT", "LT"}) {
    for (const int ttl : {900, 1100, 500}) {
      for (const char* key : {"none", "with", "absent"}) {
        both("EXPIRE", key, ttl, condition);
        both("PEXPIREAT", key, std::time(nullptr) * 1000 + ttl * 1000 + 50'000, condition);
        expect_same_ttl(key);
      }
    }
  }
  both("EXPIRE", "with", -1);
  both("EXISTS", "with");
  both("EXPIREAT", "none", 1);
  both("EXISTS", "none");
  both("PEXPIRE", "list", 0);
  both("EXISTS", "list");
  both("SET", "past", "v", "PXAT", 5);
  both("EXISTS", "past");
}

TEST_F(SoftTtlTest, what_keeps_or_takes_the_ttl) {
  begin();
  both("SET", "{k}", "v", "EX", 1000);
  both("SET", "{k}", "w", "KEEPTTL");
  both("APPEND", "{k}", "x");
  expect_same_ttl("{k}");
  both("RENAME", "{k}", "{k}2");
  both("COPY", "{k}2", "{k}3");
  expect_same_ttl("{k}2");
  expect_same_ttl("{k}3");
  both("PERSIST", "{k}2");
  both("SET", "{k}3", "v");
  expect_same_ttl("{k}2");
  expect_same_ttl("{k}3");
  both("SET", "{k}4", "v", "KEEPTTL");
  expect_same_ttl("{k}4");
}

TEST_F(SoftTtlTest, other_keys_and_other_clients_of_the_node_see_what_is_there) {
  begin();
  both("SET", "free:1", "v", "EX", 1000);
  expect_same_ttl("free:1", 0);
  both("SET", "k", "v", "EX", 1000);
  const int64_t seen_by_script_ms = actual_.command("EVAL", "return redis.call('PTTL', KEYS[1])", 1, "k").integer;
  expect_ms(seen_by_script_ms, 1'000'000 + kStaleMs);
}

TEST_F(SoftTtlTest, large_values_likewise) {
  begin();
  const std::string large(5u << 20, 'x');
  both("SET", "k1", large, "EX", 1000);
  both("SET", "k2", large, "PXAT", (std::time(nullptr) + 1000) * 1000, "XX");
  both("SET", "k3", large, "NX", "PX", 1'000'077, "GET");
  both("SETEX", "k4", 1000, large);
  both("PSETEX", "k5", 1'000'077, large);
  both("SET", "k6", large);
  const std::string dump = both("DUMP", "k6").text;  // compressed, so not large
  both("RESTORE", "k7", 1000, dump);
  both("SET", "k8", large, "EX", "bogus");
  both("SET", "k9", large, "BOGUS", 5);
  for (int i = 1; i <= 9; ++i) expect_same_ttl("k" + std::to_string(i));
}

TEST_F(SoftTtlTest, default_and_maximum_are_of_what_clients_see) {
  begin();
  const auto expect_visible = [&](const char* key, int64_t ttl_ms) {
    expect_ms(actual_.command("PTTL", key).integer, ttl_ms);
    expect_ms(pttl_ms(key), ttl_ms + kStaleMs);
  };
  both("SET", "capped:1", "v");
  both("HSET", "capped:2", "f", "v");
  both("SETNX", "capped:3", "v");
  for (const char* key : {"capped:1", "capped:2", "capped:3"}) expect_visible(key, kDefaultMs);
  both("EXPIRE", "capped:1", 3600);
  both("SET", "capped:2", "v", "EX", 999'999);
  both("EXPIREAT", "capped:3", std::time(nullptr) + 999'999);
  for (const char* key : {"capped:1", "capped:2", "capped:3"}) expect_visible(key, kMaxMs);
  both("SET", "{capped:}free", "v", "EX", 999'999);
  both("RENAME", "{capped:}free", "capped:{capped:}");
  expect_visible("capped:{capped:}", kMaxMs);
}

TEST_F(SoftTtlTest, between_soft_and_hard_end_the_key_is_there_with_nothing_left) {
  for (const char* version : {"2", "3"}) {
    speak(version);
    let_soft_ttl_pass("k");
    EXPECT_EQ(actual_.command("TTL", "k"), Reply::number(0));
    EXPECT_EQ(actual_.command("EXISTS", "k"), Reply::number(1));
    const Reply exec = in_transaction(actual_, {{"TTL", "k"}, {"PTTL", "k"}, {"STRLEN", "k"}});
    EXPECT_EQ(exec, Reply::array({Reply::number(0), Reply::number(0), Reply::number(3)}));
  }
}

TEST_F(SoftTtlTest, keepttl_does_not_keep_what_is_over) {
  for (const char* version : {"2", "3"}) {
    speak(version);
    begin();
    let_soft_ttl_pass("k");
    EXPECT_EQ(actual_.command("SET", "k", "new", "KEEPTTL"), Reply::status("OK"));
    EXPECT_EQ(pttl_ms("k"), -1);
    let_soft_ttl_pass("k");
    EXPECT_EQ(in_transaction(actual_, {{"SET", "k", "new", "KEEPTTL"}, {"TTL", "k"}}),
              Reply::array({Reply::status("OK"), Reply::number(-1)}));
    let_soft_ttl_pass("capped:k");
    EXPECT_EQ(actual_.command("SET", "capped:k", "new", "KEEPTTL"), Reply::status("OK"));
    expect_ms(pttl_ms("capped:k"), kDefaultMs + kStaleMs);
    let_soft_ttl_pass("k");
    ASSERT_EQ(actual_.command("WATCH", "k"), Reply::status("OK"));
    EXPECT_EQ(in_transaction(actual_, {{"SET", "k", "new", "KEEPTTL"}, {"PTTL", "k"}}),
              Reply::array({Reply::status("OK"), Reply::number(-1)}));
  }
}

// --- a random mix ---

// Commands on a few keys, no two of which say TTLs that the time that the test takes could bring close to each other.
class Mix {
 public:
  explicit Mix(uint64_t seed) : random_(seed), ttls_(kTtls) {
    std::iota(ttls_.begin(), ttls_.end(), 2);
    std::shuffle(ttls_.begin(), ttls_.end(), random_);
  }

  bool empty() const { return ttls_.empty(); }
  std::string key() { return "{mix}" + std::to_string(below(6)); }

  Args next() {
    const int64_t ttl_s = ttls_.back() * 1000;
    const int64_t at_s = std::time(nullptr) + ttl_s;
    ttls_.pop_back();
    const std::string key = this->key(), s = std::to_string(ttl_s), ms = s + "077", at = std::to_string(at_s);
    switch (below(16)) {
      case 0:
        return {"SET", key, "v", "EX", s};
      case 1:
        return {"SET", key, "v", "PX", ms, pick({"NX", "XX", "GET"})};
      case 2:
        return {"SET", key, "v", "PXAT", at + "077"};
      case 3:
        return {"SET", key, "v", "KEEPTTL"};
      case 4:
        return {"SETEX", key, s, "v"};
      case 5:
        return {"PSETEX", key, ms, "v"};
      case 6:
        return {"GETEX", key, pick({"EX", "PX"}), s};
      case 7:
        return {"GETEX", key, "EXAT", at};
      case 8:
        return {"EXPIRE", key, s, pick({"NX", "XX", "GT", "LT"})};
      case 9:
        return {"PEXPIRE", key, ms};
      case 10:
        return {"EXPIREAT", key, at, pick({"NX", "XX", "GT", "LT"})};
      case 11:
        return {"PEXPIREAT", key, at + "077"};
      case 12:
        return {pick({"PERSIST", "DEL", "GETDEL"}), key};
      case 13:
        return {pick({"SETNX", "GETSET", "SET", "APPEND"}), key, "v"};
      case 14:
        return {"RENAME", key, this->key()};
      default:
        return {"COPY", key, this->key(), "REPLACE"};
    }
  }

  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

 private:
  static constexpr size_t kTtls = 2000;
  const char* pick(std::initializer_list<const char*> words) { return words.begin()[below(words.size())]; }

  std::mt19937_64 random_;
  std::vector<int64_t> ttls_;
};

TEST_F(SoftTtlTest, random_commands_leave_the_same_ttls) {
  const uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
  std::cout << "CORRAL_SEED=" << seed << std::endl;
  Mix mix(seed);
  begin();
  for (size_t step = 0; !mix.empty(); ++step) {
    if (step % 50 == 0) speak(step % 100 ? "3" : "2");
    std::vector<Args> commands;
    for (size_t i = mix.below(8); i > 0 && !mix.empty(); --i) commands.push_back(mix.next());
    if (mix.below(2)) {
      commands.insert(commands.begin(), {"MULTI"});
      commands.push_back({"EXEC"});
    }
    const auto actual = actual_.pipeline(commands), expected = expected_.pipeline(commands);
    for (size_t i = 0; i < commands.size(); ++i) {
      EXPECT_EQ(actual[i].raw, expected[i].raw) << commands[i][0] << ", step " << step;
    }
    expect_same_ttl(mix.key());
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << step;
  }
}

}  // namespace
}  // namespace corral::test

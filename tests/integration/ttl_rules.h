// What the tests of the TTL rules share: the rule that their keys are under, the look at the servers themselves, past
// Corral, whether it is kept, and a plain Redis beside it that is given the same commands.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "beside_front.h"

namespace corral::test {

inline constexpr int64_t kDefaultMs = 300'000, kMaxMs = 3'600'000;

// All keys but those that begin with "free:". `more` is put before these rules, and `of_all` into the second.
inline std::string ttl_settings(const std::string& more = {}, const std::string& of_all = {}) {
  return more +
         "[[rule]]\nname = \"free\"\nmatch = [\"free:*\"]\n"
         "[[rule]]\nname = \"all\"\nmatch = [\"*\"]\n"
         "ttl = { default = \"5m\", max = \"1h\", jitter = 0.1, mode = \"enforce\" }\n" +
         of_all;
}

struct FoundKey {
  std::string key;
  int64_t pttl_ms;  // -1: it has none
};

// All keys of one server. Those that are gone between SCAN and PTTL are left out.
inline std::vector<FoundKey> keys_of(RedisServer& server) {
  Client client = server.connect();
  std::vector<FoundKey> found;
  std::string cursor = "0";
  do {
    const Reply reply = client.command("SCAN", cursor, "COUNT", 1000);
    cursor = reply.elements.at(0).text;
    std::vector<Args> asks;
    const auto keys = reply.elements.at(1).strings();
    for (const std::string& key : keys) asks.push_back({"PTTL", key});
    const auto answers = client.pipeline(asks);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (answers[i].integer != -2) found.push_back({keys[i], answers[i].integer});
    }
  } while (cursor != "0");
  return found;
}

inline std::vector<FoundKey> keys_behind(Front& front) {
  std::vector<FoundKey> all;
  for (size_t i = 0; i < front.masters(); ++i) {
    const auto found = keys_of(front.master(i));
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

// The keys under the rule that are without a TTL, or have more than its maximum (or `most_ms`). `ruled` is set to how
// many keys are under it.
inline std::string offenders(const std::vector<FoundKey>& keys, size_t& ruled, int64_t most_ms = kMaxMs) {
  std::string text;
  ruled = 0;
  for (const FoundKey& one : keys) {
    if (one.key.starts_with("free:")) continue;
    ++ruled;
    if (one.pttl_ms < 0 || one.pttl_ms > most_ms) text += one.key + " has PTTL " + std::to_string(one.pttl_ms) + "\n";
  }
  return text;
}

class BesideRule : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>(FrontOptions{.settings = ttl_settings()});
    redis_ = std::make_unique<RedisServer>();
  }
  static void TearDownTestSuite() {
    redis_.reset();
    front_.reset();
  }
  void SetUp() override { both("FLUSHALL"); }

  // The same command to both, which answer the same; Corral's reply.
  template <class... Words>
  Reply both(const Words&... words) {
    return both(Args{to_arg(words)...});
  }
  Reply both(const Args& args) {
    const Reply expected = expected_.command(args);
    Reply actual = actual_.command(args);
    EXPECT_EQ(printable(canonical(actual)), printable(canonical(expected))) << printable(args[0]) << ' ' << args.size();
    return actual;
  }

  // As the key's owner says it: -1 without a TTL, -2 without a key.
  static int64_t pttl_ms(std::string_view key) { return front_->owner_of(key).command("PTTL", key).integer; }
  // Past Corral.
  template <class... Words>
  static Reply past(std::string_view key, const Words&... words) {
    return front_->owner_of(key).command(words...);
  }
  static void expect_default(std::string_view key) {
    const int64_t left_ms = pttl_ms(key);
    EXPECT_GE(left_ms, kDefaultMs * 9 / 10 - 20'000) << key;
    EXPECT_LE(left_ms, kDefaultMs) << key;
  }
  static int64_t counter(const std::string& name) { return front_->corral().counter(name); }

  static inline std::unique_ptr<Front> front_;
  static inline std::unique_ptr<RedisServer> redis_;
  Client actual_ = front_->connect();
  Client expected_ = redis_->connect();
};

}  // namespace corral::test

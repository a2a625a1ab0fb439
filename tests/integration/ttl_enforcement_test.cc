// No key without a TTL, whatever clients send: a random mix of every write command in every documented form goes to
// Corral with a rule on its keys, over several connections, pipelined and in transactions, in RESP2 and RESP3; and the
// same calls go to one plain Redis. The replies must be the same, but for those that tell of a TTL; and afterwards not
// one key under the rule is without a TTL, or has more than its maximum.
//
// CORRAL_SEED repeats a run, CORRAL_STEPS makes it longer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <ctime>
#include <iostream>
#include <set>

#include "resp/command_table.h"
#include "support/env.h"
#include "ttl_command_forms.h"
#include "ttl_rules.h"

namespace corral::test {
namespace {

constexpr size_t kDefaultSteps = 30'000;
constexpr size_t kStepsOfARound = 10'000;  // then all keys go, before the first of them reaches its default's end
constexpr size_t kConnections = 4;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool has_form(const resp::CommandSpec& spec) { return TtlCommandMix::commands().contains(std::string(spec.name)); }

bool needs_form(const resp::CommandSpec& spec) {
  if (spec.action == resp::Action::kRefuse || resp::tells_ttl(spec.ttl)) return false;
  return spec.ttl != resp::TtlEffect::kNone || (spec.is(resp::kFlagWrite) && !spec.keys.empty());
}

TEST(TtlCommandMix, has_every_write_command_of_the_table) {
  size_t commands = 0;
  const auto check = [&](const resp::CommandSpec& spec) {
    if (!needs_form(spec)) return;
    ++commands;
    EXPECT_TRUE(has_form(spec)) << spec.name << " has no form in ttl_command_forms.h";
  };
  for (const resp::CommandSpec& spec : resp::all_commands()) {
    check(spec);
    for (const resp::CommandSpec& subcommand : spec.subcommands) check(subcommand);
  }
  EXPECT_GT(commands, 100u);
}

// The tokens of COMMAND DOCS' tree of arguments.
void collect_tokens(const Reply& arguments, std::set<std::string>& tokens) {
  for (const Reply& argument : arguments.elements) {
    const std::string token = lower(argument.at("token").text);
    if (!token.empty()) tokens.insert(token);
    collect_tokens(argument.at("arguments"), tokens);
  }
}

TEST(TtlCommandMix, has_every_documented_option) {
  RedisServer redis;
  for (const std::string& command : TtlCommandMix::commands()) {
    const std::string container = command.substr(0, command.find('|'));
    Reply docs = redis.command("COMMAND", "DOCS", container).at(container);
    if (command != container) docs = docs.at("subcommands").at(command);
    std::set<std::string> tokens;
    collect_tokens(docs.at("arguments"), tokens);
    const auto words = TtlCommandMix::words_of(command);
    for (const std::string& token : tokens) EXPECT_TRUE(words.contains(token)) << command << " lacks " << token;
  }
}

class TtlEnforcementTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>(FrontOptions{.settings = ttl_settings()});
    redis_ = std::make_unique<RedisServer>();
  }
  static void TearDownTestSuite() {
    redis_.reset();
    front_.reset();
  }

  void SetUp() override {
    for (size_t i = 0; i < kConnections; ++i) {
      actual_.push_back(i % 2 ? front_->connect3() : front_->connect());
      expected_.push_back(redis_->connect());
      if (i % 2) expected_.back().command("HELLO", "3");
    }
    material_.now_s = std::time(nullptr);
    for (Client* client : {&actual_[0], &expected_[0]}) prepare(*client);
  }

  // Scripts and functions in both; and what DUMP says of a value of each type.
  void prepare(Client& client) {
    ASSERT_EQ(client.command("FUNCTION", "LOAD", "REPLACE", kFunctions).text, "ttlmix");
    material_.shas.clear();
    for (const char* script : kScripts) material_.shas.push_back(client.command("SCRIPT", "LOAD", script).text);
    client.pipeline({{"FLUSHALL"},
                     {"SET", "d1", "text"},
                     {"SET", "d2", "12"},
                     {"RPUSH", "d3", "a", "b"},
                     {"HSET", "d4", "m1", "v"},
                     {"SADD", "d5", "m1", "m2"},
                     {"ZADD", "d6", "1", "m1"},
                     {"XADD", "d7", "1-1", "m", "v"},
                     {"PFADD", "d8", "m"}});
    material_.dumps.clear();
    for (int i = 1; i <= 8; ++i) material_.dumps.push_back(client.command("DUMP", "d" + std::to_string(i)).text);
    client.command("FLUSHALL");
  }

  // A pipeline on each connection, all at once: each has two tags of its own, another time others. False: they differ.
  bool exchange(TtlCommandMix& mix, size_t& done) {
    std::vector<std::vector<TtlStep>> chunks(kConnections);
    const size_t turn = mix.below(kConnections);
    for (size_t i = 0; i < kConnections; ++i) {
      chunks[i] = mix.pipeline(static_cast<char>('a' + 2 * ((i + turn) % kConnections)));
      std::string bytes;
      for (const TtlStep& step : chunks[i]) bytes += encode(step.args);
      actual_[i].send(bytes);
      expected_[i].send(bytes);
    }
    bool same = true;
    for (size_t i = 0; i < kConnections; ++i) same &= compare(chunks[i], i, done);
    return same;
  }

  bool compare(const std::vector<TtlStep>& steps, size_t connection, size_t& done) {
    bool same = true;
    for (const TtlStep& step : steps) {
      const Reply expected = expected_[connection].read_reply(), actual = actual_[connection].read_reply();
      ++done;
      note(step, expected);
      const std::string text = difference(step, expected, actual);
      if (!text.empty() && same) ADD_FAILURE() << "connection " << connection << ", step " << done << "\n" << text;
      same &= text.empty();
    }
    return same;
  }

  // That a command was answered with more than an error.
  void note(const TtlStep& step, const Reply& reply) {
    if (reply.is_error() || reply == Reply::status("QUEUED") || step.args.empty()) return;
    const auto name = [&](size_t i) { return i < step.args.size() ? lower(step.args[i]) : ""; };
    done_.insert(name(0));
    done_.insert(name(0) + "|" + name(1));
  }

  // So that what a command does to its keys was seen. MOVE has nowhere to go.
  void expect_all_commands_done() {
    for (const std::string& command : TtlCommandMix::commands()) {
      EXPECT_TRUE(command == "move" || done_.contains(command)) << command << " had nothing but errors";
    }
  }

  // Not one key under the rule without a TTL, or with too long a one; and all have the same content in both.
  void check_keys() {
    size_t ruled = 0;
    const auto keys = keys_behind(*front_);
    EXPECT_EQ(offenders(keys, ruled, kMaxMs + stale_ms_), "");
    EXPECT_GT(ruled, 50u);
    std::vector<std::string> names;
    for (const FoundKey& one : keys) names.push_back(one.key);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, expected_[0].command("KEYS", "*").sorted_strings());
    for (const std::string& name : names) check_content(name);
  }

  void check_content(const std::string& key) {
    const TtlStep type{{"TYPE", key}};
    const Reply found = actual_[0].command(type.args);
    EXPECT_EQ(difference(type, expected_[0].command(type.args), found), "");
    TtlStep read{{"EXISTS", key}};
    if (found.text == "string") read = {{"GET", key}};
    if (found.text == "list") read = {{"LRANGE", key, "0", "-1"}};
    if (found.text == "hash") read = {{"HGETALL", key}, Like::kUnordered};
    if (found.text == "set") read = {{"SMEMBERS", key}, Like::kUnordered};
    if (found.text == "zset") read = {{"ZRANGE", key, "0", "-1", "WITHSCORES"}};
    if (found.text == "stream") read = {{"XRANGE", key, "-", "+"}};
    EXPECT_EQ(difference(read, expected_[0].command(read.args), actual_[0].command(read.args)), "");
  }

  void run_mix(uint64_t steps);

  static inline std::unique_ptr<Front> front_;
  static inline std::unique_ptr<RedisServer> redis_;
  std::vector<Client> actual_, expected_;
  TtlCommandMix::Material material_;
  std::set<std::string> done_;  // commands
  int64_t stale_ms_ = 0;
};

// Keys are stored for longer than their TTL; by less than any TTL that the mix gives, so that none of what RENAME
// brings from "free:", where they are not, is over because of that.
class SoftTtlEnforcementTest : public TtlEnforcementTest {
 protected:
  static void SetUpTestSuite() {
    const std::string stale = "stampede = { stale_while_revalidate = \"100s\" }\n";
    front_ = std::make_unique<Front>(FrontOptions{.settings = ttl_settings({}, stale)});
    redis_ = std::make_unique<RedisServer>();
  }
  SoftTtlEnforcementTest() { stale_ms_ = 100'000; }
};

void TtlEnforcementTest::run_mix(uint64_t steps) {
  const uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
  std::cout << "CORRAL_SEED=" << seed << " CORRAL_STEPS=" << steps << std::endl;
  TtlCommandMix mix(seed, material_);
  for (size_t done = 0, round = 0; done < steps; ++round) {
    for (Client* client : {&actual_[0], &expected_[0]}) ASSERT_EQ(client->command("FLUSHALL").text, "OK");
    for (const size_t end = std::min<size_t>(steps, (round + 1) * kStepsOfARound); done < end;) {
      for (size_t i = 0; i < 20 && done < end; ++i) ASSERT_TRUE(exchange(mix, done)) << "seed " << seed;
      ASSERT_NO_FATAL_FAILURE(check_keys());
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", step " << done;
    }
  }
  if (steps >= kDefaultSteps) expect_all_commands_done();
  EXPECT_GT(front_->corral().counter("ttl_defaulted"), 100);
  EXPECT_GT(front_->corral().counter("ttl_clamped"), 100);
}

TEST_F(TtlEnforcementTest, every_write_leaves_a_ttl_and_answers_as_redis) {
  run_mix(from_environment("CORRAL_STEPS", kDefaultSteps));
}

TEST_F(SoftTtlEnforcementTest, every_write_leaves_a_ttl_and_answers_as_redis) {
  run_mix(from_environment("CORRAL_STEPS", kStepsOfARound));
}

}  // namespace
}  // namespace corral::test

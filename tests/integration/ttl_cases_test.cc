// What the TTL rules do to single commands, case by case: how long keys live, what clients see of it, and what is
// counted. Other rules and other circumstances are in ttl_modes_test.cc. The random mix is in ttl_enforcement_test.cc.
#include <gtest/gtest.h>

#include <ctime>
#include <iterator>
#include <sstream>

#include "ttl_rules.h"

namespace corral::test {
namespace {

class TtlCasesTest : public BesideRule {};

TEST_F(TtlCasesTest, commands_rewritten_answer_as_they_are) {
  for (const char* version : {"2", "3"}) {
    both("FLUSHALL");
    for (Client* client : {&actual_, &expected_}) client->command("HELLO", version);
    both("SETNX", "k", "1");
    both("SETNX", "k", "2");
    both("GETSET", "k", "3");
    both("GETSET", "absent", "4");
    both("SETEX", "k", 100, "5");
    both("PSETEX", "k", 100'000, "6");
    both("SET", "k", "7", "NX");
    both("SET", "k", "8", "GET");
    both("SET", "new", "8", "GET");
    both("SET", "other", "9", "NX", "GET");
    both("GETEX", "k", "PERSIST");
    both("GETEX", "gone", "PERSIST");
    both("GETEX", "k", "EX", 999'999);
    both("SET", "k", "10", "KEEPTTL", "XX");
    both("RPUSH", "list", "a");
    both("SETNX", "list", "x");
    both("GETSET", "list", "x");
    both("GETEX", "list", "PERSIST");
    both("SET", "list", "x", "GET");
    both("SET", "list", "x", "NX");
    for (const char* key : {"k", "absent", "new", "other", "list"}) EXPECT_GT(pttl_ms(key), 0) << key;
    both("GET", "k");
  }
}

TEST_F(TtlCasesTest, a_ttl_option_that_is_repeated_counts_once) {
  both("SET", "a", "v", "EX", 5000, "EX", 6000);
  both("SET", "b", "v", "EXAT", 4'000'000'000, "EXAT", 4'000'000'001);
  both("SET", "c", "v", "PX", 5'000'000, "PX", 6'000'000);
  both("SET", "d", "v", "KEEPTTL", "KEEPTTL");
  both("GETEX", "a", "EX", 5000, "EX", 6000);
  both("GETEX", "b", "PERSIST", "PERSIST");
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_GT(pttl_ms(key), 0) << key;
}

TEST_F(TtlCasesTest, errors_are_those_of_redis) {
  both("SET", "{e}text", "x");
  both("RPUSH", "{e}list", "x");
  for (const char* command : {"HSET {e}list f v",
                              "LPUSH {e}text x",
                              "SADD {e}text x",
                              "ZADD {e}text 1 x",
                              "INCR {e}list",
                              "INCR {e}text",
                              "APPEND {e}list x",
                              "PFADD {e}text x",
                              "XADD {e}text * f v",
                              "GEOADD {e}text 1 1 x",
                              "SETBIT {e}list 1 1",
                              "SET {e}text x EX 0",
                              "SET {e}text x EX",
                              "SET {e}text x NX XX",
                              "SET {e}text x BOGUS",
                              "SETEX {e}text 0 x",
                              "PSETEX {e}text -1 x",
                              "GETEX {e}text EX x",
                              "EXPIRE {e}text x",
                              "EXPIRE {e}text 5 BOGUS",
                              "EXPIRE {e}text 9223372036854775807",
                              "RESTORE {e}text 0 x",
                              "RESTORE {e}new 0 x",
                              "RENAME {e}gone {e}x",
                              "BITOP NOT {e}list {e}list",
                              "LMOVE {e}text {e}text LEFT RIGHT",
                              "XGROUP CREATE {e}gone g $",
                              "SORT {e}text STORE {e}y",
                              "ZUNIONSTORE {e}d 0 {e}k",
                              "ZADD {e}z nan x",
                              "HINCRBY {e}text f 1",
                              "HSET {e}h f",
                              "SET",
                              "EVAL return(nonsense 1 {e}k",
                              "FCALL nothing 1 {e}k"}) {
    std::istringstream words(command);
    const Args args(std::istream_iterator<std::string>(words), {});
    EXPECT_TRUE(both(args).is_error()) << command;
    both("MULTI");
    both(args);
    both("EXEC");
  }
}

TEST_F(TtlCasesTest, a_transaction_answers_with_the_clients_own_elements_only) {
  both("MULTI");
  both("HSET", "{t}h", "f", "v");
  both("HSET", "{t}h", "g", "v");
  both("SETNX", "{t}s", "v");
  both("SET", "{t}s", "w", "KEEPTTL");
  both("GET", "{t}s");
  both("RPUSH", "{t}s", "wrong");
  both("PERSIST", "{t}gone");
  both("RENAME", "{t}s", "{t}r");
  both("COPY", "{t}r", "{t}c");
  EXPECT_EQ(both("EXEC").elements.size(), 9u);
  for (const char* key : {"{t}h", "{t}r", "{t}c"}) expect_default(key);
  both("MULTI");
  both("INCR", "{t}n");
  both("DISCARD");
  both("MULTI");
  both("INCR");
  both("EXEC");
  both("WATCH", "{t}h");
  both("HSET", "{t}h", "f", "2");
  both("MULTI");
  both("INCR", "{t}n");
  both("EXEC");
  EXPECT_EQ(pttl_ms("{t}n"), -2);
  both("MULTI");
  both("EXEC");
}

TEST_F(TtlCasesTest, what_takes_a_ttl_away_or_carries_none_leaves_the_default) {
  const auto fresh = [&](const char* key) { EXPECT_EQ(both("SET", key, "v", "EX", 1000), Reply::status("OK")); };
  for (const char* key : {"{k}1", "{k}2", "{k}3", "{k}4"}) fresh(key);
  EXPECT_EQ(actual_.command("PERSIST", "{k}1").integer, 1);
  both("GETEX", "{k}2", "PERSIST");
  past("{k}3", "PERSIST", "{k}3");
  both("SET", "{k}3", "w", "KEEPTTL");
  both("SET", "{k}4", "w");
  both("SET", "free:{k}", "v");
  EXPECT_EQ(pttl_ms("free:{k}"), -1);
  both("COPY", "free:{k}", "{k}5");
  both("RENAMENX", "free:{k}", "{k}6");
  both("RPUSH", "free:{k}", "3", "1");
  both("SORT", "free:{k}", "STORE", "{k}7");
  both("LMOVE", "free:{k}", "{k}8", "LEFT", "RIGHT");
  const std::string dump = past("{k}1", "DUMP", "{k}1").text;
  both("RESTORE", "{k}9", "0", dump);
  for (int i = 1; i <= 9; ++i) expect_default("{k}" + std::to_string(i));
  EXPECT_EQ(pttl_ms("free:{k}"), -1);
}

TEST_F(TtlCasesTest, no_ttl_is_over_the_maximum) {
  const int64_t far_s = 999'999, at_s = std::time(nullptr) + far_s;
  both("SET", "{k}1", "v", "EX", far_s);
  both("SET", "{k}2", "v", "PXAT", at_s * 1000);
  both("SETEX", "{k}3", far_s, "v");
  for (int i = 4; i <= 10; ++i) both("SET", "{k}" + std::to_string(i), "v");
  both("EXPIRE", "{k}4", far_s);
  both("PEXPIREAT", "{k}5", at_s * 1000);
  both("GETEX", "{k}6", "EXAT", at_s);
  both("EVAL", "return redis.call('expire', KEYS[1], 999999)", 1, "{k}7");
  both("SET", "free:{k}", "v", "EX", far_s);
  EXPECT_GT(pttl_ms("free:{k}"), (far_s - 60) * 1000);
  both("RENAME", "free:{k}", "{k}8");
  past("{k}9", "EXPIRE", "{k}9", far_s);
  both("COPY", "{k}9", "{k}10", "REPLACE");
  past("{k}9", "EXPIRE", "{k}9", far_s);
  both("SET", "{k}9", "w", "KEEPTTL");
  const std::string dump = past("{k}1", "DUMP", "{k}1").text;
  both("RESTORE", "{k}11", far_s * 1000, dump);
  both("RESTORE", "{k}12", at_s * 1000, dump, "ABSTTL");
  for (int i = 1; i <= 12; ++i) {
    const std::string key = "{k}" + std::to_string(i);
    EXPECT_LE(pttl_ms(key), kMaxMs) << key;
    EXPECT_GT(pttl_ms(key), kMaxMs * 9 / 10 - 20'000) << key;
  }
}

TEST_F(TtlCasesTest, a_ttl_within_the_maximum_is_not_changed_by_what_would_not_change_it) {
  const auto keeps = [&](const Args& command) {
    const std::string& key = command[1];
    past(key, "PEXPIRE", key, 1'234'567);
    const int64_t at_ms = past(key, "PEXPIRETIME", key).integer;
    both(command);
    EXPECT_EQ(past(key, "PEXPIRETIME", key).integer, at_ms) << command[0];
  };
  both("SET", "n", "1");
  both("HSET", "h", "f", "1");
  both("RPUSH", "l", "1");
  both("SADD", "s", "1");
  both("XADD", "x", "1-1", "f", "v");
  for (const Args& command :
       {Args{"INCR", "n"}, Args{"APPEND", "n", "1"}, Args{"SETRANGE", "n", "0", "9"}, Args{"SET", "n", "5", "KEEPTTL"},
        Args{"SET", "n", "5", "NX"}, Args{"SETNX", "n", "5"}, Args{"GETEX", "n"},
        Args{"BITFIELD", "n", "SET", "u8", "0", "49"}, Args{"HSET", "h", "g", "1"}, Args{"HINCRBY", "h", "f", "1"},
        Args{"LPUSH", "l", "1"}, Args{"SADD", "s", "2"}, Args{"XADD", "x", "2-1", "f", "v"},
        Args{"LMOVE", "l", "l", "LEFT", "RIGHT"}, Args{"EVAL", "return redis.call('incr', KEYS[1])", "1", "n"}}) {
    // A script's first argument is no key.
    command[0] == "EVAL" ? void(both(command)) : keeps(command);
  }
}

TEST_F(TtlCasesTest, expire_is_taken_at_its_word) {
  for (int i = 0; i < 50; ++i) {
    const std::string key = "k" + std::to_string(i);
    both("SET", key, "v");
    both("PEXPIRE", key, 2'000'000);
    EXPECT_GT(pttl_ms(key), 1'980'000);
  }
}

TEST_F(TtlCasesTest, mset_gives_each_key_its_own_rule) {
  Args mset = {"MSET"};
  for (int i = 0; i < 100; ++i) {
    const std::string n = std::to_string(i);
    mset.insert(mset.end(), {"key:" + n, n, "free:" + n, n});
  }
  both(mset);
  size_t ruled = 0, unruled = 0;
  const auto keys = keys_behind(*front_);
  EXPECT_EQ(offenders(keys, ruled), "");
  EXPECT_EQ(ruled, 100u);
  for (const FoundKey& one : keys) unruled += one.key.starts_with("free:") && one.pttl_ms == -1;
  EXPECT_EQ(unruled, 100u);
}

TEST_F(TtlCasesTest, keys_that_no_rule_is_about_are_left_alone) {
  both("SET", "free:1", "v");
  both("HSET", "free:2", "f", "v");
  both("SET", "free:3", "v", "EX", 999'999);
  both("PERSIST", "free:3");
  both("MULTI");
  both("RPUSH", "free:{4}", "v");
  both("EXEC");
  both("EVAL", "return redis.call('set', KEYS[1], 'x')", 1, "free:5");
  both("SET", "{m}ruled", "v");
  both("RENAME", "{m}ruled", "free:{m}");
  for (const char* key : {"free:1", "free:2", "free:3", "free:{4}", "free:5"}) EXPECT_EQ(pttl_ms(key), -1) << key;
  expect_default("free:{m}");  // as the key that it was
}

TEST_F(TtlCasesTest, scripts_are_held_to_the_keys_that_they_declare) {
  const std::string script = "redis.call('set', KEYS[1], ARGV[1]) return redis.call('set', KEYS[2], ARGV[1])";
  const std::string sha = both("SCRIPT", "LOAD", script).text;
  both("EVAL", script, 2, "{e}1", "{e}2", "v");
  both("EVALSHA", sha, 2, "{e}3", "free:{e}", "v");
  for (const char* key : {"{e}1", "{e}2", "{e}3"}) expect_default(key);
  EXPECT_EQ(pttl_ms("free:{e}"), -1);
  EXPECT_EQ(both("EVAL", "return redis.call('set', 'undeclared', 'v')", 0), Reply::status("OK"));
  EXPECT_EQ(pttl_ms("undeclared"), -1);
}

TEST_F(TtlCasesTest, a_script_that_a_node_has_forgotten_is_still_known) {
  const std::string sha = both("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])").text;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 6; ++i) {
      EXPECT_FALSE(both("EVALSHA", sha, 1, "counter:" + std::to_string(i)).is_error());
      expect_default("counter:" + std::to_string(i));
    }
    for (size_t i = 0; i < front_->masters(); ++i) front_->master(i).command("SCRIPT", "FLUSH");
  }
}

TEST_F(TtlCasesTest, large_values_have_a_ttl_too) {
  const std::string large(5u << 20, 'x'), huge(20u << 20, 'y');
  both("SET", "{l}1", large);
  both("SETNX", "{l}2", large);
  both("SET", "{l}3", huge, "EX", 999'999);
  both("HSET", "{l}4", "f", large);
  both("MSET", "{l}5", large, "{l}6", "small");
  both("SETEX", "{l}7", 999'999, large);
  both("APPEND", "{l}8", large);
  both("MULTI");
  both("RPUSH", "{l}9", large);
  both("EXEC");
  both("EVAL", "return redis.call('set', KEYS[1], ARGV[1])", 1, "{l}10", large);
  both("SET", "{l}1", huge, "KEEPTTL");
  both("GETSET", "{l}1", large);
  size_t ruled = 0;
  EXPECT_EQ(offenders(keys_behind(*front_), ruled), "");
  EXPECT_EQ(ruled, 10u);
}

TEST_F(TtlCasesTest, what_is_done_is_counted) {
  const int64_t defaulted = counter("ttl_defaulted"), clamped = counter("ttl_clamped");
  both("SET", "{c}1", "v");
  both("HSET", "{c}2", "f", "v");
  both("HSET", "{c}2", "f", "w");  // has one
  both("MSET", "c3", "v", "c4", "v");
  both("SET", "{c}5", "v", "EX", 1000);
  both("SET", "free:6", "v");
  EXPECT_EQ(counter("ttl_defaulted") - defaulted, 4);
  EXPECT_EQ(counter("ttl_clamped") - clamped, 0);
  both("SET", "{c}1", "v", "EX", 999'999);
  both("EXPIRE", "{c}2", 999'999);
  both("SETEX", "{c}5", 999'999, "v");
  EXPECT_EQ(counter("ttl_clamped") - clamped, 3);
  EXPECT_EQ(counter("ttl_defaulted") - defaulted, 4);
  past("{c}2", "PERSIST", "{c}2");  // past Corral; found on the way
  both("HSET", "{c}2", "f", "x");
  expect_default("{c}2");
  EXPECT_EQ(counter("ttl_defaulted") - defaulted, 5);
  const Reply stats = actual_.command("CORRAL", "STATS");
  EXPECT_EQ(counter("ttl_defaulted"), stats.at("ttl_defaulted").integer) << stats;
}

TEST_F(TtlCasesTest, replies_that_a_client_does_not_want_are_not_sent) {
  actual_.send(encode_all({{"CLIENT", "REPLY", "SKIP"}, {"HSET", "h", "f", "v"}}));
  EXPECT_EQ(actual_.command("HGET", "h", "f").text, "v");
  actual_.send(
      encode_all({{"CLIENT", "REPLY", "OFF"}, {"RPUSH", "l", "v"}, {"SETNX", "s", "v"}, {"MSET", "a", "1", "b", "2"}}));
  EXPECT_EQ(actual_.command("CLIENT", "REPLY", "ON"), Reply::status("OK"));
  EXPECT_EQ(actual_.command("EXISTS", "h", "l", "s", "a", "b").integer, 5);
  for (const char* key : {"h", "l", "s", "a", "b"}) expect_default(key);
}

}  // namespace
}  // namespace corral::test

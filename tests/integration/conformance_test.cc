// Corral in front of a cluster answers as one Redis does, to the byte: the same random mix of commands goes to both,
// over one connection each, pipelined in chunks that are cut anywhere, and the replies are compared one by one.
//
// CORRAL_SEED repeats a run, CORRAL_STEPS makes it longer.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "beside_redis.h"
#include "support/env.h"

namespace corral::test {
namespace {

constexpr size_t kDefaultSteps = 40'000;
constexpr size_t kLongestPipeline = 60;

// Sends bytes in a few pieces cut anywhere, then reads the replies.
std::vector<Reply> exchange_in_pieces(Client& client, CommandMix& mix, std::string_view bytes, size_t count) {
  for (size_t pieces = mix.below(4); pieces > 0; --pieces) {
    const size_t cut = mix.below(bytes.size() + 1);
    client.send(bytes.substr(0, cut));
    bytes.remove_prefix(cut);
  }
  return client.exchange(bytes, count);
}

class ConformanceTest : public BesideRedis {
 protected:
  void SetUp() override {
    ASSERT_EQ(actual_.command("FLUSHALL"), Reply::status("OK"));
    ASSERT_EQ(expected_.command("FLUSHALL"), Reply::status("OK"));
  }

  void compare_mix(uint64_t steps) {
    const uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
    std::cout << "CORRAL_SEED=" << seed << " CORRAL_STEPS=" << steps << std::endl;
    CommandMix mix(seed);
    for (size_t done = 0; done < steps;) {
      std::vector<Step> chunk(1 + mix.below(kLongestPipeline));
      std::string bytes;
      for (Step& step : chunk) {
        step = mix.next();
        bytes += mix.encode_somehow(step.args);
      }
      const auto actual = exchange_in_pieces(actual_, mix, bytes, chunk.size());
      const auto expected = expected_.exchange(bytes, chunk.size());
      for (size_t i = 0; i < chunk.size(); ++i) {
        ASSERT_EQ(difference(chunk[i], expected[i], actual[i]), "") << "seed " << seed << ", step " << done + i;
      }
      done += chunk.size();
    }
  }

  // All that a full iteration reports, and whether it ended properly.
  std::vector<std::string> scan(const Args& options) {
    std::vector<std::string> found;
    std::string cursor = "0";
    do {
      Args args = {"SCAN", cursor};
      args.insert(args.end(), options.begin(), options.end());
      const Reply reply = actual_.command(args);
      if (reply.elements.size() != 2) throw std::runtime_error("SCAN: " + to_string(reply));
      cursor = reply.elements[0].text;
      EXPECT_LT(std::stoull(cursor), 1ull << 53);
      const auto keys = reply.elements[1].strings();
      found.insert(found.end(), keys.begin(), keys.end());
    } while (cursor != "0");
    return found;
  }
};

TEST_F(ConformanceTest, a_random_mix_of_commands_is_answered_to_the_byte) {
  compare_mix(from_environment("CORRAL_STEPS", kDefaultSteps));
}

TEST_F(ConformanceTest, a_random_mix_of_commands_is_answered_to_the_byte_in_resp3) {
  for (Client* client : {&actual_, &expected_}) ASSERT_EQ(client->command("HELLO", 3).type, Reply::Type::kMap);
  compare_mix(from_environment("CORRAL_STEPS", kDefaultSteps) / 2);
}

TEST_F(ConformanceTest, a_dumped_value_is_restored) {
  both("RPUSH", "{d}list", "a", std::string("b\0\r\n", 4), "c");
  const Reply dump = both("DUMP", "{d}list");
  both("RESTORE", "{d}copy", 0, dump.text);
  both("RESTORE", "{d}copy", 0, dump.text);  // -BUSYKEY
  both("RESTORE", "{d}bad", 0, "garbage");
  both("LRANGE", "{d}copy", 0, -1);
}

TEST_F(ConformanceTest, multi_key_commands_span_all_slots) {
  Args mset = {"MSET"}, mget = {"MGET"}, keys;
  for (int i = 0; i < 500; ++i) {
    keys.push_back("key:" + std::to_string(i));
    mset.insert(mset.end(), {keys.back(), "value " + std::to_string(i)});
  }
  mget.insert(mget.end(), keys.begin(), keys.end());
  mget.insert(mget.end(), {"absent", "key:7", "key:7"});
  both(Step{mset});
  both(Step{mget});
  both("LPUSH", "list", "x");
  both("MGET", "key:1", "list", "key:2");
  for (const char* name : {"EXISTS", "TOUCH", "DEL", "UNLINK"}) {
    both(name, "key:1", "key:1", "absent", "list", "key:2");
    Args many = {name};
    many.insert(many.end(), keys.begin(), keys.end());
    both(Step{many});
  }
  both("MSET", "same", "1", "other", "2", "same", "3");  // the last one counts
  both("MGET", "same", "other");
}

TEST_F(ConformanceTest, the_whole_keyspace_is_seen) {
  std::set<std::string> keys;
  std::vector<Args> sets;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = (i % 3 ? "string:" : "hash:") + std::to_string(i);
    sets.push_back(i % 3 ? Args{"SET", key, "v"} : Args{"HSET", key, "f", "v"});
    keys.insert(key);
  }
  actual_.pipeline(sets);
  expected_.pipeline(sets);
  both("DBSIZE");
  const Args all = {"KEYS", "*"}, hashes = {"KEYS", "hash:*1"}, none = {"KEYS", "zzz*"};
  for (const Args& args : {all, hashes, none}) both(Step{args, Compare::kUnordered});
  const auto as_set = [](const std::vector<std::string>& found) { return std::set(found.begin(), found.end()); };
  EXPECT_EQ(as_set(scan({})), keys);
  EXPECT_EQ(as_set(scan({"COUNT", "1"})), keys);
  EXPECT_EQ(as_set(scan({"COUNT", "100000"})), keys);
  EXPECT_EQ(as_set(scan({"MATCH", "hash:*", "COUNT", "100"})).size(), 1000u);
  EXPECT_EQ(as_set(scan({"TYPE", "string"})).size(), 2000u);
  EXPECT_EQ(scan({}).size(), keys.size()) << "no duplicates while nothing changes";
  std::set<std::string> random;
  for (int i = 0; i < 100; ++i) random.insert(actual_.command("RANDOMKEY").text);
  EXPECT_TRUE(std::includes(keys.begin(), keys.end(), random.begin(), random.end()));
  EXPECT_GT(random.size(), 20u);
  both("FLUSHALL");
  both("DBSIZE");
  both("RANDOMKEY");
  EXPECT_TRUE(scan({}).empty());
}

TEST_F(ConformanceTest, keyspace_commands_refuse_what_redis_refuses) {
  both("SCAN");
  both("SCAN", "x");
  both("SCAN", "0", "COUNT");
  both("SCAN", "0", "COUNT", "0");
  both("SCAN", "0", "COUNT", "x");
  both("SCAN", "0", "BOGUS", "1");
  both("KEYS");
  both("KEYS", "a", "b");
  both("DBSIZE", "x");
  both("RANDOMKEY", "x");
  both("FLUSHALL", "BOGUS");
  both("FLUSHALL", "ASYNC");
  both("FLUSHDB", "SYNC");
  both("FLUSHDB", "SYNC", "x");
}

TEST_F(ConformanceTest, a_script_is_known_in_every_slot) {
  both("SCRIPT", "FLUSH");
  const std::string script = "return {KEYS[1], redis.call('incr', KEYS[1])}";
  const std::string sha = both("SCRIPT", "LOAD", script).text;
  const std::string unknown(40, '0');
  both("SCRIPT", "EXISTS", sha, unknown, sha);
  for (int i = 0; i < 30; ++i) both("EVALSHA", sha, 1, "counter:" + std::to_string(i));
  both("EVALSHA", unknown, 1, "k");
  both("EVALSHA", unknown, 0);
  both("SCRIPT", "LOAD", "return nonsense nonsense");
  both("SCRIPT", "LOAD");
  both("SCRIPT", "EXISTS");
  both("SCRIPT", "FLUSH", "BOGUS");
  both("SCRIPT", "FLUSH", "SYNC");
  both("SCRIPT", "EXISTS", sha);
  both("EVALSHA", sha, 1, "counter:1");
}

TEST_F(ConformanceTest, keys_in_two_slots_are_refused_where_nothing_can_be_split) {
  CORRAL_NEEDS_CLUSTER();
  for (const Args& args : {Args{"RENAME", "a", "b"}, Args{"SINTER", "a", "b"}, Args{"MSETNX", "a", "1", "b", "2"},
                           Args{"EVAL", "return 1", "2", "a", "b"}, Args{"LMOVE", "a", "b", "LEFT", "LEFT"},
                           Args{"ZUNIONSTORE", "a", "2", "a", "b"}, Args{"SORT", "a", "STORE", "b"}}) {
    EXPECT_TRUE(actual_.command(args).is_error("CROSSSLOT")) << args[0];
  }
}

}  // namespace
}  // namespace corral::test

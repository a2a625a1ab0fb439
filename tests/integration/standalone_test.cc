// Corral in front of one server (upstream.mode = "standalone"): all of what that server can do, databases and keys of
// any slots too.
#include <gtest/gtest.h>

#include <set>

#include "beside_front.h"
#include "support/background.h"

namespace corral::test {
namespace {

class StandaloneTest : public BesideFront {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>(FrontOptions{.standalone = true});
    redis_ = std::make_unique<RedisServer>();
  }

  // All that a full iteration reports.
  std::multiset<std::string> scan() {
    std::multiset<std::string> found;
    std::string cursor = "0";
    do {
      const Reply reply = actual_.command("SCAN", cursor, "COUNT", 7);
      if (reply.elements.size() != 2) throw std::runtime_error("SCAN: " + to_string(reply));
      cursor = reply.elements[0].text;
      for (const std::string& key : reply.elements[1].strings()) found.insert(key);
    } while (cursor != "0");
    return found;
  }
};

TEST_F(StandaloneTest, commands_take_keys_of_any_slots) {
  both("MSET", "a", "1", "b", "2", "c", "3");
  both("MGET", "a", "b", "c", "d");
  both("MSETNX", "d", "4", "e", "5");
  both("MSETNX", "e", "4", "f", "5");
  both("RENAME", "a", "z");
  both("RENAMENX", "b", "c");
  both("COPY", "z", "y");
  both("SADD", "s1", "m", "n");
  both("SADD", "s2", "n", "o");
  both("SINTER", "s1", "s2");
  both("SUNIONSTORE", "s3", "s1", "s2");
  both("SMOVE", "s1", "s2", "m");
  both("RPUSH", "l1", "x", "y");
  both("LMOVE", "l1", "l2", "LEFT", "RIGHT");
  both("LMPOP", 2, "l3", "l1", "LEFT");
  both("PFADD", "h1", "a", "b");
  both("PFMERGE", "h2", "h1");
  both("ZADD", "z1", 1, "m");
  both("ZUNIONSTORE", "z2", 2, "z1", "s2");
  both("SORT", "l2", "BY", "nosort", "GET", "weight_*", "STORE", "l4");
  both("BITOP", "OR", "b3", "z", "c");
  both("EVAL", "redis.call('set', KEYS[1], 'v') redis.call('set', 'other', 'w') return redis.call('get', KEYS[2])", 2,
       "k1", "k2");
  both("DEL", "z", "c", "d", "absent");
  both("EXISTS", "k1", "other", "e", "e");
  both("DBSIZE");
}

TEST_F(StandaloneTest, a_transaction_takes_keys_of_any_slots) {
  both_pipelined({{"MULTI"}, {"SET", "a", "1"}, {"INCR", "b"}, {"MGET", "a", "b"}, {"RENAME", "a", "c"}, {"EXEC"}});
  both_pipelined({{"WATCH", "b", "c", "d"}, {"GET", "b"}, {"MULTI"}, {"INCR", "b"}, {"EXEC"}});
  both("WATCH", "b", "c");
  Client other = front_->connect(), other_expected = redis_->connect();
  other.command("SET", "c", "changed");
  other_expected.command("SET", "c", "changed");
  both_pipelined({{"MULTI"}, {"INCR", "b"}, {"EXEC"}, {"GET", "b"}});
}

TEST_F(StandaloneTest, each_database_has_keys_of_its_own) {
  both_pipelined({{"SET", "k", "zero"}, {"SELECT", "1"},
                  {"GET", "k"},         {"SET", "k", "one"},
                  {"SELECT", "15"},     {"SET", "k", "fifteen"},
                  {"INCR", "n"},        {"SELECT", "0"},
                  {"GET", "k"},         {"SELECT", "1"},
                  {"GET", "k"},         {"DBSIZE"},
                  {"SELECT", "15"},     {"DBSIZE"},
                  {"KEYS", "k*"},       {"FLUSHDB"},
                  {"DBSIZE"},           {"SELECT", "1"},
                  {"DBSIZE"},           {"RANDOMKEY"},
                  {"FLUSHALL"},         {"DBSIZE"}});
}

TEST_F(StandaloneTest, each_connection_has_a_database_of_its_own) {
  Client other = front_->connect();
  both("SELECT", 3);
  both("SET", "k", "v");
  EXPECT_TRUE(other.command("GET", "k").is_nil());
  EXPECT_EQ(other.command("SELECT", "3"), Reply::status("OK"));
  EXPECT_EQ(other.command("GET", "k").text, "v");
}

TEST_F(StandaloneTest, databases_that_are_not_there_are_refused) {
  for (const char* database : {"16", "-1", "x", "99999999", "9223372036854775808", "", "1.5"}) both("SELECT", database);
  both("SELECT");
  both("SELECT", 1, 2);
  both("SET", "k", "v");  // still in database 0
  both("SELECT", 0);
  both("GET", "k");
}

TEST_F(StandaloneTest, keys_go_from_one_database_to_another) {
  both("SET", "k", "v");
  both("MOVE", "k", 2);
  both("GET", "k");
  both("SELECT", 2);
  both("GET", "k");
  both("COPY", "k", "copy", "DB", 5);
  both("COPY", "k", "copy", "DB", 55);
  both("SELECT", 5);
  both("GET", "copy");
  both("SWAPDB", 5, 2);
  both("KEYS", "*");
  both("SWAPDB", 5, "x");
  both("SWAPDB", 5, 77);
}

TEST_F(StandaloneTest, the_keyspace_is_that_of_the_selected_database) {
  std::vector<Args> sets = {{"SELECT", "4"}};
  std::multiset<std::string> keys;
  for (int i = 0; i < 500; ++i) {
    sets.push_back({"SET", "key:" + std::to_string(i), "v"});
    keys.insert("key:" + std::to_string(i));
  }
  actual_.pipeline(sets);
  expected_.pipeline(sets);
  EXPECT_EQ(scan(), keys);
  both({"KEYS", "key:1*"}, true);
  both("SCAN", "0", "COUNT", "0");
  both("SCAN", "x");
  both("SCAN", "0", "MATCH", "nothing", "COUNT", "1000");
  std::set<std::string> random;
  for (int i = 0; i < 50; ++i) random.insert(actual_.command("RANDOMKEY").text);
  EXPECT_GT(random.size(), 10u);
  both("SELECT", 0);
  both({"KEYS", "*"}, true);
  both("RANDOMKEY");
  EXPECT_TRUE(scan().empty());
}

TEST_F(StandaloneTest, info_and_client_list_tell_the_databases) {
  both_pipelined({{"SET", "k", "v"}, {"SELECT", "2"}, {"SET", "a", "1"}, {"SET", "b", "1", "EX", "1000"}});
  const std::string keyspace = actual_.command("INFO", "keyspace").text;
  EXPECT_EQ(info_field(keyspace, "db0"), "keys=1,expires=0,avg_ttl=0");
  EXPECT_EQ(info_field(keyspace, "db2").substr(0, 17), "keys=2,expires=1,");
  EXPECT_EQ(info_field(keyspace, "db1"), "");
  EXPECT_NE(actual_.command("CLIENT", "INFO").text.find(" db=2 "), std::string::npos);
}

TEST_F(StandaloneTest, select_in_a_transaction_counts_for_what_follows) {
  both_pipelined({{"SET", "k", "zero"},
                  {"MULTI"},
                  {"SET", "a", "1"},
                  {"SELECT", "7"},
                  {"SET", "k", "seven"},
                  {"GET", "k"},
                  {"EXEC"},
                  {"GET", "k"},
                  {"DBSIZE"},
                  {"SELECT", "0"},
                  {"GET", "k"},
                  {"GET", "a"}});
  both_pipelined({{"MULTI"}, {"SELECT", "3"}, {"DISCARD"}, {"GET", "k"}});
  both_pipelined({{"MULTI"}, {"SELECT", "99"}, {"GET", "k"}, {"EXEC"}, {"GET", "k"}});
  both_pipelined({{"MULTI"}, {"SELECT", "3"}, {"SELECT", "7"}, {"NOSUCH"}, {"EXEC"}, {"GET", "k"}});
  Client other = front_->connect();
  EXPECT_EQ(other.command("GET", "k").text, "zero") << "others stay where they are";
}

TEST_F(StandaloneTest, a_watch_holds_while_another_database_is_selected) {
  Client other = front_->connect(), other_expected = redis_->connect();
  for (const bool changed : {false, true}) {
    both_pipelined({{"SELECT", "0"}, {"SET", "k", "v"}, {"WATCH", "k"}, {"SELECT", "1"}, {"SET", "k", "one"}});
    if (changed) {
      other.command("SET", "k", "w");
      other_expected.command("SET", "k", "w");
    }
    both_pipelined({{"MULTI"}, {"GET", "k"}, {"INCR", "n"}, {"EXEC"}, {"GET", "n"}, {"SELECT", "0"}, {"GET", "n"}});
  }
}

TEST_F(StandaloneTest, reset_goes_back_to_the_first_database) {
  both_pipelined({{"SET", "k", "zero"}, {"SELECT", "9"}, {"SET", "k", "nine"}, {"RESET"}, {"GET", "k"}});
}

TEST_F(StandaloneTest, resp3_and_databases_go_together) {
  both_pipelined({{"SELECT", "6"}, {"HSET", "h", "f", "v"}});
  const Reply hello = actual_.command("HELLO", 3);
  expected_.command("HELLO", 3);
  EXPECT_FALSE(hello.is_error());
  both("HGETALL", "h");
  both("SELECT", 0);
  both("HGETALL", "h");
  reconnect();
}

TEST_F(StandaloneTest, blocking_commands_take_keys_of_any_slots_and_the_selected_database) {
  both("SELECT", 8);
  actual_.send(encode({"BLPOP", "one", "two", "three", "10"}));
  Client other = front_->connect();
  other.command("RPUSH", "two", "wrong database");
  other.command("SELECT", 8);
  EXPECT_EQ(other.command("RPUSH", "two", "right"), Reply::number(1));
  const Reply popped = actual_.read_reply();
  EXPECT_EQ(popped.strings(), (std::vector<std::string>{"two", "right"}));
}

}  // namespace
}  // namespace corral::test

// What ends the wait for a key that another client computes: every command that writes it, from whomever it comes, and
// more commands behind the one that waits. See stampede_front.h for how to make these fail.
#include "stampede_front.h"

namespace corral::test {
namespace {

constexpr int kSharedMs = 300;

std::string settings() {
  // What is not to end a wait takes longer than a test has patience.
  return stampede_rule("patient", "lease = \"1m\", wait = \"1m\"") +
         stampede_rule("shared", "lease = \"1m\", wait = \"1m\", wait_shared = " + milliseconds_text(kSharedMs));
}

class StampedeWakeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { front_ = std::make_unique<Front>(FrontOptions{.settings = settings(), .workers = 2}); }
  static void TearDownTestSuite() { front_.reset(); }

  // Clients that wait for the key: two workers', of both versions of RESP.
  std::vector<Client> waiters(const std::string& key, const Args& read) {
    std::vector<Client> clients;
    const int64_t before = counter_of(*front_, "waits");
    for (int i = 0; i < 6; ++i) {
      clients.push_back(i % 2 ? front_->connect3() : front_->connect());
      clients.back().send(encode(read));
    }
    require_waits(*front_, before, 6);
    EXPECT_TRUE(holder_.command("PING") == Reply::status("PONG")) << key;  // whoever computes is not held back
    return clients;
  }
  std::vector<Client> waiters(const std::string& key) { return waiters(key, {"GET", key}); }

  // Told that the key is missing, and so the one that computes it.
  void take_lease(const std::string& key) { ASSERT_TRUE(holder_.command("GET", key).is_nil()); }

  static inline std::unique_ptr<Front> front_;
  Client holder_ = front_->connect(), other_ = front_->connect();
};

using Commands = std::vector<Args>;

// Ways to write a key; K is it, V the value.
const std::vector<Commands> kWrites = {
    {{"SET", "K", "V"}},
    {{"SET", "K", "V", "EX", "100"}},
    {{"SET", "K", "V", "PX", "100000", "NX"}},
    {{"SET", "K", "V", "EXAT", "33177117420"}},
    {{"SET", "K", "V", "KEEPTTL"}},
    {{"SET", "K", "V", "GET"}},
    {{"SETEX", "K", "100", "V"}},
    {{"PSETEX", "K", "100000", "V"}},
    {{"SETNX", "K", "V"}},
    {{"GETSET", "K", "V"}},
    {{"MSET", "K", "V", "another", "value"}},
    {{"MSETNX", "K", "V"}},
    {{"MULTI"}, {"SET", "K", "V"}, {"EXPIRE", "K", "100"}, {"EXEC"}},
    {{"EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "K", "V"}},
    {{"EVAL", "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('EXPIRE', KEYS[1], 100)", "1", "K", "V"}},
};

Commands with(Commands commands, const std::string& key, const std::string& value) {
  for (Args& command : commands) {
    for (std::string& word : command) {
      if (word == "K") word = key;
      if (word == "V") word = value;
    }
  }
  return commands;
}

TEST_F(StampedeWakeTest, every_write_wakes_those_who_wait) {
  for (const Commands& write : kWrites) {
    for (Client* writer : {&holder_, &other_}) {
      const std::string key = fresh_key("patient"), value = "value of " + key;
      SCOPED_TRACE(write.back()[0] + (writer == &holder_ ? " by who computes" : " by another one"));
      take_lease(key);
      std::vector<Client> clients = waiters(key);
      for (const Reply& reply : writer->pipeline(with(write, key, value))) EXPECT_FALSE(reply.is_error()) << reply;
      for (Client& client : clients) ASSERT_EQ(client.read_reply(), Reply::string(value));
    }
  }
}

TEST_F(StampedeWakeTest, mget_waits_and_is_woken_as_get_is) {
  const std::string key = fresh_key("patient");
  take_lease(key);
  other_.command("SET", "there", "already");
  std::vector<Client> clients = waiters(key, {"MGET", "there", key});
  holder_.command("SET", key, "value");
  for (Client& client : clients) {
    EXPECT_EQ(client.read_reply().strings(), (std::vector<std::string>{"already", "value"}));
  }
}

TEST_F(StampedeWakeTest, more_commands_behind_it_end_a_wait) {
  const std::string key = fresh_key("patient");
  take_lease(key);
  for (Client& client : waiters(key)) {
    client.send(encode({"ECHO", "behind"}));
    EXPECT_TRUE(client.read_reply().is_nil());
    EXPECT_EQ(client.read_reply(), Reply::string("behind"));
  }
}

TEST_F(StampedeWakeTest, a_read_with_commands_behind_it_does_not_wait) {
  const std::string key = fresh_key("patient");
  take_lease(key);
  const auto replies = other_.pipeline({{"GET", key}, {"ECHO", "behind"}, {"GET", key}});
  EXPECT_TRUE(replies[0].is_nil());
  EXPECT_EQ(replies[1], Reply::string("behind"));
  EXPECT_TRUE(replies[2].is_nil());
}

// A read is made again if a write has ended since it was sent, but not behind what the client has sent behind it.
TEST_F(StampedeWakeTest, a_read_does_not_see_what_was_sent_behind_it) {
  for (int i = 0; i < 500; ++i) {
    const std::string key = fresh_key("patient");
    const auto replies = other_.pipeline({{"SET", key, "before"}, {"DEL", key}, {"GET", key}, {"SET", key, "behind"}});
    ASSERT_TRUE(replies[2].is_nil()) << "round " << i << ": " << replies[2].text;
  }
}

TEST_F(StampedeWakeTest, with_commands_behind_it_a_read_waits_for_wait_shared) {
  const std::string key = fresh_key("shared");
  take_lease(key);
  const auto asked = Clock::now();
  other_.send(encode_all({{"GET", key}, {"ECHO", "behind"}}));
  EXPECT_TRUE(other_.read_reply().is_nil());
  EXPECT_GE(Clock::now() - asked, milliseconds(kSharedMs - 50));
  EXPECT_EQ(other_.read_reply(), Reply::string("behind"));
}

TEST_F(StampedeWakeTest, with_commands_behind_it_a_read_is_woken_within_wait_shared) {
  const std::string key = fresh_key("shared");
  take_lease(key);
  std::vector<Client> clients = waiters(key);
  for (Client& client : clients) client.send(encode({"ECHO", "behind"}));
  holder_.command("SET", key, "value");
  for (Client& client : clients) {
    const Reply reply = client.read_reply();  // nil only if this machine took so long
    EXPECT_TRUE(reply == Reply::string("value") || reply.is_nil()) << reply;
    EXPECT_EQ(client.read_reply(), Reply::string("behind"));
  }
}

// A connection that computes one key does not wait for another one, nor for its own.
TEST_F(StampedeWakeTest, who_computes_does_not_wait) {
  const std::string key = fresh_key("patient"), another = fresh_key("patient");
  take_lease(key);
  EXPECT_TRUE(other_.command("GET", another).is_nil());
  EXPECT_TRUE(holder_.command("GET", another).is_nil());
  EXPECT_TRUE(other_.command("GET", key).is_nil());
  EXPECT_TRUE(holder_.command("GET", key).is_nil());
}

TEST_F(StampedeWakeTest, transactions_and_who_watches_have_no_part_in_it) {
  const std::string key = fresh_key("patient");
  const int64_t granted = counter_of(*front_, "leases_granted");
  const auto replies = other_.pipeline({{"MULTI"}, {"GET", key}, {"EXEC"}, {"WATCH", key}, {"GET", key}, {"UNWATCH"}});
  EXPECT_TRUE(replies[2].elements.at(0).is_nil());
  EXPECT_TRUE(replies[4].is_nil());
  EXPECT_EQ(counter_of(*front_, "leases_granted"), granted);
  take_lease(key);
  EXPECT_TRUE(other_.pipeline({{"MULTI"}, {"GET", key}, {"EXEC"}})[2].elements.at(0).is_nil());
}

TEST_F(StampedeWakeTest, what_is_not_a_string_is_no_miss) {
  const std::string key = fresh_key("patient");
  other_.command("RPUSH", key, "element");
  EXPECT_TRUE(other_.command("GET", key).is_error("WRONGTYPE"));
  EXPECT_TRUE(holder_.command("MGET", key).elements.at(0).is_nil());
  EXPECT_TRUE(other_.command("MGET", key).elements.at(0).is_nil());
}

}  // namespace
}  // namespace corral::test

// The known attacks on servers that speak RESP, each by its name: what Redis and its proxies have been brought down
// with. Corral answers with an error or closes, its memory follows the bytes that came, and other clients are served.
// (Hostile nodes: tests/core/hostile_node_test.cc.)
#include <gtest/gtest.h>

#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr const char* kSettings =
    "[upstream]\nmode = \"standalone\"\n[limits]\nsubscriber_output = \"1MiB\"\ncommand_time = \"1s\"\n"
    "clients_per_address = 2000\n";

class AttacksTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    redis_ = std::make_unique<RedisServer>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = redis_->address(), .settings = kSettings});
    corral_->wait_until_serving();
  }
  static void TearDownTestSuite() {
    corral_.reset();
    redis_.reset();
  }

  void others_are_served() {
    ASSERT_TRUE(corral_->running());
    EXPECT_EQ(other_.command("SET", "k", "v"), Reply::status("OK"));
    EXPECT_EQ(other_.command("GET", "k").text, "v");
  }

  // What comes back until Corral closes.
  std::string closes_after(const std::string& bytes) {
    Client client = corral_->connect();
    client.send(bytes);
    const std::string said = client.read_until_close();
    others_are_served();
    return said;
  }

  // One error, and the connection goes on in step.
  std::string error_after(const std::string& bytes) {
    Client client = corral_->connect();
    client.send(bytes + encode({"ECHO", "in step"}));
    const Reply reply = client.read_reply();
    EXPECT_TRUE(reply.is_error()) << reply;
    EXPECT_EQ(client.read_reply().text, "in step") << "after " << reply;
    return reply.raw;
  }

  static inline std::unique_ptr<RedisServer> redis_;
  static inline std::unique_ptr<Corral> corral_;
  Client other_ = corral_->connect();
};

TEST_F(AttacksTest, lengths_at_the_edges_of_integers) {
  const uint64_t before = corral_->rss_bytes();
  for (const char* length : {"2147483645", "2147483647", "2147483648", "4294967295", "4294967296", "-2", "-2147483648",
                             "9223372036854775807", "18446744073709551615"}) {
    SCOPED_TRACE(length);
    EXPECT_EQ(closes_after(std::string("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$") + length + "\r\n"),
              "-ERR Protocol error: invalid bulk length\r\n");
    if (length[0] == '-') continue;  // an array of less than one element is passed over, as Redis does
    EXPECT_EQ(closes_after(std::string("*") + length + "\r\n"), "-ERR Protocol error: invalid multibulk length\r\n");
  }
  EXPECT_LT(corral_->rss_bytes(), before + 20 * kMiB + kSanitizerBytes);
}

TEST_F(AttacksTest, an_array_of_minus_two) {
  Client client = corral_->connect();
  client.send("*-2\r\n*-2147483648\r\n" + encode({"PING"}));
  EXPECT_EQ(client.read_reply(), Reply::status("PONG"));
}

TEST_F(AttacksTest, dollar_zero) {
  EXPECT_EQ(error_after("*1\r\n$0\r\n\r\n"), "-ERR unknown command '', with args beginning with: \r\n");
  EXPECT_EQ(error_after("$0\r\n"), "-ERR unknown command '$0', with args beginning with: \r\n");
  EXPECT_EQ(error_after("*2\r\n$0\r\n\r\n$0\r\n\r\n"), "-ERR unknown command '', with args beginning with: '' \r\n");
  Client client = corral_->connect();
  EXPECT_EQ(client.command("SET", "", ""), Reply::status("OK"));
  EXPECT_EQ(client.command("GET", "").text, "");
}

TEST_F(AttacksTest, nesting_of_a_hundred_thousand_levels) {
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "*1\r\n";
  Client client = corral_->connect();
  try {
    client.send(nested);
  } catch (const Disconnected&) {
    // It has closed before it had read all of it.
  }
  EXPECT_TRUE(client.closes() || !client.read_until_close().empty());
  others_are_served();
}

TEST_F(AttacksTest, an_escape_at_the_end_of_a_packet) {
  for (const std::string start : {"ECHO \"\\x", "ECHO \"\\x4", "ECHO \"\\", "ECHO '\\", "ECHO \"", "ECHO \\x"}) {
    SCOPED_TRACE(start);
    EXPECT_TRUE(corral_->connect().closes(milliseconds(1)) == false);
    Client ends = corral_->connect();
    ends.send(start);
    ends.finish_sending();
    ends.read_until_close();
    Client line = corral_->connect();
    line.send(start + "\r\n" + encode({"PING"}));
    line.read_reply();  // an error or an echo
  }
  Client goes_on = corral_->connect();
  goes_on.send("ECHO \"a\\x");
  others_are_served();
  goes_on.send("41\"\r\n");
  EXPECT_EQ(goes_on.read_reply().text, "aA");
  others_are_served();
}

TEST_F(AttacksTest, a_billion_empty_arrays) {
  EXPECT_EQ(closes_after("*1000000000\r\n*0\r\n*0\r\n"), "-ERR Protocol error: invalid multibulk length\r\n");
  EXPECT_EQ(closes_after("*1000000\r\n*0\r\n*0\r\n"), "-ERR Protocol error: expected '$', got '*'\r\n");
  const uint64_t before = corral_->rss_bytes();
  std::string many;
  for (int i = 0; i < 250'000; ++i) many += "*0\r\n";
  Client client = corral_->connect();
  for (int i = 0; i < 40; ++i) client.send(many);  // ten million
  EXPECT_EQ(client.command("PING"), Reply::status("PONG")) << "they are passed over";
  EXPECT_LT(corral_->rss_bytes(), before + 20 * kMiB + kSanitizerBytes);
  others_are_served();
}

TEST_F(AttacksTest, a_subscriber_that_stops_reading) {
  const int64_t overrun = corral_->counter("clients_overrun");
  const uint64_t before = corral_->rss_bytes();
  Client deaf = corral_->connect(), reads = corral_->connect();
  deaf.shrink_receive_buffer(4096);
  deaf.command("SUBSCRIBE", "news");
  reads.command("SUBSCRIBE", "news");
  const std::string message(100'000, 'x');
  for (int i = 0; i < 500; ++i) {
    ASSERT_FALSE(other_.command("PUBLISH", "news", message).is_error());
    ASSERT_EQ(reads.read_reply().elements.size(), 3u);
  }
  EXPECT_TRUE(eventually([&] { return corral_->counter("clients_overrun") > overrun; }));
  EXPECT_LT(corral_->rss_bytes(), before + 40 * kMiB + kSanitizerBytes);
  others_are_served();
}

// What an attacker can have echoed in an error must not become a reply of its own.
TEST_F(AttacksTest, new_lines_in_what_errors_tell) {
  const std::string injected = "x\r\n+OK\r\n$5\r\nowned\r\n";
  const std::vector<Args> commands = {{injected},
                                      {"GET", "k", injected},
                                      {"CLIENT", injected},
                                      {"CONFIG", injected, "a"},
                                      {"CORRAL", injected},
                                      {"CORRAL", "CACHE", injected},
                                      {"CORRAL", "RULE"},
                                      {"HELLO", injected},
                                      {"HELLO", "3", "AUTH", injected},
                                      {"CLIENT", "SETNAME", injected},
                                      {"CLIENT", "KILL", "ADDR", injected},
                                      {"CLIENT", "TRACKING", "ON", "REDIRECT", injected},
                                      {"COMMAND", injected},
                                      {"CLUSTER", injected},
                                      {"SLOWLOG", injected},
                                      {"LATENCY", injected},
                                      {"MEMORY", injected},
                                      {"OBJECT", injected, "k"},
                                      {"SCRIPT", injected},
                                      {"FUNCTION", injected},
                                      {"EVALSHA", injected, "0"},
                                      {"SCAN", injected},
                                      {"SELECT", injected},
                                      {"SET", "k", "v", injected},
                                      {"XREAD", "BLOCK", injected, "STREAMS", "s", "0"},
                                      {"BLPOP", "list", injected},
                                      {"EVAL", "return redis.error_reply(ARGV[1])", "0", injected},
                                      {"EVAL", "return redis.status_reply(ARGV[1])", "0", injected}};
  Client client = corral_->connect();
  for (const Args& command : commands) {
    SCOPED_TRACE(printable(encode(command)));
    const auto replies = client.exchange(encode(command) + encode({"ECHO", "in step"}), 2);
    EXPECT_NE(replies[0].text, "owned");
    EXPECT_EQ(replies[1].text, "in step") << replies[0];
  }
  others_are_served();
}

TEST_F(AttacksTest, commands_that_trickle_in) {
  const int64_t slow = corral_->counter("clients_slow");
  std::vector<Client> trickling;
  for (int i = 0; i < 50; ++i) trickling.push_back(corral_->connect());
  const std::string command = "*2\r\n$4\r\nECHO\r\n$1000\r\n" + std::string(1000, 'x');
  size_t sent = 0;
  EXPECT_TRUE(eventually([&] {
    for (Client& client : trickling) {
      try {
        client.send(command.substr(sent % 1000, 1));
      } catch (const Disconnected&) {
        // as it should
      }
    }
    ++sent;
    return corral_->counter("clients_slow") >= slow + 50;
  }));
  others_are_served();
}

TEST_F(AttacksTest, very_many_connections_from_one_address) {
  const int64_t rejected = corral_->counter("clients_rejected_by_address");
  std::vector<Client> all;
  std::string refusal;
  while (refusal.empty() && all.size() < 2500) {
    all.push_back(corral_->connect());
    if (all.back().readable(milliseconds(0))) refusal = all.back().read_until_close();
    if (all.size() >= 2000 && refusal.empty() && all.back().readable(milliseconds(200))) {
      refusal = all.back().read_until_close();
    }
  }
  EXPECT_EQ(refusal, "-ERR max number of clients of this address reached\r\n");
  EXPECT_EQ(other_.command("SET", "k", "v"), Reply::status("OK"));
  all.clear();
  EXPECT_TRUE(eventually([&] {
    Client again = corral_->connect();
    return !again.readable(milliseconds(50)) && again.command("PING") == Reply::status("PONG");
  }));
  EXPECT_GT(corral_->counter("clients_rejected_by_address"), rejected);
}

}  // namespace
}  // namespace corral::test

// Bytes on the wire as no good client sends them: Corral answers garbage, half commands and oversize lengths with the
// very bytes of Redis, and memory follows what was received, never what was announced.
#include <random>

#include "beside_redis.h"

namespace corral::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class ProtocolTest : public BesideRedis {
 protected:
  // Sends `bytes` after a few good commands to both, on new connections. The answers, up to the close, must be the
  // same bytes.
  void both_close_after(const std::string& bytes) {
    const std::string good = encode_all({{"SET", "k", "v"}, {"GET", "k"}, {"PING"}, {"BOGUS"}});
    EXPECT_EQ(printable(answers_until_close(corral_->connect(), good + bytes)),
              printable(answers_until_close(redis_->connect(), good + bytes)))
        << "after " << printable(bytes);
  }

  // The same where both go on: they still answer an ECHO then.
  void both_go_on_after(const std::string& bytes) {
    EXPECT_EQ(printable(answers_until_echo(corral_->connect(), bytes)),
              printable(answers_until_echo(redis_->connect(), bytes)))
        << "after " << printable(bytes);
  }

  static std::string answers_until_close(Client client, const std::string& bytes) {
    try {
      client.send(bytes);
    } catch (const Disconnected&) {
      // It closed before it had read all of it; what it said is still there.
    }
    return client.read_until_close();
  }

  static std::string answers_until_echo(Client client, const std::string& bytes) {
    static const std::string kEnd = "the end of the answers";
    client.send(bytes + encode({"ECHO", kEnd}));
    std::string answers;
    while (true) {
      const Reply reply = client.read_reply();
      if (reply.text == kEnd) return answers;
      answers += reply.raw;
    }
  }
};

TEST_F(ProtocolTest, protocol_errors_have_the_words_of_redis) {
  both_close_after("*x\r\n");
  both_close_after("*2147483648\r\n");
  both_close_after("*99999999999999999999999\r\n");
  both_close_after("*1\r\nPING\r\n");
  both_close_after("*1\r\n+PING\r\n");
  both_close_after("*2\r\n$3\r\nGET\r\n:1\r\n");
  both_close_after("*1\r\n$x\r\n");
  both_close_after("*1\r\n$-1\r\n");
  both_close_after("*1\r\n$\r\n");
  both_close_after("*1\r\n$536870913\r\n");  // 512 MiB and one byte
  both_close_after("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999999999999999\r\n");
  both_close_after("GET \"unbalanced\r\n");
  both_close_after("GET 'unbalanced\r\n");
  both_close_after("GET \"a\"b\r\n");
}

TEST_F(ProtocolTest, what_follows_a_protocol_error_is_not_run) {
  both_close_after("*1\r\n$x\r\n" + encode({"SET", "after", "error"}));
  EXPECT_TRUE(actual_.command("GET", "after").is_nil());
}

TEST_F(ProtocolTest, lines_without_an_end_are_cut_at_64_kib) {
  both_close_after(std::string(64 * 1024 + 100, 'a'));
  both_close_after("*" + std::string(64 * 1024 + 100, '1'));
  both_close_after("*1\r\n$" + std::string(64 * 1024 + 100, '1'));
}

TEST_F(ProtocolTest, empty_requests_are_passed_over) {
  both_go_on_after("\r\n");
  both_go_on_after("\n\n\r\n");
  both_go_on_after("   \r\n");
  both_go_on_after("*0\r\n");
  both_go_on_after("*-1\r\n*-10\r\n");
  both_go_on_after("*0\r\n" + encode({"PING"}) + "\r\n*-1\r\nPING\r\n");
  both_go_on_after(encode(Args{""}));
  both_go_on_after(encode(Args{"", "x"}));
}

TEST_F(ProtocolTest, inline_commands_are_quoted_as_redis_has_it) {
  both_go_on_after("PING\r\n");
  both_go_on_after("ping\n");
  both_go_on_after("  SET   inline  'single quoted'  \r\nGET inline\r\n");
  both_go_on_after("SET inline 'it\\'s \\x41 \\n'\r\nGET inline\r\n");
  both_go_on_after(
      "SET inline \"tab\\t bell\\a hex\\x00\\xfF cr\\r\\n quote\\\" slash\\\\ other\\q\"\r\nGET inline\r\n");
  both_go_on_after("SET inline \"\"\r\nSTRLEN inline\r\n");
  both_go_on_after("ECHO \xff\xfe\x01\r\n");
  both_go_on_after("ECHO \"broken hex \\xZZ\"\r\n");
  both_go_on_after("MGET a b\tc\r\n");
  both_go_on_after("ECHO " + std::string(60'000, 'x') + "\r\n");
  both_go_on_after("SET k\r\n");
}

TEST_F(ProtocolTest, every_byte_may_come_alone) {
  const std::string bytes = encode_all({{"SET", "one", "by\r\none"}, {"GET", "one"}, {"BOGUS"}}) +
                            "GET \"one\"\r\n*0\r\n\r\n" + encode({"MGET", "one", "two", "three"});
  Client slow = corral_->connect();
  for (const char byte : bytes) {
    slow.send(std::string_view(&byte, 1));
    EXPECT_FALSE(corral_->connect().command("PING").is_error());  // so that the byte has gone out by itself
  }
  const std::string expected = answers_until_echo(redis_->connect(), bytes);
  EXPECT_EQ(printable(slow.read_bytes(expected.size())), printable(expected));
}

TEST_F(ProtocolTest, half_commands_harm_nobody) {
  const std::string whole = encode({"SET", "half", "value"});
  for (size_t cut = 1; cut < whole.size(); ++cut) corral_->connect().send(whole.substr(0, cut));
  EXPECT_TRUE(actual_.command("GET", "half").is_nil());
  Client patient = corral_->connect();
  patient.send(whole.substr(0, 20));
  EXPECT_EQ(actual_.command("PING"), Reply::status("PONG"));
  patient.send(whole.substr(20));
  EXPECT_EQ(patient.read_reply(), Reply::status("OK"));
}

TEST_F(ProtocolTest, garbage_is_answered_or_closed_and_the_others_are_served) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 200; ++round) {
    std::string garbage(1 + random() % 3000, '\0');
    for (char& byte : garbage) byte = static_cast<char>(random());
    static constexpr std::string_view kStarts = "*$+-:\r\n\"' ";
    garbage[0] = kStarts[random() % kStarts.size()];
    Client client = corral_->connect();
    client.send(garbage);
    if (round % 10 == 0) {
      ASSERT_EQ(actual_.command("SET", "k", round), Reply::status("OK"));
    }
  }
  EXPECT_EQ(actual_.command("GET", "k").text, "190");
  EXPECT_TRUE(corral_->running());
}

TEST_F(ProtocolTest, commands_of_a_web_browser_close_the_connection) {
  for (const char* start : {"POST / HTTP/1.1\r\n", "Host: example.org\r\n"}) {
    Client client = corral_->connect();
    client.send(std::string(start) + encode({"SET", "smuggled", "v"}));
    client.read_until_close();
  }
  EXPECT_TRUE(actual_.command("GET", "smuggled").is_nil());
}

TEST_F(ProtocolTest, memory_follows_the_bytes_received) {
  const uint64_t before = corral_->rss_bytes();
  std::vector<Client> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(corral_->connect());
    clients.back().send("*1048576\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nlittle");
    clients.push_back(corral_->connect());
    clients.back().send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nlittle");
  }
  for (int i = 0; i < 100; ++i) ASSERT_EQ(actual_.command("PING"), Reply::status("PONG"));
  EXPECT_LT(corral_->rss_bytes(), before + 20 * kMiB + kSanitizerBytes);
}

TEST_F(ProtocolTest, a_value_of_20_mb_passes_unchanged) {
  std::string value(20'000'000, '\0');
  std::mt19937_64 random(7);
  for (size_t i = 0; i + 8 <= value.size(); i += 8) {
    const uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, value.begin() + static_cast<ptrdiff_t>(i));
  }
  EXPECT_EQ(actual_.command("SET", "large", value), Reply::status("OK"));
  EXPECT_TRUE(actual_.command("GET", "large").text == value);
  EXPECT_TRUE(front_->owner_of("large").command("GET", "large").text == value);
  const auto replies = actual_.pipeline({{"GET", "small"}, {"GET", "large"}, {"STRLEN", "large"}, {"DEL", "large"}});
  EXPECT_TRUE(replies[0].is_nil());
  EXPECT_TRUE(replies[1].text == value);
  EXPECT_EQ(replies[2], Reply::number(20'000'000));
  EXPECT_EQ(replies[3], Reply::number(1));
}

TEST_F(ProtocolTest, a_slow_large_value_holds_nobody_up) {
  const std::string whole = encode({"SET", "{slow}large", std::string(8'000'000, 'x')});
  Client slow = corral_->connect();
  slow.send(std::string_view(whole).substr(0, whole.size() / 2));
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(actual_.command("SET", "{slow}small", i), Reply::status("OK"));
    ASSERT_EQ(actual_.command("GET", "{slow}small").text, std::to_string(i));
  }
  slow.send(std::string_view(whole).substr(whole.size() / 2));
  EXPECT_EQ(slow.read_reply(), Reply::status("OK"));
}

TEST_F(ProtocolTest, very_many_arguments_are_fine) {
  Args push = {"RPUSH", "long"};
  for (int i = 0; i < 200'000; ++i) push.push_back(std::to_string(i));
  EXPECT_EQ(actual_.command(push), Reply::number(200'000));
  const auto all = actual_.command("LRANGE", "long", 0, -1).strings();
  EXPECT_TRUE(std::equal(all.begin(), all.end(), push.begin() + 2, push.end()));
}

}  // namespace
}  // namespace corral::test

// Values far larger than what Corral holds: they stream through it at a bounded memory while the others are served, and
// a client that dies, or does not read, in the middle of one harms nobody.
//
// CORRAL_VALUE_MIB sets how large the largest is (default 64; 512 is the most that Redis allows).
#include <atomic>
#include <iostream>

#include "support/background.h"
#include "support/env.h"
#include "support/front.h"

namespace corral::test {
namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kLarge = 32 * kMiB;  // where it is not the size that is tested
constexpr size_t kPiece = 256 * 1024;

size_t full_size() { return from_environment("CORRAL_VALUE_MIB", 64) * kMiB; }

// A value of any size that is never held as a whole: its bytes follow from the seed and their place.
class Pattern {
 public:
  explicit Pattern(uint64_t seed) : seed_(seed) {}
  // `offset` and `size` are multiples of 8.
  std::string piece(size_t offset, size_t size) const {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; i += 8) {
      const uint64_t word = mixed(seed_ + (offset + i) / 8);
      std::copy_n(reinterpret_cast<const char*>(&word), 8, bytes.begin() + static_cast<ptrdiff_t>(i));
    }
    return bytes;
  }

 private:
  static uint64_t mixed(uint64_t x) {  // splitmix64
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  uint64_t seed_;
};

// The command without its last argument, whose size is told.
std::string head_of(const Args& args, size_t size) {
  std::string head = "*" + std::to_string(args.size() + 1) + "\r\n";
  for (const std::string& arg : args) head += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return head + "$" + std::to_string(size) + "\r\n";
}

// Sends the first `part` bytes of a value of `size`, and what ends it if that is all of it.
void send_value(Client& client, const Args& args, const Pattern& pattern, size_t size, size_t part) {
  client.send(head_of(args, size));
  for (size_t sent = 0; sent < part; sent += kPiece) client.send(pattern.piece(sent, std::min(kPiece, part - sent)));
  if (part == size) client.send("\r\n");
}

void read_head(Client& client, size_t size) {
  const std::string head = "$" + std::to_string(size) + "\r\n";
  const std::string got = client.read_bytes(head.size());
  if (got != head) throw std::runtime_error("instead of a value: " + printable(got));
}

// Reads a value as a reply, and whether it is the pattern. The first `skip` bytes have been read before.
bool read_value(Client& client, const Pattern& pattern, size_t size, size_t skip = 0) {
  bool same = true;
  for (size_t got = skip; got < size; got += kPiece) {
    const size_t length = std::min(kPiece, size - got);
    same = client.read_bytes(length) == pattern.piece(got, length) && same;
  }
  return client.read_bytes(2) == "\r\n" && same;
}

uint64_t status_kib(pid_t pid, const std::string& name) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/status");
  return std::stoull(text.substr(text.find("\n" + name + ":") + name.size() + 2));
}

class LargeValueTest : public ::testing::Test {
 protected:
  LargeValueTest() : idle_kib_(status_kib(front_.pid(), "VmRSS")) {}

  // How many connections the nodes have once all workers have theirs.
  int64_t connections_at_rest() {
    for (int i = 0; i < 8; ++i) {
      EXPECT_FALSE(
          front_.connect().command("MGET", tag_of_slot(10), tag_of_slot(8000), tag_of_slot(16'000)).is_error());
    }
    return front_.info_sum("connected_clients");
  }
  // The connections made for large values are given back.
  void expect_no_more_than(int64_t connections) {
    int64_t now = 0;
    EXPECT_TRUE(eventually([&] { return (now = front_.info_sum("connected_clients")) <= connections + 2; }))
        << now << " connections, before: " << connections;
  }
  // Above idle, in all that has been done; the control holds the values itself.
  void expect_small_memory(size_t mib = 64) {
    const uint64_t peak = status_kib(front_.pid(), "VmHWM") - idle_kib_;
    std::cout << "peak: " << peak / 1024 << " MiB above idle\n";
    if (!Front::is_control()) {
      EXPECT_LT(peak, mib * 1024 + kSanitizerBytes / 1024);
    }
  }
  // Another client is served on the node of the large value and on others, at least `least` times, until told to stop.
  void serve_others(Background::Stop stop) {
    Client other = front_.connect(milliseconds(60'000));
    for (int i = 0; !stop; ++i) {
      const std::string same = "{large}" + std::to_string(i % 10), far = "far:" + std::to_string(i % 50);
      const auto replies =
          other.pipeline({{"SET", same, std::to_string(i)}, {"GET", same}, {"INCR", far}, {"MGET", same, far}});
      if (replies[1].text != std::to_string(i) || replies[2].is_error() || replies[3].elements.size() != 2) {
        throw std::runtime_error(to_string(replies[1]) + to_string(replies[2]) + to_string(replies[3]));
      }
      ++served_;
    }
  }
  void set(Client& client, const std::string& key, const Pattern& pattern, size_t size) {
    send_value(client, {"SET", key}, pattern, size, size);
    EXPECT_EQ(client.read_reply(), Reply::status("OK"));
  }
  bool get(Client& client, const std::string& key, const Pattern& pattern, size_t size) {
    client.send(encode({"GET", key}));
    read_head(client, size);
    return read_value(client, pattern, size);
  }

  // A node may take seconds for a copy of 512 MiB, while busy cores fault its pages in: with a GET, all others wait.
  Front front_{{.settings = "[upstream]\nrequest_timeout = \"60s\"\n"}};
  const uint64_t idle_kib_;
  std::atomic<int> served_ = 0;
  Client client_ = front_.connect(milliseconds(60'000));
};

TEST_F(LargeValueTest, one_writes_and_one_reads_and_the_others_are_served) {
  const size_t size = full_size();
  const Pattern first(1), second(2);
  Background others([&](Background::Stop stop) { serve_others(stop); });
  const auto during = [&](const char* what, const auto& work) {
    const int before = served_;
    const auto start = Clock::now();
    work();
    std::cout << what << ": " << seconds_since(start) << " s, others served " << served_ - before << " times\n";
    EXPECT_GT(served_ - before, 3);
  };
  during("write", [&] { set(client_, "{large}one", first, size); });
  EXPECT_EQ(client_.command("STRLEN", "{large}one"), Reply::number(static_cast<int64_t>(size)));
  during("read", [&] { EXPECT_TRUE(get(client_, "{large}one", first, size)); });
  during("both", [&] {
    Background writing([&](Background::Stop) {
      Client writer = front_.connect(milliseconds(60'000));
      set(writer, "{large}two", second, size);
    });
    EXPECT_TRUE(get(client_, "{large}one", first, size));
    writing.join();
  });
  EXPECT_TRUE(get(client_, "{large}two", second, size));
  others.finish();
  expect_small_memory();
}

TEST_F(LargeValueTest, large_and_small_keep_their_order) {
  const size_t size = 16 * kMiB;
  const Pattern pattern(3);
  client_.send(encode_all({{"SET", "{large}k", "small"}, {"INCR", "{large}n"}}));
  send_value(client_, {"SET", "{large}k"}, pattern, size, size);
  client_.send(encode_all({{"STRLEN", "{large}k"},
                           {"INCR", "{large}n"},
                           {"GET", "{large}k"},
                           {"GET", "far"},
                           {"APPEND", "{large}k", "end"}}));
  Background reading([&](Background::Stop) {
    EXPECT_EQ(client_.read_reply(), Reply::status("OK"));
    EXPECT_EQ(client_.read_reply(), Reply::number(1));
    EXPECT_EQ(client_.read_reply(), Reply::status("OK"));
    EXPECT_EQ(client_.read_reply(), Reply::number(static_cast<int64_t>(size)));
    EXPECT_EQ(client_.read_reply(), Reply::number(2));
    read_head(client_, size);
    EXPECT_TRUE(read_value(client_, pattern, size));
    EXPECT_TRUE(client_.read_reply().is_nil());
    EXPECT_EQ(client_.read_reply(), Reply::number(static_cast<int64_t>(size) + 3));
  });
  reading.join();
  EXPECT_EQ(client_.command("GETRANGE", "{large}k", -4, -1).text.substr(1), "end");
}

TEST_F(LargeValueTest, large_arguments_of_other_commands) {
  const size_t size = 16 * kMiB;
  const Pattern pattern(4);
  const auto send = [&](const Args& args) {
    send_value(client_, args, pattern, size, size);
    return client_.read_reply();
  };
  EXPECT_EQ(send({"HSET", "{large}h", "f"}), Reply::number(1));
  EXPECT_EQ(client_.command("HSTRLEN", "{large}h", "f"), Reply::number(static_cast<int64_t>(size)));
  EXPECT_EQ(send({"RPUSH", "{large}l", "small"}), Reply::number(2));
  EXPECT_EQ(send({"EVAL", "return #ARGV[1]", "1", "{large}k"}), Reply::number(static_cast<int64_t>(size)));
  EXPECT_EQ(send({"MSET", "a", "1", "b", "2", "c"}), Reply::status("OK"));
  EXPECT_TRUE(get(client_, "c", pattern, size));
  EXPECT_EQ(send({"SETEX", "{large}e", "1000"}), Reply::status("OK"));
  EXPECT_TRUE(get(client_, "{large}e", pattern, size));
  EXPECT_EQ(send({"SETNX", "{large}e"}), Reply::number(0));
  EXPECT_TRUE(send({"LPUSH", "{large}e"}).is_error("WRONGTYPE"));
  EXPECT_TRUE(send({"BOGUS", "{large}e"}).is_error("ERR"));
  client_.send(encode({"ECHO", std::string(1000, 'x')}));
  EXPECT_EQ(client_.read_reply().text.size(), 1000u);
  client_.send(encode_all({{"MULTI"}, {"SET", "{large}m", "before"}}));
  send_value(client_, {"APPEND", "{large}m"}, pattern, size, size);
  client_.send(encode({"EXEC"}));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(client_.read_reply().is_error());
  EXPECT_EQ(client_.read_reply(), Reply::array({Reply::status("OK"), Reply::number(static_cast<int64_t>(size) + 6)}));
}

TEST_F(LargeValueTest, a_client_that_dies_writing_has_stored_nothing) {
  const size_t size = kLarge;
  const Pattern pattern(5);
  const auto connections = connections_at_rest();
  client_.command("SET", "{large}k", "before");
  for (const size_t part : {kPiece, size / 2, size - 8}) {
    Client dying = front_.connect();
    send_value(dying, {"SET", "{large}k"}, pattern, size, part);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(client_.command("INCRBY", "{large}n", 1).is_error(), false);
  }
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client_.command("GET", "{large}k").text, "before");
  expect_no_more_than(connections);
  EXPECT_EQ(client_.command("GET", "{large}k").text, "before");
  set(client_, "{large}k", pattern, 8 * kMiB);
  expect_small_memory();
}

TEST_F(LargeValueTest, a_client_that_dies_reading_harms_nobody) {
  const size_t size = kLarge;
  const Pattern pattern(6);
  set(client_, "{large}k", pattern, size);
  const auto connections = connections_at_rest();
  for (int i = 0; i < 10; ++i) {
    Client dying = front_.connect();
    dying.shrink_receive_buffer(64 * 1024);
    dying.send(encode_all({{"GET", "{large}k"}, {"INCR", "{large}n"}}));
    read_head(dying, size);
    dying.read_bytes(kPiece * static_cast<size_t>(i));
    ASSERT_FALSE(client_.command("SET", "{large}small", i).is_error());
  }
  expect_no_more_than(connections);
  EXPECT_TRUE(get(client_, "{large}k", pattern, size));
  expect_small_memory();
}

TEST_F(LargeValueTest, slow_readers_and_writers_hold_nobody_up) {
  const size_t size = kLarge;
  const Pattern pattern(7);
  set(client_, "{large}k", pattern, size);
  std::vector<Client> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(front_.connect());
    slow.back().shrink_receive_buffer(256 * 1024);
    slow.back().send(encode({"GET", "{large}k"}));
    read_head(slow.back(), size);
  }
  Client writer = front_.connect();
  send_value(writer, {"SET", "{large}w"}, pattern, size, size / 2);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(client_.command("SET", "{large}small", i), Reply::status("OK"));
    ASSERT_EQ(client_.command("GET", "{large}small").text, std::to_string(i));
    ASSERT_FALSE(client_.command("MGET", "a", "b", "c", "{large}small").is_error());
  }
  EXPECT_TRUE(client_.command("GET", "{large}w").is_nil());
  expect_small_memory();
  for (size_t sent = size / 2; sent < size; sent += kPiece) writer.send(pattern.piece(sent, kPiece));
  writer.send("\r\n");
  EXPECT_EQ(writer.read_reply(), Reply::status("OK"));
  slow.erase(slow.begin() + 1, slow.end());
  EXPECT_TRUE(read_value(slow[0], pattern, size)) << "whole, although so late";
  EXPECT_EQ(slow[0].command("PING"), Reply::status("PONG"));
}

TEST_F(LargeValueTest, a_large_reply_of_small_elements_streams) {
  const size_t elements = kLarge / 128;
  const std::string element(118, 'e');  // 128 bytes with what is around it
  for (size_t pushed = 0; pushed < elements; pushed += 1024) {
    Args push = {"RPUSH", "{large}list"};
    for (size_t i = 0; i < 1024; ++i) push.push_back(element);
    ASSERT_FALSE(client_.command(push).is_error());
  }
  client_.send(encode({"LRANGE", "{large}list", "0", "-1"}));
  const std::string head = "*" + std::to_string(elements) + "\r\n", each = "$118\r\n" + element + "\r\n";
  EXPECT_EQ(client_.read_bytes(head.size()), head);
  std::string many;
  for (int i = 0; i < 1024; ++i) many += each;
  bool same = true;
  for (size_t got = 0; got < elements; got += 1024) same = client_.read_bytes(many.size()) == many && same;
  EXPECT_TRUE(same);
  EXPECT_EQ(client_.command("PING"), Reply::status("PONG"));
  expect_small_memory();
}

TEST_F(LargeValueTest, a_slot_that_has_moved_is_found_before_the_value_is_sent) {
  CORRAL_NEEDS_CLUSTER();
  const size_t size = 16 * kMiB;
  const std::string key = tag_of_slot(700) + "k";
  for (int i = 0; i < 4; ++i) {
    const Pattern pattern(8 + static_cast<uint64_t>(i));
    const size_t from = front_.cluster().owner(700);
    client_.command("DEL", key);
    front_.cluster().migrate_slot(700, from, (from + 1) % 3);
    Reply reply;
    EXPECT_TRUE(eventually([&] {
      send_value(client_, {"SET", key}, pattern, size, size);
      reply = client_.read_reply();
      return !reply.is_error("TRYAGAIN");
    })) << reply;
    EXPECT_EQ(reply, Reply::status("OK"));
    EXPECT_TRUE(get(client_, key, pattern, size));
  }
}

}  // namespace
}  // namespace corral::test

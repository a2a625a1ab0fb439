// HELLO: both protocols on one connection, their options and errors, and RESET.
#include "beside_front.h"

namespace corral::test {
namespace {

// A reply of HELLO without the client's id, which differs.
std::string without_id(const Reply& hello) {
  Reply copy = hello;
  for (size_t i = 0; i + 1 < copy.elements.size(); i += 2) {
    if (copy.elements[i].text == "id") copy.elements[i + 1] = Reply::number(0);
  }
  return (hello.raw.empty() ? "" : printable(hello.raw.substr(0, 4))) + to_string(copy);
}

class Resp3Test : public BesideFront {
 protected:
  void both_hello(Args args) {
    args.insert(args.begin(), "HELLO");
    EXPECT_EQ(without_id(actual_.command(args)), without_id(expected_.command(args))) << args.back();
  }
  // Which protocol the connections speak, seen by a null.
  void expect_protocol(int version) {
    const std::string null = version == 3 ? "_\r\n" : "$-1\r\n";
    EXPECT_EQ(actual_.command("GET", "absent").raw, null);
    EXPECT_EQ(expected_.command("GET", "absent").raw, null);
  }
};

TEST_F(Resp3Test, hello_tells_the_server_in_the_protocol_that_is_chosen) {
  both_hello({});
  expect_protocol(2);
  both_hello({"3"});
  expect_protocol(3);
  both_hello({});
  EXPECT_EQ(actual_.command("HELLO").at("id"), actual_.command("CLIENT", "ID"));
  both_hello({"3"});
  both_hello({"2"});
  expect_protocol(2);
  both_hello({});
  EXPECT_EQ(front_->connect().command("GET", "absent").raw, "$-1\r\n") << "others stay as they are";
}

TEST_F(Resp3Test, options_come_in_any_order) {
  both_hello({"3", "SETNAME", "one"});
  both("CLIENT", "GETNAME");
  both_hello({"3", "AUTH", "default", "any"});
  both("CLIENT", "GETNAME");
  both_hello({"2", "AUTH", "default", "any", "SETNAME", "two"});
  both("CLIENT", "GETNAME");
  both_hello({"3", "setname", "three", "auth", "default", "any"});
  both("CLIENT", "GETNAME");
  both_hello({"3", "SETNAME", "four", "SETNAME", "five"});
  both("CLIENT", "GETNAME");
  both_hello({"3", "SETNAME", ""});
  both("CLIENT", "GETNAME");
}

TEST_F(Resp3Test, what_is_wrong_changes_nothing) {
  for (const int version : {2, 3}) {
    both_hello({std::to_string(version), "SETNAME", "kept"});
    for (const Args& args :
         {Args{"1"}, Args{"4"}, Args{"-1"}, Args{"x"}, Args{""}, Args{"3x"}, Args{"9999999999999999999999"},
          Args{"2", "BOGUS"}, Args{"3", "SETNAME"}, Args{"3", "SETNAME", "two words"}, Args{"3", "SETNAME", "line\n"},
          Args{"3", "AUTH"}, Args{"3", "AUTH", "default"}, Args{"3", "AUTH", "nobody", "any"},
          Args{"3", "SETNAME", "new", "AUTH", "nobody", "any"}, Args{"2", "AUTH", "default", "any", "SETNAME"},
          Args{"3", "SETNAME", "new", "BOGUS"}, Args{"5", "SETNAME", "new"}}) {
      both_hello(args);
      both("CLIENT", "GETNAME");
      expect_protocol(version);
    }
  }
}

TEST_F(Resp3Test, auth_is_answered_as_without_a_password) {
  both("AUTH");
  both("AUTH", "any");
  both("AUTH", "default", "any");
  both("AUTH", "nobody", "any");
  both("AUTH", "a", "b", "c");
  both("PING");
}

// What was sent before the switch is answered in the old protocol, what follows in the new one, on any node.
TEST_F(Resp3Test, a_pipeline_switches_in_its_midst) {
  std::vector<Args> reads;
  for (int i = 0; i < 30; ++i) {
    const std::string key = "hash:" + std::to_string(i);
    both("HSET", key, "field", i);
    reads.push_back({"HGETALL", key});
    reads.push_back({"HGET", key, "absent"});
  }
  reads.push_back({"MGET", "a", "b", "c"});
  reads.push_back({"EXISTS", "hash:1", "hash:2", "hash:3"});
  reads.push_back({"BOGUS"});
  std::vector<Args> commands;
  std::vector<size_t> hellos;
  for (const char* version : {"3", "2", "3", "3", "4", "2"}) {
    commands.insert(commands.end(), reads.begin(), reads.end());
    hellos.push_back(commands.size());
    commands.push_back({"HELLO", version});
  }
  commands.insert(commands.end(), reads.begin(), reads.end());
  for (int round = 0; round < 10; ++round) {
    const auto expected = expected_.pipeline(commands), actual = actual_.pipeline(commands);
    for (size_t i = 0; i < commands.size(); ++i) {
      if (std::find(hellos.begin(), hellos.end(), i) == hellos.end())
        ASSERT_EQ(printable(actual[i].raw), printable(expected[i].raw)) << i << ": " << commands[i][0];
      else
        ASSERT_EQ(without_id(actual[i]), without_id(expected[i])) << i;
    }
  }
}

TEST_F(Resp3Test, writes_around_a_switch_keep_their_order) {
  std::vector<Args> commands;
  for (int i = 0; i < 300; ++i) {
    commands.push_back({"RPUSH", "order", std::to_string(i)});
    if (i % 7 == 0) commands.push_back({"HELLO", i % 2 ? "2" : "3"});
  }
  const auto replies = actual_.pipeline(commands);
  int64_t length = 0;
  for (const Reply& reply : replies) {
    if (reply.type == Reply::Type::kInteger) {
      ASSERT_EQ(reply.integer, ++length);
    }
  }
  EXPECT_EQ(length, 300);
  const auto all = actual_.command("LRANGE", "order", 0, -1).strings();
  ASSERT_EQ(all.size(), 300u);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], std::to_string(i));
}

TEST_F(Resp3Test, reset_makes_the_connection_new) {
  both_hello({"3", "SETNAME", "named"});
  both("RESET");
  expect_protocol(2);
  both("CLIENT", "GETNAME");
  both_hello({"3"});
  both("MULTI");
  both("SET", "k", "v");
  both("RESET");
  expect_protocol(2);
  both("EXEC");
  both("GET", "k");
  both("RESET", "x");
  both_pipelined({{"GET", "absent"}, {"RESET"}, {"GET", "absent"}, {"PING"}});
}

TEST_F(Resp3Test, reset_in_a_resp3_pipeline_ends_it_there) {
  both_hello({"3"});
  both_pipelined({{"GET", "absent"}, {"HGETALL", "absent"}, {"RESET"}, {"GET", "absent"}, {"HGETALL", "absent"}});
  expect_protocol(2);
}

TEST_F(Resp3Test, client_info_tells_the_protocol) {
  const auto resp = [](Client& client) {
    const std::string text = client.command("CLIENT", "INFO").text;
    const size_t at = text.find(" resp=");
    return at == std::string::npos ? text : text.substr(at + 6, 1);
  };
  EXPECT_EQ(resp(actual_), "2");
  both_hello({"3"});
  EXPECT_EQ(resp(actual_), "3");
  EXPECT_EQ(resp(expected_), "3");
}

// As ioredis 6 begins, in one write.
TEST_F(Resp3Test, the_opening_of_a_client_library_is_answered) {
  const auto replies = actual_.pipeline({{"HELLO", "3"},
                                         {"CLIENT", "SETINFO", "LIB-VER", "6.0.0"},
                                         {"CLIENT", "SETINFO", "LIB-NAME", "ioredis"},
                                         {"INFO"}});
  EXPECT_EQ(replies[0].type, Reply::Type::kMap);
  EXPECT_EQ(replies[0].at("mode").text, "standalone");
  EXPECT_EQ(replies[0].at("proto"), Reply::number(3));
  EXPECT_EQ(replies[0].at("role").text, "master");
  ASSERT_EQ(replies[3].type, Reply::Type::kVerbatim);
  EXPECT_EQ(replies[3].text.substr(0, 4), "txt:");
  EXPECT_EQ(info_field(replies[3].text.substr(4), "loading"), "0");
}

TEST_F(Resp3Test, many_connections_of_both_protocols_share_the_nodes) {
  actual_.command("HSET", "shared", "f", "v");
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(i % 2 ? front_->connect3() : front_->connect());
  const std::string commands = encode_all({{"HGETALL", "shared"}, {"GET", "absent"}, {"MGET", "absent", "other"}});
  for (int round = 0; round < 20; ++round) {
    for (Client& client : clients) client.send(commands);
    for (size_t i = 0; i < clients.size(); ++i) {
      const std::string expected = i % 2 ? "%1\r\n$1\r\nf\r\n$1\r\nv\r\n_\r\n*2\r\n_\r\n_\r\n"
                                         : "*2\r\n$1\r\nf\r\n$1\r\nv\r\n$-1\r\n*2\r\n$-1\r\n$-1\r\n";
      ASSERT_EQ(printable(clients[i].read_bytes(expected.size())), printable(expected)) << i;
    }
  }
}

}  // namespace
}  // namespace corral::test

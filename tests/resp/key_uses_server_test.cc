// Holds find_key_uses against COMMAND GETKEYSANDFLAGS of a real redis-server: what each command does to each of its
// keys, with the options that change it.
#include <gtest/gtest.h>

#include <set>

#include "command_maker.h"
#include "random_requests.h"
#include "support/redis.h"

namespace corral::test {
namespace {

using namespace resp;
using namespace std::literals;

// "a access update" for each key; "false" if the request makes no sense.
std::string ours(CommandMaker& maker, const Words& words) {
  std::vector<KeyUse> uses;
  if (!find_key_uses(*spec_of(words), maker.make(words), uses)) return "false";
  std::string text;
  for (const KeyUse& use : uses) {
    text += words.at(use.arg);
    if (use.flags & kKeyAccess) text += " access";
    if (use.flags & kKeyUpdate) text += " update";
    if (use.flags & kKeyInsert) text += " insert";
    if (use.flags & kKeyDelete) text += " delete";
    text += '\n';
  }
  return text;
}

std::string told(const Reply& reply) {
  if (!reply.is_array()) return "false";
  std::string text;
  for (const Reply& key : reply.elements) {
    text += key.elements.at(0).text;
    std::set<std::string> flags;
    for (const Reply& flag : key.elements.at(1).elements) flags.insert(flag.text);
    for (const char* flag : {"access", "update", "insert", "delete"}) {
      if (flags.contains(flag)) text += std::string(" ") + flag;
    }
    text += '\n';
  }
  return text;
}

void compare(RedisServer& server, const std::vector<Words>& requests) {
  CommandMaker maker;
  std::vector<Args> questions;
  for (const Words& words : requests) {
    questions.push_back({"COMMAND", "GETKEYSANDFLAGS"});
    questions.back().insert(questions.back().end(), words.begin(), words.end());
  }
  const std::vector<Reply> replies = server.connect().pipeline(questions);
  for (size_t i = 0; i < requests.size(); ++i) {
    std::string expected = told(replies[i]);
    // Of a script whose number of keys makes no sense the server tells no keys; where the flags do not vary, it takes
    // no notice of what is wrong behind the keys.
    if (expected.empty()) expected = "false";
    std::string actual = ours(maker, requests[i]);
    if (actual.empty()) actual = "false";
    EXPECT_EQ(actual, expected) << joined(requests[i]);
  }
}

constexpr std::string_view kRequests[] = {
    "SET a b",
    "SET a b GET",
    "SET a get",
    "SET a b GET\0"sv,
    "SET a b EX\0x 10 nx\0 get\0 get"sv,
    "SET a b EX 10 NX get",
    "SET a b EX get",
    "BITFIELD a",
    "BITFIELD a GET u8 0",
    "BITFIELD a GET u8 0 OVERFLOW wrap get u8 1",
    "BITFIELD a GET u8 0 SET u8 0 1",
    "BITFIELD a INCRBY u8 0 1 GET u8 0",
    "BITFIELD a GET u8",
    "BITFIELD a OVERFLOW",
    "BITFIELD a nonsense",
    "BITFIELD a OVERFLOW set GET u8 0",
    "SORT a",
    "SORT a BY x* GET y* STORE b",
    "SORT_RO a BY store GET get",
    "GEORADIUS k 1 2 3 m STORE d",
    "MIGRATE h 1 '' 0 5 KEYS a b",
    "XREADGROUP GROUP g c STREAMS a >",
    "EVAL s 1 a",
    "EVAL_RO s 1 a",
    "GETDEL a",
    "COPY a b",
    "LMOVE a b LEFT RIGHT",
    "EXISTS a",
    "WATCH a",
};

TEST(KeyUsesAndServer, SayTheSame) {
  RedisServer server;
  std::vector<Words> requests;
  for (const std::string_view request : kRequests) requests.push_back(split_words(request));
  compare(server, requests);
}

TEST(KeyUsesAndServer, SayTheSameOfRandomRequests) {
  RandomRequests random("SayTheSameOfRandomRequests");
  RedisServer server;
  const auto add = [&](const CommandSpec& spec, std::vector<Words>& requests) {
    if (spec.keys.empty() || (spec.keys[0].flags & kKeyNotKey)) return;
    for (int i = 0; i < 20; ++i) requests.push_back(random.of(spec));
  };
  for (const CommandSpec& spec : all_commands()) {
    std::vector<Words> requests;
    add(spec, requests);
    for (const CommandSpec& subcommand : spec.subcommands) add(subcommand, requests);
    compare(server, requests);
  }
}

TEST(NamingOption, IsFoundWhereItIsAnOption) {
  CommandMaker maker;
  const auto option = [&](std::string_view request) {
    const Words words = split_words(request);
    return find_naming_option(*spec_of(words), maker.make(words));
  };
  EXPECT_EQ(option("SORT a"), "");
  EXPECT_EQ(option("SORT a BY nosort"), "");
  EXPECT_EQ(option("SORT a by w_*"), "by");
  EXPECT_EQ(option("SORT a BY nosort GET #"), "get");
  EXPECT_EQ(option("SORT a LIMIT get get STORE by ALPHA"), "");
  EXPECT_EQ(option("SORT_RO a ASC GET x"), "get");
  EXPECT_EQ(option("SORT_RO a GET"), "");
  EXPECT_EQ(option("BITFIELD a GET u8 0"), "");
  EXPECT_EQ(option("GET a"), "");
}

}  // namespace
}  // namespace corral::test

// The command table by itself: names, handling, keys. What a server says of the same is in
// command_table_server_test.cc.
#include "resp/command_table.h"

#include <gtest/gtest.h>

#include <set>

#include "command_maker.h"

namespace corral::test {
namespace {

using namespace resp;

Words all_names() {
  Words names;
  for (const CommandSpec& spec : all_commands()) {
    names.emplace_back(spec.name);
    for (const CommandSpec& subcommand : spec.subcommands) names.emplace_back(subcommand.name);
  }
  return names;
}

const CommandSpec& named(std::string_view name) {
  size_t bar = name.find('|');
  const CommandSpec* spec = find_command(name.substr(0, bar));
  if (spec && bar != name.npos) spec = find_subcommand(*spec, name.substr(bar + 1));
  if (!spec) throw std::runtime_error("no command " + std::string(name));
  return *spec;
}

std::string in_random_case(std::mt19937_64& random, std::string name) {
  for (char& c : name)
    if (below(random, 2)) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

TEST(FindCommand, EveryNameInAnyCase) {
  std::mt19937_64 random = seeded_generator("EveryNameInAnyCase");
  GuardedBytes bytes(64);
  for (const CommandSpec& spec : all_commands()) {
    for (int i = 0; i < 20; i++) {
      std::string name = in_random_case(random, std::string(spec.name));
      ASSERT_EQ(find_command({bytes.hold(name), name.size()}), &spec) << name;
    }
  }
}

TEST(FindCommand, OtherNamesAreNotFound) {
  for (std::string name :
       {"", "G", "GE", "GETT", "GE\x14",
        "\x07"
        "ET",
        "MGET ", " MGET", "SORT\x7FRO", "client|list", "georadiusbymember_ro_and_more", "@GET", "g\xC5t"})
    EXPECT_EQ(find_command(name), nullptr) << name;
  EXPECT_EQ(find_command(std::string_view("GET\0", 4)), nullptr);
  EXPECT_EQ(find_command(std::string(1000, 'a')), nullptr);
}

TEST(FindCommand, ChangedNamesAreFoundOnlyIfTheyAreNames) {
  std::mt19937_64 random = seeded_generator("ChangedNamesAreFoundOnlyIfTheyAreNames");
  std::set<std::string> names;
  for (const CommandSpec& spec : all_commands()) names.emplace(spec.name);
  GuardedBytes bytes(64);
  for (int i = 0; i < 100000; i++) {
    std::string name(all_commands()[below(random, all_commands().size())].name);
    name[below(random, name.size())] = static_cast<char>(random());
    if (below(random, 4) == 0) name.resize(below(random, 30), 'x');
    std::string lowered = name;
    for (char& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    const CommandSpec* found = find_command({bytes.hold(name), name.size()});
    ASSERT_EQ(found != nullptr, names.count(lowered) != 0) << name;
    if (found) {
      ASSERT_EQ(found->name, lowered);
    }
  }
}

TEST(FindSubcommand, AnyCaseAndNoneBeyondItsContainer) {
  const CommandSpec& client = named("client");
  EXPECT_EQ(find_subcommand(client, "LIST")->name, "client|list");
  EXPECT_EQ(find_subcommand(client, "sEtInFo")->name, "client|setinfo");
  EXPECT_EQ(find_subcommand(client, "slots"), nullptr);
  EXPECT_EQ(find_subcommand(client, ""), nullptr);
  EXPECT_EQ(find_subcommand(client, "client|list"), nullptr);
  EXPECT_EQ(find_subcommand(named("get"), "list"), nullptr);
  EXPECT_EQ(find_subcommand(named("corral"), "STATS")->action, Action::kCorralStats);
}

TEST(CommandTable, IdsAreDense) {
  std::set<uint16_t> ids;
  for (const std::string& name : all_names()) ids.insert(named(name).id);
  EXPECT_EQ(ids.size(), all_names().size());
  EXPECT_EQ(ids.size(), command_id_count());
  EXPECT_EQ(*ids.rbegin(), command_id_count() - 1);
}

TEST(CommandTable, HandlingIsConsistent) {
  std::set<Handling> with_merge = {Handling::kSplit, Handling::kFanOut};
  for (const std::string& name : all_names()) {
    const CommandSpec& spec = named(name);
    EXPECT_EQ(spec.merge != Merge::kNone, with_merge.count(spec.handling) == 1) << name;
    std::set<Handling> with_action = {Handling::kLocal, Handling::kTransaction, Handling::kSubscription};
    std::set<Handling> may_have_action = {Handling::kFanOut, Handling::kScript, Handling::kBlocking};
    if (may_have_action.count(spec.handling) == 0) {
      EXPECT_EQ(spec.action != Action::kNone, with_action.count(spec.handling) == 1) << name;
    }
    bool needs_keys = spec.handling == Handling::kSplit || spec.handling == Handling::kScript;
    EXPECT_FALSE(needs_keys && spec.keys.empty()) << name;
    bool has_none = spec.handling == Handling::kFanOut || spec.slot_arg != 0;
    EXPECT_TRUE(!has_none || spec.keys.empty()) << name;
    EXPECT_TRUE(!spec.is(kFlagBlocking) || spec.handling == Handling::kBlocking) << name;
    EXPECT_FALSE(keys_may_hide(spec)) << name;
  }
}

TEST(CommandTable, HandlingOfSomeCommands) {
  EXPECT_EQ(named("get").handling, Handling::kForward);
  EXPECT_EQ(named("mget").merge, Merge::kArrayByKey);
  EXPECT_EQ(named("unlink").merge, Merge::kSum);
  EXPECT_EQ(named("script|exists").merge, Merge::kMinimums);
  EXPECT_EQ(named("module|load").action, Action::kRefuse);
  EXPECT_EQ(named("cluster|slots").action, Action::kClusterSlots);
  EXPECT_EQ(named("cluster|countkeysinslot").slot_arg, 2);
  EXPECT_EQ(named("wait").handling, Handling::kBlocking);
  EXPECT_EQ(named("watch").handling, Handling::kTransaction);
  EXPECT_EQ(named("debug").handling, Handling::kForward);
}

TEST(CommandTable, ArityFits) {
  EXPECT_TRUE(named("get").arity_fits(2));
  EXPECT_FALSE(named("get").arity_fits(3));
  EXPECT_FALSE(named("set").arity_fits(2));
  EXPECT_TRUE(named("set").arity_fits(9));
}

TEST(CommandTable, OnlyKey) {
  for (std::string_view name : {"get", "set", "incr", "hset", "expire", "zadd"})
    EXPECT_EQ(named(name).only_key, 1) << name;
  for (std::string_view name : {"mget", "eval", "rename", "sort", "spublish", "ping"})
    EXPECT_EQ(named(name).only_key, 0) << name;
  EXPECT_EQ(named("object|encoding").only_key, 2);
  EXPECT_EQ(named("xgroup|create").only_key, 2);
}

// Each line: a request, " -> ", its keys or "false".
constexpr std::string_view kKeysOfRequests[] = {
    "GET a -> a",
    "GET -> false",
    "PING -> ",
    "CLIENT LIST -> ",
    "MGET a b a -> a b a",
    "MGET -> false",
    "MSET a 1 b 2 -> a b",
    "MSET a 1 b -> false",
    "MSETNX a -> false",
    "BLPOP a b 0 -> a b",
    "BLPOP a -> false",
    "PFMERGE d -> d",
    "PFMERGE d a b -> d a b",
    "BITOP AND d a b -> d a b",
    "LCS a b LEN -> a b",
    "LCS a -> false",
    "RENAME a -> false",
    "OBJECT ENCODING a -> a",
    "OBJECT ENCODING -> false",
    "XGROUP CREATE s g 0 -> s",
    "EVAL s 0 a b -> ",
    "EVAL s 2 a b c -> a b",
    "EVAL s 3 a b -> false",
    "EVAL s -1 a -> false",
    "EVAL s 01 a -> false",
    "EVAL s +1 a -> false",
    "EVAL s 1a a -> false",
    "EVAL s '' a -> false",
    "EVAL s 2147483647 a -> false",
    "EVAL s 4294967297 a -> false",
    "EVAL s 99999999999999999999 a -> false",
    "EVAL s -> false",
    "ZUNION 0 a -> false",
    "ZUNION 2 a b WEIGHTS 1 2 -> a b",
    "ZUNIONSTORE d 2 a b -> d a b",
    "ZUNIONSTORE d 2 a -> false",
    "LMPOP 2 a b LEFT -> a b",
    "BLMPOP 0 2 a b LEFT -> a b",
    "XREAD STREAMS a b 0 0 -> a b",
    "XREAD COUNT 1 BLOCK 5 streams a 0 -> a",
    "XREAD COUNT STREAMS STREAMS a 0 -> a",
    "XREAD STREAMS STREAMS 0 -> STREAMS",
    "XREAD STREAMS a b 0 -> false",
    "XREAD STREAMS -> false",
    "XREAD COUNT 1 -> false",
    "XREADGROUP COUNT 1 GROUP STREAMS c STREAMS a > -> a",
    "SORT k -> k",
    "SORT k BY x GET store STORE d -> k d",
    "SORT k STORE a LIMIT 0 1 STORE b -> k b",
    "SORT k STORE -> k",
    "SORT_RO k GET STORE -> k",
    "GEORADIUS k 1 2 3 m STORE a STOREDIST b -> k b",
    "GEORADIUS k 1 2 3 m STOREDIST a STORE b -> k b",
    "GEORADIUSBYMEMBER k m 3 m COUNT 3 ANY STORE a -> k a",
    "MIGRATE h 1 k 0 5 -> k",
    "MIGRATE h 1 '' 0 5 COPY AUTH keys KEYS a b -> a b",
    "MIGRATE h 1 k 0 5 KEYS a b -> false",
    "MIGRATE h 1 k 0 5 AUTH2 keys x REPLACE -> k",
    "SPUBLISH c m -> c",
    "SSUBSCRIBE c d -> c d",
    "SUNSUBSCRIBE -> ",
    "CLUSTER COUNTKEYSINSLOT 5 -> ",
};

TEST(FindKeys, OfRequests) {
  CommandMaker maker;
  for (std::string_view line : kKeysOfRequests) {
    size_t arrow = line.find(" -> ");
    Words words = split_words(line.substr(0, arrow));
    EXPECT_EQ(keys_told(maker, *spec_of(words), words), line.substr(arrow + 4)) << line;
  }
}

TEST(FindKeys, NoWordsMakeItReadOutOfRange) {
  std::mt19937_64 random = seeded_generator("NoWordsMakeItReadOutOfRange");
  Words vocabulary = split_words(
      "'' 0 1 2 3 -1 7 9223372036854775807 2147483647 STREAMS STORE STOREDIST KEYS BLOCK GROUP "
      "COUNT LIMIT GET BY AUTH AUTH2 COPY a b c");
  Words names = all_names();
  CommandMaker maker;
  std::vector<uint32_t> indexes;
  for (int i = 0; i < 300000; i++) {
    const CommandSpec& spec = named(names[below(random, names.size())]);
    Words words = {"x"};
    for (size_t count = below(random, 10); count > 0; count--)
      words.push_back(vocabulary[below(random, vocabulary.size())]);
    Command command = maker.make(words);
    bool good = find_keys(spec, command, indexes);
    auto timeout = blocking_timeout(spec, command);
    ASSERT_TRUE(!timeout || (may_block(spec, command) && timeout->arg >= 1 && timeout->arg < words.size()));
    ASSERT_TRUE(good || indexes.empty());
    for (size_t k = 0; k < indexes.size(); k++) {
      ASSERT_LT(indexes[k], words.size()) << spec.name << ": " << joined(words);
      ASSERT_GE(indexes[k], 1u) << spec.name << ": " << joined(words);
      ASSERT_TRUE(k == 0 || indexes[k - 1] < indexes[k]) << spec.name << ": " << joined(words);
    }
  }
}

TEST(MayBlock, StreamsOnlyWithBlock) {
  CommandMaker maker;
  auto blocks = [&](std::string_view line) {
    Words words = split_words(line);
    return may_block(*spec_of(words), maker.make(words));
  };
  EXPECT_FALSE(blocks("XREAD COUNT 1 STREAMS a 0"));
  EXPECT_TRUE(blocks("XREAD block 0 STREAMS a 0"));
  EXPECT_TRUE(blocks("XREADGROUP GROUP g c COUNT 1 NOACK BLOCK 100 STREAMS a >"));
  EXPECT_FALSE(blocks("XREADGROUP GROUP block c STREAMS a >"));
  EXPECT_FALSE(blocks("XREAD STREAMS block 0"));
  EXPECT_TRUE(blocks("BLPOP a 0"));
  EXPECT_TRUE(blocks("WAIT 1 0"));
  EXPECT_FALSE(blocks("LPOP a"));
}

/// "4 s", "4 ms", or "none".
std::string timeout_told(CommandMaker& maker, const CommandSpec& spec, const Words& words) {
  auto timeout = blocking_timeout(spec, maker.make(words));
  return timeout ? std::to_string(timeout->arg) + (timeout->milliseconds ? " ms" : " s") : "none";
}

// Each line: a request, " -> ", the place of its timeout and its unit.
constexpr std::string_view kTimeoutsOfRequests[] = {
    "BLPOP a 0.5 -> 2 s",
    "BLPOP a b c 0 -> 4 s",
    "BRPOP a 5 -> 2 s",
    "BLMOVE a b LEFT RIGHT 0 -> 5 s",
    "BRPOPLPUSH a b 1.25 -> 3 s",
    "BZPOPMIN a b 0 -> 3 s",
    "bzpopmax a 0 -> 2 s",
    "BLMPOP 0.1 2 a b LEFT COUNT 3 -> 1 s",
    "BZMPOP 0 1 a MIN -> 1 s",
    "WAIT 1 500 -> 2 ms",
    "XREAD BLOCK 100 STREAMS a $ -> 2 ms",
    "XREAD COUNT 2 block 100 STREAMS a $ -> 4 ms",
    "XREAD BLOCK 1 COUNT 2 BLOCK 3 STREAMS a $ -> 6 ms",
    "XREAD COUNT BLOCK BLOCK 0 STREAMS a $ -> 4 ms",
    "XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS a > -> 6 ms",
    "XREADGROUP GROUP block 5 BLOCK 7 STREAMS a > -> 5 ms",
    "XREADGROUP GROUP block 5 STREAMS a > -> none",
    "XREAD STREAMS BLOCK 5 -> none",
    "XREAD STREAMS a 0 -> none",
    "XREAD COUNT 1 BLOCK -> none",
    "BLPOP -> none",
    "BLMPOP -> none",
    "WAIT 1 -> none",
    "LPOP a -> none",
    "SORT a BY BLOCK 5 -> none",
};

TEST(BlockingTimeout, OfRequests) {
  CommandMaker maker;
  for (std::string_view line : kTimeoutsOfRequests) {
    size_t arrow = line.find(" -> ");
    Words words = split_words(line.substr(0, arrow));
    EXPECT_EQ(timeout_told(maker, *spec_of(words), words), line.substr(arrow + 4)) << line;
  }
}

TEST(BlockingTimeout, EveryBlockingCommandIsTried) {
  std::set<std::string_view> tried;
  for (std::string_view line : kTimeoutsOfRequests) tried.insert(spec_of(split_words(line))->name);
  for (const CommandSpec& spec : all_commands()) {
    EXPECT_TRUE(spec.handling != Handling::kBlocking || tried.count(spec.name) == 1) << spec.name;
  }
}

TEST(BlockingTimeout, OfACommandThatTheTableLacksIsNotKnown) {
  auto made = UnlistedCommand::from_command_info(
      ReplyView("*7\r\n$7\r\nfoo.pop\r\n:-3\r\n*1\r\n+blocking\r\n:1\r\n:-2\r\n:1\r\n*0\r\n"));
  ASSERT_NE(made, nullptr);
  ASSERT_EQ(made->spec().handling, Handling::kBlocking);
  CommandMaker maker;
  EXPECT_EQ(timeout_told(maker, made->spec(), {"foo.pop", "a", "0"}), "none");
  EXPECT_EQ(timeout_told(maker, made->spec(), {"foo.pop", "BLOCK", "0"}), "none");
}

TEST(UnlistedCommand, OfASixthFieldOnly) {
  auto made = UnlistedCommand::from_command_info(
      ReplyView("*6\r\n$8\r\nFoo.BAR1\r\n:-3\r\n*2\r\n+write\r\n+movablekeys\r\n:2\r\n:-1\r\n:2\r\n"));
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->spec().name, "foo.bar1");
  EXPECT_EQ(made->spec().handling, Handling::kForward);
  EXPECT_EQ(made->spec().id, kUnlistedCommand);
  EXPECT_TRUE(keys_may_hide(made->spec()));
  CommandMaker maker;
  EXPECT_EQ(keys_told(maker, made->spec(), {"foo.bar1", "x", "a", "1", "b", "2"}), "a b");
}

TEST(UnlistedCommand, BlocksIfItsFlagsSaySo) {
  auto made = UnlistedCommand::from_command_info(
      ReplyView("*7\r\n$3\r\nfoo\r\n:2\r\n*1\r\n+blocking\r\n:1\r\n:1\r\n:1\r\n*1\r\n+@read\r\n"));
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(made->spec().handling, Handling::kBlocking);
  EXPECT_EQ(made->spec().categories, 2u);
  EXPECT_FALSE(keys_may_hide(made->spec()));
}

TEST(UnlistedCommand, KeywordFromTheEndAndStepsOfKeyCounts) {
  KeySpec keyword{KeySpec::Begin::kKeyword, KeySpec::Find::kRange, 0, -2, "Keys", -1, 1, 0, 0, 0};
  KeySpec counted{KeySpec::Begin::kIndex, KeySpec::Find::kKeyNum, 0, 1, "", 0, 2, 0, 0, 1};
  CommandMaker maker;
  auto keys = [&](const KeySpec& key, std::string_view words) {
    CommandSpec spec{};
    spec.keys = {&key, 1};
    return keys_told(maker, spec, split_words(words));
  };
  EXPECT_EQ(keys(keyword, "x keys a KEYS b c"), "b c");
  EXPECT_EQ(keys(keyword, "x keys"), "false");
  EXPECT_EQ(keys(keyword, "keys"), "false");
  EXPECT_EQ(keys(counted, "x 2 a 1 b 2"), "a b");
  EXPECT_EQ(keys(counted, "x 2 a 1"), "false");
  counted.step = 0;
  EXPECT_EQ(keys(counted, "x 1 a"), "false");
  counted.step = 1, counted.keynum = -5;
  EXPECT_EQ(keys(counted, "x 1 a"), "false");
}

TEST(UnlistedCommand, OtherRepliesAreRefused) {
  for (std::string_view bytes : {"*-1\r\n", "$-1\r\n", "+OK\r\n", "*0\r\n", "*2\r\n$3\r\nfoo\r\n:1\r\n",
                                 "*6\r\n$3\r\nfoo\r\n$1\r\nx\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
                                 "*6\r\n$3\r\nfoo\r\n:99999\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
                                 "*6\r\n$3\r\nfoo\r\n:1\r\n+write\r\n:0\r\n:0\r\n:0\r\n"})
    EXPECT_EQ(UnlistedCommand::from_command_info(ReplyView(bytes)), nullptr) << bytes;
}

}  // namespace
}  // namespace corral::test

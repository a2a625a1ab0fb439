// Holds find_keys against COMMAND GETKEYS of a real redis-server: requests of every form, and random ones.
#include <gtest/gtest.h>

#include "command_maker.h"
#include "command_reply.h"
#include "random_requests.h"
#include "support/redis.h"

namespace corral::test {
namespace {

using namespace resp;

// Where find_keys deliberately tells something else than COMMAND GETKEYS, and why.
struct Difference {
  std::string_view request, ours, theirs;
};
constexpr Difference kDifferences[] = {
    // Refused by the command itself: not cut into parts, not sent by the slot of a half.
    {"MSET a 1 b", "false", "a b"},
    {"MSETNX a 1 b", "false", "a b"},
    {"XREAD STREAMS a b c", "false", "a"},
    // The server falls back to atoi or cuts the number to 32 bits, the command refuses.
    {"ZDIFF 1.5 a", "false", "a"},
    {"ZUNION 4294967297 a", "false", "a"},
    {"EVAL s 2abc a b", "false", "a b"},
    {"EVAL s 02 a b", "false", "a b"},
    {"EVAL s +2 a b", "false", "a b"},
    // A request without sources is valid, the server's own routing finds the destination.
    {"PFMERGE d", "d", "false"},
    // Words that are arguments of other words.
    {"XREAD COUNT STREAMS STREAMS a 0", "a", "STREAMS"},
    {"XREADGROUP COUNT 1 GROUP STREAMS c STREAMS a >", "a", "c STREAMS"},
    {"GEORADIUS k 1 2 3 m COUNT STORE STORE d", "k d", "k STORE"},
    {"SORT k STORE store x", "k store", "k x"},
    // The last one counts, as it does when the command runs.
    {"GEORADIUS k 1 2 3 m STORE a STORE b", "k b", "k a"},
    {"GEORADIUS k 1 2 3 m STORE a STOREDIST b", "k b", "k a b"},
    {"GEORADIUSBYMEMBER k m 3 m STOREDIST b STORE a", "k a", "k a b"},
    // Channels have a slot as keys have, but are none.
    {"SPUBLISH c m", "c", "false"},
    {"SSUBSCRIBE c d", "c d", "false"},
    // The server means "no mandatory keys" (an empty array); the command refuses.
    {"EVAL s -1 a", "false", ""},
    {"EVAL s 3 a", "false", ""},
    {"EVAL_RO s x a", "false", ""},
    {"FCALL f 99999999999999999999 a", "false", ""},
    {"FCALL_RO f 2147483647 a", "false", ""},
    {"EVALSHA s '' a", "false", ""},
};

constexpr std::string_view kRequests[] = {
    "GET a",
    "SET a b EX 10 GET",
    "GETEX a PERSIST",
    "MGET a b a",
    "MSET a 1 b 2",
    "MSETNX a 1 b 2",
    "DEL a b c",
    "UNLINK a",
    "EXISTS a a",
    "TOUCH a b",
    "RENAME a b",
    "RENAMENX a b",
    "COPY a b DB 1 REPLACE",
    "MOVE a 1",
    "EVAL s 0",
    "EVAL s 0 a",
    "EVAL s 2 a b c d",
    "EVALSHA s 1 a",
    "EVAL_RO s 1 a b",
    "EVALSHA_RO s 1 a b",
    "FCALL f 2 a b c",
    "FCALL_RO f 0",
    "XREAD STREAMS a 0",
    "XREAD COUNT 2 BLOCK 0 STREAMS a b c 0 0 0",
    "XREADGROUP GROUP g c STREAMS a >",
    "XREADGROUP GROUP streams c NOACK STREAMS a b > >",
    "XREAD COUNT 1 BLOCK 2",
    "XADD a MAXLEN ~ 10 * f v",
    "XGROUP CREATE a g 0 MKSTREAM",
    "XGROUP DESTROY a g",
    "XINFO STREAM a FULL COUNT 1",
    "XINFO GROUPS a",
    "XGROUP HELP",
    "XAUTOCLAIM a g c 0 0",
    "SORT k",
    "SORT k BY w_* LIMIT 0 5 GET # GET d_* ALPHA",
    "SORT k BY store GET store LIMIT store store STORE d",
    "SORT k STORE a DESC STORE b",
    "SORT k STORE",
    "SORT_RO k BY w GET STORE",
    "GEORADIUS k 1 2 3 m",
    "GEORADIUS k 1 2 3 m COUNT 1 ANY STORE d",
    "GEORADIUS k 1 2 3 m WITHCOORD ASC STOREDIST d",
    "GEORADIUSBYMEMBER k m 3 m STORE d",
    "GEORADIUS_RO k 1 2 3 m",
    "GEORADIUSBYMEMBER_RO k m 3 m",
    "GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m STOREDIST",
    "GEOSEARCH s FROMMEMBER m BYRADIUS 1 m",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
    "ZINTERSTORE d 1 a",
    "ZDIFFSTORE d 2 a b",
    "ZUNION 2 a b WITHSCORES",
    "ZINTER 1 a",
    "ZDIFF 3 a b c",
    "ZINTERCARD 2 a b LIMIT 3",
    "SINTERCARD 1 a LIMIT 2",
    "ZRANGESTORE d s 0 -1",
    "MIGRATE h 1 k 0 5",
    "MIGRATE h 1 '' 0 5",
    "MIGRATE h 1 '' 0 5 KEYS a b c",
    "MIGRATE h 1 '' 0 5 COPY REPLACE AUTH keys KEYS a",
    "MIGRATE h 1 '' 0 5 AUTH2 keys keys KEYS a",
    "MIGRATE h 1 k 0 5 AUTH keys",
    "MIGRATE h 1 k 0 5 KEYS a b",
    "LMPOP 2 a b LEFT COUNT 2",
    "BLMPOP 1 2 a b RIGHT",
    "ZMPOP 1 a MIN",
    "BZMPOP 0.5 2 a b MAX COUNT 3",
    "OBJECT ENCODING a",
    "OBJECT FREQ a",
    "OBJECT HELP",
    "MEMORY USAGE a SAMPLES 5",
    "MEMORY DOCTOR",
    "BITOP NOT d a",
    "BITOP AND d a b c",
    "BITFIELD a GET u8 0 SET u8 0 1",
    "BITFIELD_RO a GET u8 0",
    "LCS a b IDX",
    "SMOVE a b m",
    "LMOVE a b LEFT RIGHT",
    "BLMOVE a b LEFT RIGHT 0",
    "RPOPLPUSH a b",
    "BRPOPLPUSH a b 0",
    "PFCOUNT a b",
    "PFMERGE d a b",
    "PFADD a x",
    "PFDEBUG ENCODING a",
    "BLPOP a 0",
    "BLPOP a b c 0",
    "BRPOP a b 0",
    "BZPOPMIN a b 0",
    "BZPOPMAX a 0",
    "SDIFF a b",
    "SUNIONSTORE d a b",
    "SINTERSTORE d a",
    "SDIFFSTORE d a b c",
    "WATCH a b",
    "HSET a f v",
    "RESTORE a 0 v REPLACE",
    "RESTORE-ASKING a 0 v",
    "CONFIG GET a",
    "WAIT 1 0",
    "DEBUG OBJECT a",
    "PING a",
    "CLUSTER KEYSLOT a",
    "PUBLISH c m",
    "SUBSCRIBE c",
    // Malformed.
    "ZUNION 0 a",
    "ZUNION 3 a b",
    "ZUNION -1 a",
    "ZUNION x a",
    "ZUNION 99999999999999999999 a",
    "ZUNION 2147483648 a",

    "ZUNIONSTORE d 0 a",
    "ZUNIONSTORE d 2 a",
    "ZUNIONSTORE d x a",
    "LMPOP 2 a LEFT",
    "LMPOP '' a b",
    "BLMPOP 0 0 a LEFT",
    "BZMPOP 0 9 a MIN",
    "SINTERCARD 5 a b",
    "ZINTERCARD -5 a",

    "XREAD a b c",
    "XREAD COUNT 1 STREAMS",
    "XREADGROUP GROUP g c COUNT 1 STREAMS",
    "XREADGROUP GROUP g c a b c",
};

/// COMMAND GETKEYS of each: the keys, or "false" for any error. GETKEYSANDFLAGS has to name the same keys.
Words keys_of_server(RedisServer& server, const std::vector<Words>& requests) {
  std::vector<Args> questions;
  for (const char* how : {"GETKEYS", "GETKEYSANDFLAGS"}) {
    for (const Words& words : requests) {
      questions.push_back({"COMMAND", how});
      questions.back().insert(questions.back().end(), words.begin(), words.end());
    }
  }
  std::vector<Reply> replies = server.connect().pipeline(questions);
  Words answers;
  for (size_t i = 0; i < requests.size(); i++) {
    Words keys, keys_with_flags;
    for (const Reply& key : replies[i].elements) keys.push_back(key.text);
    for (const Reply& key : replies[requests.size() + i].elements) keys_with_flags.push_back(key.elements.at(0).text);
    EXPECT_EQ(keys, keys_with_flags) << joined(requests[i]);
    answers.push_back(replies[i].is_array() ? joined(keys) : "false");
  }
  return answers;
}

TEST(FindKeysAndServer, FindTheSameKeys) {
  RedisServer server;
  CommandMaker maker;
  std::vector<Words> requests;
  for (std::string_view request : kRequests) requests.push_back(split_words(request));
  Words theirs = keys_of_server(server, requests);
  for (size_t i = 0; i < requests.size(); i++) {
    std::string ours = keys_told(maker, *spec_of(requests[i]), requests[i]);
    // A command that has no keys is an error to GETKEYS.
    if (spec_of(requests[i])->keys.empty()) {
      EXPECT_EQ(ours + theirs[i], "false") << kRequests[i];
    } else {
      EXPECT_EQ(ours, theirs[i]) << kRequests[i];
    }
  }
}

TEST(FindKeysAndServer, DifferWhereTheyMust) {
  RedisServer server;
  CommandMaker maker;
  for (const Difference& difference : kDifferences) {
    Words words = split_words(difference.request);
    EXPECT_EQ(keys_told(maker, *spec_of(words), words), difference.ours) << difference.request;
    EXPECT_EQ(keys_of_server(server, {words})[0], difference.theirs) << difference.request;
  }
}

/// Commands and subcommands whose keys GETKEYS tells.
std::vector<const CommandSpec*> specs_with_keys() {
  std::vector<const CommandSpec*> found;
  auto add = [&](const CommandSpec& spec) {
    bool has_keys = !spec.keys.empty() && (spec.keys[0].flags & kKeyNotKey) == 0;
    if (has_keys) found.push_back(&spec);
  };
  for (const CommandSpec& spec : all_commands()) {
    add(spec);
    for (const CommandSpec& subcommand : spec.subcommands) add(subcommand);
  }
  return found;
}

TEST(FindKeysAndServer, FindTheSameKeysInRandomRequests) {
  RandomRequests random("FindTheSameKeysInRandomRequests");
  RedisServer server;
  CommandMaker maker;
  for (const CommandSpec* spec : specs_with_keys()) {
    std::vector<Words> requests;
    while (requests.size() < 60) requests.push_back(random.of(*spec));
    Words theirs = keys_of_server(server, requests);
    for (size_t i = 0; i < requests.size(); i++) {
      std::string ours = keys_told(maker, *spec, requests[i]);
      // Of a script whose number of keys makes no sense the server tells no keys.
      if (ours == "false" && spec->is(kFlagNoMandatoryKeys)) ours = "";
      EXPECT_EQ(ours, theirs[i]) << joined(requests[i]);
    }
  }
}

TEST(UnlistedCommandAndServer, FindTheKeysThatTheTableFinds) {
  RandomRequests random("FindTheKeysThatTheTableFinds");
  RedisServer server;
  CommandMaker maker;
  std::string bytes = command_reply(server, "2");
  for (const ReplyView& element : ReplyView(bytes).elements()) {
    auto made = UnlistedCommand::from_command_info(element);
    ASSERT_NE(made, nullptr);
    const CommandSpec* known = find_command(made->spec().name);
    if (!known || declared_keys(*known).data() != known->keys.data()) continue;  // these have keys by hand
    for (int i = 0; i < 20; i++) {
      Words words = random.of(*known);
      EXPECT_EQ(keys_told(maker, made->spec(), words), keys_told(maker, *known, words)) << joined(words);
    }
  }
}

}  // namespace
}  // namespace corral::test

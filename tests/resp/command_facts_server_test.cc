// Holds the command table against a real redis-server: every fact of COMMAND in both directions, the keys of many
// requests against COMMAND GETKEYS, and what UnlistedCommand makes of COMMAND INFO. With a server of another version
// than the table's the first test says what differs.
#include <gtest/gtest.h>

#include <map>

#include "command_maker.h"
#include "command_reply.h"
#include "support/redis.h"

namespace corral::test {
namespace {

using namespace resp;

constexpr std::string_view kCommandFlags[] = {"write",    "readonly",     "denyoom",       "admin",
                                              "pubsub",   "noscript",     "blocking",      "loading",
                                              "stale",    "skip_monitor", "skip_slowlog",  "asking",
                                              "fast",     "no_auth",      "may_replicate", "no_mandatory_keys",
                                              "no_multi", "movablekeys",  "allow_busy",    "no_async_loading"};
constexpr std::string_view kKeyFlags[] = {"RO",     "RW",     "OW",      "RM",         "access",        "update",
                                          "insert", "delete", "not_key", "incomplete", "variable_flags"};

std::string sorted_and_joined(Words words) {
  std::sort(words.begin(), words.end());
  return joined(words);
}

Words words_of_bits(uint32_t bits, std::span<const std::string_view> names, const std::string& prefix = "") {
  Words words;
  for (size_t i = 0; i < 32; i++)
    if (bits >> i & 1)
      words.push_back(prefix + (i < names.size() ? std::string(names[i]) : "bit " + std::to_string(i)));
  return words;
}

std::string numbers(std::initializer_list<int64_t> values) {
  std::string text;
  for (int64_t value : values) text.append(" ").append(std::to_string(value));
  return text;
}

// Facts as text, of a spec and of the server's own reply: what differs can be read.

std::string facts_of(const KeySpec& key) {
  std::string text = "\n  key " + sorted_and_joined(words_of_bits(key.flags, kKeyFlags));
  if (key.begin == KeySpec::Begin::kIndex) text += ", index" + numbers({key.begin_at});
  if (key.begin == KeySpec::Begin::kKeyword) text += ", keyword " + std::string(key.keyword) + numbers({key.begin_at});
  if (key.begin == KeySpec::Begin::kUnknown) text += ", unknown";
  if (key.find == KeySpec::Find::kRange) text += ", range" + numbers({key.last, key.step, key.limit});
  if (key.find == KeySpec::Find::kKeyNum) text += ", keynum" + numbers({key.keynum, key.first_key, key.step});
  if (key.find == KeySpec::Find::kUnknown) text += ", unknown";
  return text;
}

std::string facts_of(const CommandSpec& spec) {
  std::string text(spec.name);
  text +=
      ", arity" + numbers({spec.arity}) + "\n  flags " + sorted_and_joined(words_of_bits(spec.flags, kCommandFlags));
  text += "\n  in " + sorted_and_joined(words_of_bits(spec.categories, kCategoryNames, "@"));
  text += "\n  keys" + numbers({spec.first_key, spec.last_key, spec.key_step});
  for (const KeySpec& key : declared_keys(spec)) text += facts_of(key);
  return text;
}

const Reply& member(const Reply& map, const std::string& name) {
  for (size_t i = 0; i + 1 < map.elements.size(); i += 2)
    if (map.elements[i].text == name) return map.elements[i + 1];
  throw std::runtime_error("no member " + name + " in " + to_string(map));
}

std::string facts_of_search(const Reply& search, const std::vector<const char*>& names) {
  std::string text = ", " + member(search, "type").text;
  for (const char* name : names) {
    const Reply& value = member(member(search, "spec"), name);
    text.append(" ").append(value.type == Reply::Type::kInteger ? std::to_string(value.integer) : value.text);
  }
  return text;
}

std::string facts_of_key(const Reply& key) {
  static const std::map<std::string, std::vector<const char*>> kMembers = {
      {"unknown", {}},
      {"index", {"index"}},
      {"keyword", {"keyword", "startfrom"}},
      {"range", {"lastkey", "keystep", "limit"}},
      {"keynum", {"keynumidx", "firstkey", "keystep"}}};
  std::string text = "\n  key " + sorted_and_joined(member(key, "flags").strings());
  for (const char* search : {"begin_search", "find_keys"})
    text += facts_of_search(member(key, search), kMembers.at(member(member(key, search), "type").text));
  return text;
}

std::string facts_of(const Reply& info) {
  const std::vector<Reply>& fields = info.elements;
  std::string text = fields.at(0).text + ", arity" + numbers({fields.at(1).integer}) + "\n  flags ";
  text += sorted_and_joined(fields.at(2).strings()) + "\n  in " + sorted_and_joined(fields.at(6).strings());
  text += "\n  keys" + numbers({fields.at(3).integer, fields.at(4).integer, fields.at(5).integer});
  for (const Reply& key : fields.at(8).elements) text += facts_of_key(key);
  return text;
}

/// By name, subcommands too.
std::map<std::string, std::string> facts_of_server(const Reply& commands) {
  std::map<std::string, std::string> all;
  for (const Reply& info : commands.elements) {
    all[info.elements.at(0).text] = facts_of(info);
    for (const Reply& subcommand : info.elements.at(9).elements)
      all[subcommand.elements.at(0).text] = facts_of(subcommand);
  }
  return all;
}

std::map<std::string, std::string> facts_of_all(std::span<const CommandSpec> specs) {
  std::map<std::string, std::string> all;
  for (const CommandSpec& spec : specs) {
    all[std::string(spec.name)] = facts_of(spec);
    all.merge(facts_of_all(spec.subcommands));
  }
  return all;
}

TEST(CommandTableAndServer, SayTheSameOfEveryCommand) {
  RedisServer server;
  std::map<std::string, std::string> theirs = facts_of_server(server.command("COMMAND"));
  std::map<std::string, std::string> ours = facts_of_all(all_commands());
  for (std::string_view name : kBeyondRedis70) EXPECT_EQ(ours.erase(std::string(name)), 1u) << name;
  ASSERT_GT(theirs.size(), 300u);
  for (const auto& [name, facts] : theirs) EXPECT_EQ(ours[name], facts);
  for (const auto& [name, facts] : ours) EXPECT_EQ(facts, theirs[name]);
}

TEST(CommandTableAndServer, NameTheSameCategories) {
  RedisServer server;
  EXPECT_EQ(server.command("ACL", "CAT").strings(), Words(kCategoryNames.begin(), kCategoryNames.end()));
}

TEST(UnlistedCommandAndServer, MakeTheTablesOwnSpecs) {
  RedisServer server;
  for (const char* resp : {"2", "3"}) {
    std::string bytes = command_reply(server, resp);
    std::vector<ReplyView> elements = ReplyView(bytes).elements();
    ASSERT_GT(elements.size(), 200u);
    for (const ReplyView& element : elements) {
      auto made = UnlistedCommand::from_command_info(element);
      ASSERT_NE(made, nullptr);
      const CommandSpec* known = find_command(made->spec().name);
      ASSERT_NE(known, nullptr) << made->spec().name;
      std::map<std::string, std::string> ours = facts_of_all({known, 1});
      for (std::string_view name : kBeyondRedis70) ours.erase(std::string(name));
      EXPECT_EQ(facts_of_all({&made->spec(), 1}), ours);
      EXPECT_EQ(made->spec().handling, made->spec().is(kFlagBlocking) ? Handling::kBlocking : Handling::kForward);
    }
  }
}

}  // namespace
}  // namespace corral::test

// Random users and random requests: what a real redis-server's ACL DRYRUN says, word for word.
#include <gtest/gtest.h>

#include "acl_support.h"
#include "random_requests.h"
#include "support/redis.h"

namespace corral::test {
namespace {

using policy::AclUser;

class RandomRules {
 public:
  explicit RandomRules(std::mt19937_64& random) : random_(random) {
    for (const resp::CommandSpec& spec : resp::all_commands()) {
      if (is_own(spec)) continue;
      names_.emplace_back(spec.name);
      for (const resp::CommandSpec& sub : spec.subcommands) {
        if (!is_own(sub)) names_.emplace_back(sub.name);
      }
    }
  }

  static bool is_own(const resp::CommandSpec& spec) {
    const auto& own = resp::kBeyondRedis70;
    return std::find(own.begin(), own.end(), spec.name) != own.end();
  }

  Args user() {
    Args rules = {"reset"};
    add_selector(rules);
    for (size_t more = below(random_, 3); more > 0; --more) {
      Args inner;
      add_selector(inner);
      std::string selector = "(";
      for (const std::string& rule : inner) selector += (selector.size() > 1 ? " " : "") + rule;
      rules.push_back(selector + ")");
    }
    return rules;
  }

 private:
  // Keys are "3k" and "3{0}", by their place; see RandomRequests.
  void add_selector(Args& rules) {
    static const char* const kKeys[] = {"~*k", "~*0}", "%R~1*", "%W~2*", "%RW~3k",
                                        "~1k", "%R~*", "%W~*",  "~?k",   "~[1-3]*"};
    if (below(random_, 4) == 0) {
      rules.push_back(below(random_, 2) ? "~*" : "resetkeys");
    } else {
      for (size_t count = 1 + below(random_, 3); count > 0; --count)
        rules.push_back(kKeys[below(random_, std::size(kKeys))]);
    }
    static const char* const kChannels[] = {"&*k", "&1k", "&*", "resetchannels", "&?{0}"};
    rules.push_back(kChannels[below(random_, std::size(kChannels))]);
    if (below(random_, 2)) rules.push_back("+@all");
    for (size_t count = below(random_, 6); count > 0; --count) add_command(rules);
  }

  void add_command(Args& rules) {
    const std::string sign = below(random_, 3) ? "+" : "-";
    const auto& categories = resp::kCategoryNames;
    if (below(random_, 2)) {
      rules.push_back(sign + "@" + std::string(categories[below(random_, categories.size())]));
    } else if (below(random_, 8) == 0) {
      rules.push_back("+get|1k");
    } else {
      rules.push_back(sign + names_[below(random_, names_.size())]);
    }
  }

  std::mt19937_64& random_;
  std::vector<std::string> names_;
};

// What find_keys takes for nonsense is refused here, and there by the command.
bool makes_sense(const resp::CommandSpec& spec, const Words& words) {
  CommandMaker maker;
  std::vector<uint32_t> indexes;
  return resp::find_keys(spec, maker.make(words), indexes);
}

TEST(AclAndServer, SayTheSameOfRandomUsersAndRequests) {
  auto random = seeded_generator("AclAndServer");
  RandomRequests requests("AclAndServer");
  RandomRules rules(random);
  RedisServer server;
  Client client = server.connect();
  std::vector<const resp::CommandSpec*> specs;
  for (const resp::CommandSpec& spec : resp::all_commands()) {
    if (spec.subcommands.empty() && !RandomRules::is_own(spec)) specs.push_back(&spec);
    for (const resp::CommandSpec& sub : spec.subcommands) {
      if (!RandomRules::is_own(sub)) specs.push_back(&sub);
    }
  }
  size_t refused = 0, allowed = 0;
  for (int round = 0; round < 60; ++round) {
    const Args user_rules = rules.user();
    AclUser user("u");
    for (const std::string& rule : user_rules) ASSERT_EQ(user.apply(rule), "") << rule;
    Args set = {"ACL", "SETUSER", "u"};
    set.insert(set.end(), user_rules.begin(), user_rules.end());
    ASSERT_EQ(client.command(set), Reply::status("OK")) << joined(set);
    std::vector<Words> asked;
    std::vector<Args> questions;
    for (const auto* spec : specs) {
      const Words words = requests.of(*spec);
      if (!spec->arity_fits(words.size()) || !makes_sense(*spec, words)) continue;
      asked.push_back(words);
      questions.push_back({"ACL", "DRYRUN", "u"});
      questions.back().insert(questions.back().end(), words.begin(), words.end());
    }
    const auto replies = client.pipeline(questions);
    for (size_t i = 0; i < asked.size(); ++i) {
      ASSERT_EQ(dry_run(user, asked[i]), replies[i].text) << joined(asked[i]) << "\n" << joined(user_rules);
      ++(replies[i].text == "OK" ? allowed : refused);
    }
    // What is told of a user makes the same user there.
    Args again = {"ACL", "SETUSER", "u", "reset"};
    const Words told = split_words(user.describe());
    again.insert(again.end(), told.begin(), told.end());
    ASSERT_EQ(client.command(again), Reply::status("OK")) << user.describe();
    EXPECT_EQ(client.pipeline(questions), replies) << user.describe() << "\n" << joined(user_rules);
  }
  EXPECT_GT(refused, 2000u);
  EXPECT_GT(allowed, 2000u);
}

TEST(AclAndServer, SayTheSameOfRulesThatAreNone) {
  RedisServer server;
  Client client = server.connect();
  for (const char* rule : {"+nosuch",
                           "-nosuch",
                           "+@nosuch",
                           "+",
                           "-",
                           "+config|",
                           "+get|",
                           "-select|0",
                           "+config|get|x",
                           "+get|x|y",
                           "+config|nosuch",
                           "-config|nosuch",
                           "nonsense",
                           "%~a",
                           "%Q~a",
                           "%RR~a",
                           "~a b",
                           "&a b",
                           "#123",
                           "!123",
                           "<nope",
                           "(on)",
                           "(+nosuch)",
                           "(~* ~a)",
                           "(&* &a)",
                           "(",
                           ")",
                           "on"}) {
    client.command("ACL", "SETUSER", "u", "reset");
    const Reply reply = client.command("ACL", "SETUSER", "u", rule);
    AclUser user("u");
    const std::string error(user.apply(rule));
    if (std::string(rule) == "(") continue;  // a matter of the line there
    EXPECT_EQ(reply.is_error(), !error.empty()) << rule << ": " << reply;
    if (reply.is_error()) {
      EXPECT_EQ(reply.text, "ERR Error in ACL SETUSER modifier '" + std::string(rule) + "': " + error);
    }
  }
}

}  // namespace
}  // namespace corral::test

// Users in Redis' ACL syntax: what each rule does, what is wrong with those that are none, and that no password shows.
// What is allowed is also held against a real server, in acl_server_test.cc.
#include "policy/acl.h"

#include <gtest/gtest.h>

#include <set>

#include "acl_support.h"
#include "policy/password.h"
#include "support.h"

namespace corral::test {
namespace {

using policy::Acl;
using policy::AclLine;
using policy::AclUser;

constexpr std::string_view kHash = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";  // of "pw"

std::string error_of(std::string_view rules) { return Acl().add("user u " + std::string(rules)); }

TEST(Password, IsHashedAsRedisDoes) {
  EXPECT_EQ(policy::hash_password("pw"), kHash);
  EXPECT_EQ(policy::hash_password(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_TRUE(policy::is_password_hash(kHash));
  EXPECT_FALSE(policy::is_password_hash(std::string(64, 'A')));
  EXPECT_FALSE(policy::is_password_hash(std::string(63, 'a')));
  EXPECT_TRUE(policy::same_hash(kHash, policy::hash_password("pw")));
  EXPECT_FALSE(policy::same_hash(kHash, policy::hash_password("pW")));
  EXPECT_FALSE(policy::same_hash(kHash, ""));
}

TEST(AclUser, AsItIsMadeMayDoNothing) {
  const AclUser user = make_user("");
  EXPECT_FALSE(user.enabled());
  EXPECT_FALSE(user.accepts(""));
  EXPECT_EQ(user.describe(), "off sanitize-payload resetchannels -@all");
  EXPECT_EQ(dry_run(user, "PING"), "This user has no permissions to run the 'ping' command");
  EXPECT_EQ(dry_run(user, "AUTH x"), "OK") << "who may do nothing may become another";
  EXPECT_EQ(dry_run(user, "QUIT"), "OK");
}

TEST(AclUser, PasswordsComeAndGo) {
  EXPECT_TRUE(make_user("on >pw").accepts("pw"));
  EXPECT_FALSE(make_user("on >pw").accepts("pw "));
  EXPECT_FALSE(make_user("off >pw").accepts("pw"));
  EXPECT_TRUE(make_user("on >a >pw").accepts("pw"));
  EXPECT_TRUE(make_user("on sanitize-payload #" + std::string(kHash)).accepts("pw"));
  EXPECT_FALSE(make_user("on >pw <pw").accepts("pw"));
  EXPECT_FALSE(make_user("on >pw !" + std::string(kHash)).accepts("pw"));
  EXPECT_FALSE(make_user("on").accepts(""));
  EXPECT_TRUE(make_user("on nopass").accepts("anything"));
  EXPECT_FALSE(make_user("on nopass >pw").accepts("anything"));
  EXPECT_FALSE(make_user("on >pw resetpass").accepts("pw"));
  EXPECT_TRUE(make_user("on \">with blank\"").accepts("with blank"));
  EXPECT_TRUE(make_user("on >\"with \\\"blank\\\"\"").accepts("with \"blank\""));
  EXPECT_EQ(make_user("on >pw >pw").passwords().size(), 1u);
  EXPECT_FALSE(make_user("on >pw off on reset").accepts("pw"));
}

TEST(AclUser, CommandsAreAllowedByNameSubcommandCategoryAndFirstArgument) {
  const AclUser user = make_user("~* &* +@hash -hdel +CONFIG|get +select|0 +Client -client|kill");
  EXPECT_EQ(dry_run(user, "HGET a f"), "OK");
  EXPECT_EQ(dry_run(user, "HDEL a f"), "This user has no permissions to run the 'hdel' command");
  EXPECT_EQ(dry_run(user, "GET a"), "This user has no permissions to run the 'get' command");
  EXPECT_EQ(dry_run(user, "CONFIG GET a"), "OK");
  EXPECT_EQ(dry_run(user, "CONFIG SET a b"), "This user has no permissions to run the 'config|set' command");
  EXPECT_EQ(dry_run(user, "SELECT 0"), "OK");
  EXPECT_EQ(dry_run(user, "SELECT 1"), "This user has no permissions to run the 'select' command");
  EXPECT_EQ(dry_run(user, "CLIENT LIST"), "OK");
  EXPECT_EQ(dry_run(user, "CLIENT KILL x"), "This user has no permissions to run the 'client|kill' command");
  EXPECT_EQ(dry_run(make_user("+select|0 -@connection"), "SELECT 0"),
            "This user has no permissions to run the 'select' command");
  EXPECT_EQ(dry_run(make_user("+@all -@dangerous"), "FLUSHALL"),
            "This user has no permissions to run the 'flushall' command");
  EXPECT_EQ(dry_run(make_user("allcommands nocommands +ping"), "PING"), "OK");
}

TEST(AclUser, KeysAreAllowedToReadAndToWrite) {
  const AclUser user = make_user("+@all ~both:* %R~read:* %W~write:* %RW~rw:*");
  EXPECT_EQ(dry_run(user, "GET both:1"), "OK");
  EXPECT_EQ(dry_run(user, "SET both:1 v"), "OK");
  EXPECT_EQ(dry_run(user, "GET read:1"), "OK");
  EXPECT_EQ(dry_run(user, "SET read:1 v"), "This user has no permissions to access the 'read:1' key");
  EXPECT_EQ(dry_run(user, "SET write:1 v"), "OK");
  EXPECT_EQ(dry_run(user, "GET write:1"), "This user has no permissions to access the 'write:1' key");
  EXPECT_EQ(dry_run(user, "SET write:1 v GET"), "This user has no permissions to access the 'write:1' key");
  EXPECT_EQ(dry_run(user, "SET rw:1 v GET"), "OK");
  EXPECT_EQ(dry_run(user, "COPY read:1 write:1"), "OK");
  EXPECT_EQ(dry_run(user, "COPY write:1 read:1"), "This user has no permissions to access the 'write:1' key");
  EXPECT_EQ(dry_run(user, "MGET both:1 read:1 else"), "This user has no permissions to access the 'else' key");
  EXPECT_EQ(dry_run(user, "BITFIELD read:1 GET u8 0"), "OK");
  EXPECT_EQ(dry_run(user, "EVAL s 1 both:1"), "OK");
  EXPECT_EQ(dry_run(user, "EVAL s 2 both:1 else"), "This user has no permissions to access the 'else' key");
  EXPECT_EQ(dry_run(user, "PING"), "OK");
  EXPECT_EQ(dry_run(make_user("+@all ~x resetkeys ~y"), "GET x"), "This user has no permissions to access the 'x' key");
}

TEST(AclUser, RequestWhoseKeysMakeNoSenseIsRefusedToWhoMayNotUseAll) {
  EXPECT_NE(dry_run(make_user("+@all ~a"), "EVAL s 9 a"), "OK");
  EXPECT_NE(dry_run(make_user("+@all ~a"), "ZUNION x a"), "OK");
  EXPECT_EQ(dry_run(make_user("+@all ~*"), "ZUNION x a"), "OK");
}

TEST(AclUser, KeysThatAnOptionDescribesTakeTheRightToReadAll) {
  const auto refusal = [](std::string_view rules, std::string_view request) {
    CommandMaker maker;
    std::vector<resp::KeyUse> uses;
    const Words words = split_words(request);
    return make_user(rules).check(*spec_of(words), maker.make(words), uses).refusal;
  };
  using policy::AclRefusal;
  EXPECT_EQ(refusal("+sort ~a", "SORT a BY w_*"), AclRefusal::kNaming);
  EXPECT_EQ(refusal("+sort ~a", "SORT a GET d_*"), AclRefusal::kNaming);
  EXPECT_EQ(refusal("+sort ~a", "SORT a BY nosort"), AclRefusal::kNone);
  EXPECT_EQ(refusal("+sort ~*", "SORT a BY w_*"), AclRefusal::kNone);
  EXPECT_EQ(refusal("+sort ~a %R~*", "SORT a BY w_*"), AclRefusal::kNone);
  EXPECT_EQ(refusal("+sort ~a %W~*", "SORT a BY w_*"), AclRefusal::kNaming);
  EXPECT_EQ(refusal("+sort ~a (+get ~*)", "SORT a BY w_*"), AclRefusal::kNaming);
  EXPECT_EQ(refusal("+sort ~a (+sort %R~*)", "SORT a BY w_*"), AclRefusal::kNone);
}

TEST(AclUser, ChannelsMatchAsGlobsAndPatternsAsTheyAreWritten) {
  const AclUser user = make_user("+@all &news:* &log");
  EXPECT_EQ(dry_run(user, "SUBSCRIBE news:a log"), "OK");
  EXPECT_EQ(dry_run(user, "SUBSCRIBE news:a else"), "This user has no permissions to access the 'else' channel");
  EXPECT_EQ(dry_run(user, "PSUBSCRIBE news:*"), "OK");
  EXPECT_EQ(dry_run(user, "PSUBSCRIBE news:a*"), "This user has no permissions to access the 'news:a*' channel");
  EXPECT_EQ(dry_run(user, "SSUBSCRIBE else"), "This user has no permissions to access the 'else' channel");
  EXPECT_EQ(dry_run(user, "SPUBLISH news:1 m"), "OK") << "a channel is no key";
  EXPECT_EQ(dry_run(user, "PUBLISH else log"), "This user has no permissions to access the 'else' channel");
  EXPECT_EQ(dry_run(user, "UNSUBSCRIBE else"), "OK");
  EXPECT_TRUE(user.may_receive("news:x", false));
  EXPECT_FALSE(user.may_receive("news:x", true));
  EXPECT_FALSE(make_user("&a resetchannels").may_receive("a", false));
  EXPECT_TRUE(make_user("allchannels").may_receive("a", true));
}

TEST(AclUser, SelectorsAreTriedOneByOneAndNotMixed) {
  const AclUser user = make_user("~a +get (~b +set) (%R~c +get +set)");
  EXPECT_EQ(dry_run(user, "GET a"), "OK");
  EXPECT_EQ(dry_run(user, "SET b v"), "OK");
  EXPECT_EQ(dry_run(user, "GET c"), "OK");
  EXPECT_EQ(dry_run(user, "GET b"), "This user has no permissions to access the 'b' key");
  EXPECT_EQ(dry_run(user, "SET a v"), "This user has no permissions to access the 'a' key");
  EXPECT_EQ(dry_run(user, "SET c v"), "This user has no permissions to access the 'c' key");
  EXPECT_EQ(dry_run(user, "DEL a"), "This user has no permissions to run the 'del' command");
  EXPECT_EQ(dry_run(make_user("~a +get (~b +set) clearselectors"), "SET b v"),
            "This user has no permissions to run the 'set' command");
  EXPECT_TRUE(make_user("+get (+@all ~* &*)").unrestricted());
  EXPECT_FALSE(make_user("+@all ~* (+@all &*)").unrestricted());
}

TEST(AclUser, WhoMayDoAllIsKnownForIt) {
  EXPECT_TRUE(Acl().default_user().unrestricted());
  EXPECT_TRUE(make_user("allkeys allchannels allcommands").unrestricted());
  for (const char* rules : {"~* &* +@all -get", "~* &* +@all -@read", "~* +@all", "&* +@all", "~a &* +@all",
                            "~* &* +@all -x.y", "~* &* +@all reset"}) {
    EXPECT_FALSE(make_user(rules).unrestricted()) << rules;
  }
}

TEST(AclUser, CommandsThatTheTableLacksAreJudgedByTheLastRuleThatSpeaksOfThem) {
  const auto allows = [](std::string_view rules) {
    resp::CommandSpec spec{};
    spec.name = "json.get";
    spec.id = resp::kUnlistedCommand;
    spec.categories = 1u << 1;  // read
    CommandMaker maker;
    return make_user(rules).may_run(spec, maker.make({"JSON.GET", "a"}));
  };
  EXPECT_FALSE(allows("+get"));
  EXPECT_TRUE(allows("+@all"));
  EXPECT_TRUE(allows("+@read"));
  EXPECT_FALSE(allows("+@write"));
  EXPECT_TRUE(allows("+JSON.GET"));
  EXPECT_FALSE(allows("+@all -json.get"));
  EXPECT_FALSE(allows("+@all -@read"));
  EXPECT_TRUE(allows("-@read +json.get"));
  EXPECT_FALSE(allows("+json.get -@all"));
  EXPECT_TRUE(allows("(+json.get)"));
}

TEST(AclUser, TellsItsRulesAsTheyWouldBeGivenAgain) {
  EXPECT_EQ(make_user("on >pw ~a:* %R~b %W~c &ch +@all -@dangerous +CONFIG|get (+get ~x)").describe(),
            "on sanitize-payload #" + std::string(kHash) +
                " ~a:* %R~b %W~c resetchannels &ch +@all -@dangerous +config|get (~x resetchannels -@all +get)");
  EXPECT_EQ(Acl().default_user().describe(), "on nopass ~* &* +@all");
  EXPECT_EQ(make_user("+get -get +get +config|get +config ~a %R~a").describe(),
            "off sanitize-payload ~a resetchannels -@all +get +config");
  EXPECT_EQ(make_user("%R~a %W~a +select|0 +select|0 +@Read").describe(),
            "off sanitize-payload ~a resetchannels -@all +select|0 +@read");
}

TEST(Acl, RulesThatAreNoneAreRefusedInRedisWords) {
  constexpr std::string_view kUnknown = ": Unknown command or category name in ACL";
  for (const char* rule : {"+nosuch", "-nosuch", "+@nosuch", "-@nosuch", "+", "-", "+config|nosuch", "-config|nosuch",
                           "-select|0", "+get|x|y"}) {
    EXPECT_EQ(error_of(rule), "user 'u': '" + std::string(rule) + "'" + std::string(kUnknown));
  }
  for (const char* rule :
       {"secret", "%~a", "%Q~a", "%RR~a", "%RW", "\"~a b\"", "\"&a b\"", "(on)", "(>pw)", "(\"+get)"}) {
    const std::string error = error_of(std::string("+get ") + rule);
    EXPECT_TRUE(error == "user 'u': rule 2: Syntax error" || error == "unbalanced quotes in acl line") << rule << error;
  }
  EXPECT_EQ(error_of("+config|"), "user 'u': '+config|': Syntax error");
  EXPECT_EQ(error_of("+config|get|x"),
            "user 'u': '+config|get|x': Allowing first-arg of a subcommand is not supported");
  EXPECT_NE(error_of("~* ~a").find("Adding a pattern after the * pattern (or the 'allkeys' flag)"), std::string::npos);
  EXPECT_NE(error_of("&* &a").find("Adding a pattern after the * pattern (or the 'allchannels' flag)"),
            std::string::npos);
  EXPECT_NE(error_of("#123").find("The password hash must be exactly 64 characters"), std::string::npos);
  EXPECT_NE(error_of("<secret").find("The password you are trying to remove"), std::string::npos);
  EXPECT_NE(error_of("(+get ~a").find("Unmatched parenthesis"), std::string::npos);
  EXPECT_NE(error_of("skip-sanitize-payload"), "");
  EXPECT_EQ(error_of("sanitize-payload \"\""), "");
}

TEST(Acl, LinesThatAreNoneAreRefused) {
  Acl acl;
  for (const char* line : {"", "user", "usr a on", "alice on"}) {
    EXPECT_EQ(acl.add(line), "it should start with user keyword followed by the username") << line;
  }
  EXPECT_NE(acl.add("user \"a b\" on"), "");
  EXPECT_NE(acl.add("user \"\" on"), "");
  EXPECT_NE(acl.add("user a \"on"), "");
  EXPECT_EQ(acl.add("USER alice on"), "");
  EXPECT_EQ(acl.add("user alice off"),
            "user 'alice': Duplicate user found. A user can only be defined once in config files");
  EXPECT_EQ(acl.users().size(), 2u);
  EXPECT_TRUE(acl.find("alice")->enabled());
  EXPECT_EQ(acl.find("Alice"), nullptr);
}

TEST(Acl, NoErrorShowsWhatMayBeAPassword) {
  for (const char* rules : {"secret", ">secret secret", "<secret", "!secret", "#secret", "(>secret)", "(secret",
                            "\"secret", "~* ~secret"}) {
    const std::string error = error_of(rules);
    EXPECT_NE(error, "") << rules;
    EXPECT_EQ(error.find("secret"), std::string::npos) << error;
  }
}

TEST(Acl, DefaultUserIsWhatItsLineSays) {
  Acl acl;
  EXPECT_TRUE(acl.default_user().is_open());
  EXPECT_FALSE(acl.default_is_configured());
  EXPECT_EQ(acl.authenticate("default", "x"), &acl.default_user());
  EXPECT_EQ(acl.add("user default on >pw ~*"), "");
  EXPECT_TRUE(acl.default_is_configured());
  EXPECT_FALSE(acl.default_user().is_open());
  EXPECT_EQ(acl.default_user().describe(), "on sanitize-payload #" + std::string(kHash) + " ~* resetchannels -@all");
  EXPECT_EQ(acl.authenticate("default", "x"), nullptr);
  EXPECT_EQ(acl.authenticate("default", "pw"), &acl.default_user());
  EXPECT_EQ(acl.authenticate("nobody", "pw"), nullptr);
  EXPECT_NE(acl.add("user default off"), "");
}

TEST(AclLine, WithoutPasswordsMakesTheSameUser) {
  for (const char* rules : {"on >pw >\"a b\\x00\" ~a &b +get", "on <x", "nopass >pw <pw", "(+get   ~a) (~b\t+set)",
                            "~\"\\\"\\\\\" &\\xff", "\"(+get ~a)\" off", "( +get )", "''"}) {
    AclLine line;
    ASSERT_EQ(line.read("user \"na\\\"me\" " + std::string(rules)), "") << rules;
    const std::string hidden = line.without_passwords();
    EXPECT_EQ(hidden.find('>'), std::string::npos) << hidden;
    EXPECT_EQ(hidden.find('<'), std::string::npos) << hidden;
    AclLine again;
    ASSERT_EQ(again.read(hidden), "") << hidden;
    EXPECT_EQ(again.without_passwords(), hidden);
    Acl first, second;
    EXPECT_EQ(first.add(line), second.add(again)) << hidden;
    if (!first.find("na\"me")) continue;
    EXPECT_EQ(first.find("na\"me")->describe(), second.find("na\"me")->describe());
  }
}

// Against a naive model: the set of the names that are allowed, changed rule by rule.
class Model {
 public:
  void apply(const std::string& rule) {
    const bool allow = rule[0] == '+';
    const std::string what = rule.substr(1);
    for (const resp::CommandSpec& spec : resp::all_commands()) {
      if (what == "@all" || what == spec.name || is_in(spec, what)) change(spec, allow);
      for (const resp::CommandSpec& sub : spec.subcommands) {
        if (what == sub.name || is_in(sub, what)) change(sub, allow);
      }
    }
  }
  bool allows(std::string_view name) const { return names_.contains(std::string(name)); }

 private:
  static bool is_in(const resp::CommandSpec& spec, const std::string& what) {
    for (size_t i = 0; i < resp::kCategoryNames.size(); ++i) {
      if ((spec.categories >> i & 1) && what == "@" + std::string(resp::kCategoryNames[i])) return true;
    }
    return false;
  }
  void change(const resp::CommandSpec& spec, bool allow) {
    allow ? void(names_.emplace(spec.name)) : void(names_.erase(std::string(spec.name)));
    for (const resp::CommandSpec& sub : spec.subcommands) change(sub, allow);
  }
  std::set<std::string> names_;
};

TEST(AclModel, RandomRulesAllowTheSameCommands) {
  auto random = seeded_generator("AclModel");
  std::vector<std::string> whats = {"@all"};
  for (const std::string_view category : resp::kCategoryNames) whats.push_back("@" + std::string(category));
  std::vector<const resp::CommandSpec*> specs;
  for (const resp::CommandSpec& spec : resp::all_commands()) {
    specs.push_back(&spec);
    for (const resp::CommandSpec& sub : spec.subcommands) specs.push_back(&sub);
  }
  for (const auto* spec : specs) whats.emplace_back(spec->name);
  for (int round = 0; round < 200; ++round) {
    Model model;
    AclUser user("u");
    for (size_t rules = below(random, 8); rules > 0; --rules) {
      const bool wide = below(random, 2);  // categories are few
      const std::string rule =
          (below(random, 3) ? "+" : "-") + whats[below(random, wide ? 1 + resp::kCategoryNames.size() : whats.size())];
      ASSERT_EQ(user.apply(rule), "") << rule;
      model.apply(rule);
    }
    const AclUser again = make_user(user.describe());
    CommandMaker maker;
    for (const auto* spec : specs) {
      const bool expected = model.allows(spec->name) || spec->is(resp::kFlagNoAuth);
      const auto command = maker.make({"X", "y", "z"});
      ASSERT_EQ(user.may_run(*spec, command), expected) << spec->name << ": " << user.describe();
      ASSERT_EQ(again.may_run(*spec, command), expected) << spec->name << ": " << again.describe();
    }
  }
}

}  // namespace
}  // namespace corral::test

// Tests of config/loader.h for [[rule]]: what a rule may say, and the exact line for everything that it may not.
#include <gtest/gtest.h>

#include <string>

#include "config/loader.h"

namespace corral::config {
namespace {

std::vector<RuleSettings> rules_of(std::string_view toml) {
  const auto result = load_text(toml, "test.toml");
  EXPECT_EQ(result.error, "");
  return result ? result->rules : std::vector<RuleSettings>();
}

std::string error_of(const std::string& toml) {
  const auto result = load_text(toml, "test.toml");
  EXPECT_FALSE(result) << toml;
  return result.error;
}

// Of a rule that begins in line 1 and matches everything; `text` is in line 3.
std::string error_in_rule(const std::string& text) { return error_of("[[rule]]\nmatch = \"*\"\n" + text); }

const std::string kGlobs = "; it must be a Redis glob such as \"cache:*\", or a list of these";
const std::string kTtl = "; it must be a duration from \"1ms\" to \"36500d\" (a whole number and a unit: ms s m h d)";

TEST(LoadRules, NoneAreThereUnlessTheyAreWritten) {
  EXPECT_TRUE(rules_of("").empty());
  EXPECT_TRUE(rules_of("rule = []").empty());
}

TEST(LoadRules, EveryMemberIsTakenOver) {
  const auto rules = rules_of(R"([[rule]]
name = "pages"
match = ["cache:*", "page:*"]
ttl = { default = "10m", max = "1h", jitter = 0.25, mode = "reject" }
max_value = "1MiB")");
  EXPECT_EQ(rules, (std::vector<RuleSettings>{
                       {"pages", {"cache:*", "page:*"}, TtlSettings{600'000, 3'600'000, 0.25, "reject"}, 1u << 20}}));
}

TEST(LoadRules, WhatIsLeftOutIsOff) {
  EXPECT_EQ(rules_of("[[rule]]\nmatch = \"*\""), (std::vector<RuleSettings>{{"rule-1", {"*"}, {}, 0}}));
}

TEST(LoadRules, WhatIsLeftOutOfTheTtlHasItsDefault) {
  const TtlSettings defaults{300'000, 0, 0.1, "enforce"};
  EXPECT_EQ(rules_of("[[rule]]\nmatch = \"*\"\nttl = {}").at(0).ttl, defaults);
  EXPECT_EQ(rules_of("[[rule]]\nmatch = \"*\"\n[rule.ttl]").at(0).ttl, defaults);
}

TEST(LoadRules, InlineSubAndDottedTablesAreTheSame) {
  const auto inline_table = rules_of("[[rule]]\nmatch = \"*\"\nttl = { default = \"2s\", jitter = 1 }");
  EXPECT_EQ(inline_table.at(0).ttl, (TtlSettings{2000, 0, 1, "enforce"}));
  EXPECT_EQ(rules_of("[[rule]]\nmatch = \"*\"\n[rule.ttl]\ndefault = \"2s\"\njitter = 1"), inline_table);
  EXPECT_EQ(rules_of("[[rule]]\nmatch = \"*\"\nttl.default = \"2s\"\nttl.jitter = 1.0"), inline_table);
  EXPECT_EQ(rules_of("rule = [{ match = \"*\", ttl = { default = \"2s\", jitter = 1 } }]"), inline_table);
}

TEST(LoadRules, OrderIsThatOfTheFileAndNamesCountPlaces) {
  const auto rules =
      rules_of("[[rule]]\nmatch = \"a\"\n[[rule]]\nname = \"b\"\nmatch = \"b\"\n[[rule]]\nmatch = \"c\"");
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_EQ(rules[0].name, "rule-1");
  EXPECT_EQ(rules[1].name, "b");
  EXPECT_EQ(rules[2].name, "rule-3");
}

TEST(LoadRules, ValuesAtTheEndsOfTheirRangesAreAllowed) {
  EXPECT_EQ(rules_of("[[rule]]\nmatch=\"*\"\nttl = { default = \"1ms\", max = \"1ms\", jitter = 0 }").at(0).ttl,
            (TtlSettings{1, 1, 0, "enforce"}));
  EXPECT_EQ(rules_of("[[rule]]\nmatch=\"*\"\nttl.max = \"36500d\"").at(0).ttl->max_ms, 36'500ll * 86'400'000);
}

TEST(LoadRulesError, RulesAreAListOfSections) {
  const std::string wanted = "; it must be a list of sections, [[rule]]";
  EXPECT_EQ(error_of("\nrule = 3"), "test.toml:2: rule is 3" + wanted);
  EXPECT_EQ(error_of("[rule]\nmatch = \"*\""), "test.toml:1: rule is a table" + wanted);
  EXPECT_EQ(error_of("rule = [\n3]"), "test.toml:2: rule has 3" + wanted);
}

TEST(LoadRulesError, UnknownMembersAreNamedWithWhatThereIs) {
  EXPECT_EQ(error_in_rule("matches = \"a\""),
            "test.toml:3: unknown setting rule.matches; [[rule]] has name, match, max_value, on_upstream_error, "
            "stale_if_error, ttl, near_cache, stampede");
  EXPECT_EQ(error_in_rule("ttl = { defualt = \"1s\" }"),
            "test.toml:3: unknown setting rule.ttl.defualt; [rule.ttl] has default, max, jitter, mode");
  EXPECT_EQ(error_in_rule("[rule.tll]\n"),
            "test.toml:3: unknown setting rule.tll; [[rule]] has name, match, max_value, on_upstream_error, "
            "stale_if_error, ttl, near_cache, stampede");
}

TEST(LoadRulesError, MatchIsThereAndNeverEmpty) {
  EXPECT_EQ(error_of("\n[[rule]]\nname = \"a\""), "test.toml:2: rule.match is left out" + kGlobs);
  EXPECT_EQ(error_of("[[rule]]\nmatch = []"), "test.toml:2: rule.match is empty" + kGlobs);
  EXPECT_EQ(error_of("[[rule]]\nmatch = \"\""), "test.toml:2: rule.match is \"\"" + kGlobs);
  EXPECT_EQ(error_of("[[rule]]\nmatch = [\n\"a\",\n\"\"]"), "test.toml:4: rule.match has \"\"" + kGlobs);
  EXPECT_EQ(error_of("[[rule]]\nmatch = [\"a\", 2]"), "test.toml:2: rule.match has 2" + kGlobs);
  EXPECT_EQ(error_of("[[rule]]\nmatch = {}"), "test.toml:2: rule.match is a table" + kGlobs);
}

TEST(LoadRulesError, NamesAreWordsOfTheirOwn) {
  const std::string allowed = "; it must be a string that is not empty, without control characters";
  EXPECT_EQ(error_in_rule("name = \"\""), "test.toml:3: rule.name is \"\"" + allowed);
  EXPECT_EQ(error_in_rule("name = 5"), "test.toml:3: rule.name is 5" + allowed);
  EXPECT_EQ(error_in_rule("name = \"a\\nb\"").substr(0, 25), "test.toml:3: rule.name is");
  EXPECT_EQ(error_of("[[rule]]\nmatch = \"a\"\nname = \"x\"\n[[rule]]\nmatch = \"b\"\nname = \"x\""),
            "test.toml:6: rule.name is \"x\", as that of an earlier rule; each must have its own");
  EXPECT_EQ(error_of("[[rule]]\nmatch = \"a\"\nname = \"rule-2\"\n[[rule]]\nmatch = \"b\""),
            "test.toml:4: rule.name is \"rule-2\", as that of an earlier rule; each must have its own");
}

TEST(LoadRulesError, DurationsAreMoreThanNothing) {
  EXPECT_EQ(error_in_rule("ttl = { default = \"0s\" }"), "test.toml:3: rule.ttl.default is \"0s\"" + kTtl);
  EXPECT_EQ(error_in_rule("ttl = { max = \"0ms\" }"), "test.toml:3: rule.ttl.max is \"0ms\"" + kTtl);
  EXPECT_EQ(error_in_rule("ttl = { max = \"-1s\" }"), "test.toml:3: rule.ttl.max is \"-1s\"" + kTtl);
  EXPECT_EQ(error_in_rule("[rule.ttl]\ndefault = 300"), "test.toml:4: rule.ttl.default is 300" + kTtl);
  EXPECT_EQ(error_in_rule("ttl.max = \"36501d\""), "test.toml:3: rule.ttl.max is \"36501d\"" + kTtl);
}

TEST(LoadRulesError, DefaultIsNotMoreThanTheMaximum) {
  EXPECT_EQ(error_in_rule("[rule.ttl]\nmax = \"1m\"\ndefault = \"2m\""),
            "test.toml:5: rule.ttl.default is \"2m\" and rule.ttl.max is \"1m\"; the default must not be more than the "
            "maximum");
  EXPECT_EQ(
      error_in_rule("[rule.ttl]\nmax = \"1m\""),
      "test.toml:4: rule.ttl.default is \"5m\" if it is left out and rule.ttl.max is \"1m\"; the default must not "
      "be more than the maximum");
}

TEST(LoadRulesError, JitterIsAFraction) {
  const std::string allowed = "; it must be a number from 0 to 1";
  EXPECT_EQ(error_in_rule("ttl.jitter = 1.5"), "test.toml:3: rule.ttl.jitter is 1.5" + allowed);
  EXPECT_EQ(error_in_rule("ttl.jitter = -0.1"), "test.toml:3: rule.ttl.jitter is -0.1" + allowed);
  EXPECT_EQ(error_in_rule("ttl.jitter = 2"), "test.toml:3: rule.ttl.jitter is 2" + allowed);
  EXPECT_EQ(error_in_rule("ttl.jitter = nan"), "test.toml:3: rule.ttl.jitter is nan" + allowed);
  EXPECT_EQ(error_in_rule("ttl.jitter = \"10%\""), "test.toml:3: rule.ttl.jitter is \"10%\"" + allowed);
}

TEST(LoadRulesError, ModeIsOneOfAList) {
  EXPECT_EQ(error_in_rule("ttl.mode = \"strict\""),
            "test.toml:3: rule.ttl.mode is \"strict\"; it must be one of \"enforce\" \"reject\" \"observe\"");
}

TEST(LoadRulesError, TtlIsASection) {
  EXPECT_EQ(error_in_rule("ttl = \"5m\""), "test.toml:3: rule.ttl is \"5m\"; it must be a section, [rule.ttl]");
  EXPECT_EQ(error_in_rule("[[rule.ttl]]"), "test.toml:3: rule.ttl is a list; it must be a section, [rule.ttl]");
}

TEST(LoadRulesError, MaxValueIsASize) {
  const std::string allowed = "; it must be a size from \"1B\" to \"1GiB\" (a whole number and a unit: B KiB MiB GiB)";
  EXPECT_EQ(error_in_rule("max_value = \"0B\""), "test.toml:3: rule.max_value is \"0B\"" + allowed);
  EXPECT_EQ(error_in_rule("max_value = 5"), "test.toml:3: rule.max_value is 5" + allowed);
  EXPECT_EQ(error_of("[guard]\nmax_value = \"2GiB\""), "test.toml:2: guard.max_value is \"2GiB\"" + allowed);
}

TEST(LoadRulesError, GuardChoosesFromLists) {
  EXPECT_EQ(error_of("[guard]\nkeys = \"allow\""),
            "test.toml:2: guard.keys is \"allow\"; it must be one of \"scan\" \"deny\"");
  EXPECT_EQ(error_of("[guard]\ndel = \"\""), "test.toml:2: guard.del is \"\"; it must be one of \"unlink\" \"del\"");
}

TEST(Rules, NearCache_HasDefaultsWhereItIsNamed) {
  const auto rules = rules_of(
      "[[rule]]\nmatch = \"a\"\n[[rule]]\nmatch = \"b\"\nnear_cache = {}\n"
      "[[rule]]\nmatch = \"c\"\nnear_cache = { ttl = \"5s\", max_value = \"1KiB\" }");
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_FALSE(rules[0].near_cache);
  EXPECT_EQ(rules[1].near_cache, (NearSettings{.ttl_ms = 30'000, .max_value_bytes = 64 << 10}));
  EXPECT_EQ(rules[2].near_cache, (NearSettings{.ttl_ms = 5'000, .max_value_bytes = 1 << 10}));
  EXPECT_EQ(error_in_rule("near_cache = true"),
            "test.toml:3: rule.near_cache is true; it must be a section, [rule.near_cache]");
  EXPECT_EQ(error_in_rule("near_cache = { ttl = \"0s\" }"),
            "test.toml:3: rule.near_cache.ttl is \"0s\"; it must be a duration from \"1ms\" to \"1d\" (a whole number "
            "and a unit: ms s m h d)");
  EXPECT_EQ(error_in_rule("near_cache = { size = \"1KiB\" }"),
            "test.toml:3: unknown setting rule.near_cache.size; [rule.near_cache] has ttl, max_value");
}

TEST(Rules, Stampede_HasDefaultsWhereItIsNamed) {
  const auto rules = rules_of(
      "[[rule]]\nmatch = \"a\"\n[[rule]]\nmatch = \"b\"\nstampede = {}\n"
      "[[rule]]\nmatch = \"c\"\nstampede = { lease = \"1s\", wait = \"2s\", wait_shared = \"2s\", "
      "stale_while_revalidate = \"1m\", early_refresh = 10, scope = \"cluster\" }");
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_FALSE(rules[0].stampede);
  EXPECT_EQ(rules[1].stampede, (StampedeSettings{10'000, 250, 0, 0, 0, "proxy"}));
  EXPECT_EQ(rules[2].stampede, (StampedeSettings{1000, 2000, 2000, 60'000, 10, "cluster"}));
}

TEST(LoadRulesError, StampedeSaysWhatIsAllowed) {
  EXPECT_EQ(error_in_rule("stampede = true"),
            "test.toml:3: rule.stampede is true; it must be a section, [rule.stampede]");
  EXPECT_EQ(error_in_rule("stampede = { leas = \"1s\" }"),
            "test.toml:3: unknown setting rule.stampede.leas; [rule.stampede] has lease, wait, wait_shared, "
            "stale_while_revalidate, early_refresh, scope");
  EXPECT_EQ(error_in_rule("stampede.lease = \"0s\""),
            "test.toml:3: rule.stampede.lease is \"0s\"; it must be a duration from \"1ms\" to \"1d\" (a whole number "
            "and a unit: ms s m h d)");
  EXPECT_EQ(error_in_rule("stampede.early_refresh = -1"),
            "test.toml:3: rule.stampede.early_refresh is -1; it must be a number from 0 to 10");
  EXPECT_EQ(error_in_rule("stampede.scope = \"world\""),
            "test.toml:3: rule.stampede.scope is \"world\"; it must be one of \"proxy\" \"cluster\"");
}

TEST(LoadRulesError, WaitSharedIsNotMoreThanWait) {
  EXPECT_EQ(error_in_rule("[rule.stampede]\nwait = \"1s\"\nwait_shared = \"2s\""),
            "test.toml:5: rule.stampede.wait_shared is \"2s\" and rule.stampede.wait is \"1s\"; it must not be more "
            "than that");
  EXPECT_EQ(
      error_in_rule("stampede.wait_shared = \"251ms\""),
      "test.toml:3: rule.stampede.wait_shared is \"251ms\" and rule.stampede.wait is \"250ms\" if it is left out; "
      "it must not be more than that");
}

TEST(Rules, OnUpstreamError_StaleHasALimitOfItsOwn) {
  const std::string start = "[[rule]]\nmatch = \"*\"\nnear_cache = {}\n";
  EXPECT_EQ(rules_of(start).at(0).on_upstream_error, "error");
  EXPECT_EQ(rules_of(start).at(0).stale_if_error_ms, 0);
  EXPECT_EQ(rules_of("[[rule]]\nmatch = \"*\"\non_upstream_error = \"miss\"").at(0).on_upstream_error, "miss");
  EXPECT_EQ(rules_of(start + "on_upstream_error = \"stale\"").at(0).on_upstream_error, "stale");
  EXPECT_EQ(rules_of(start + "on_upstream_error = \"stale\"").at(0).stale_if_error_ms, 300'000);
  EXPECT_EQ(rules_of(start + "stale_if_error = \"2s\"\non_upstream_error = \"stale\"").at(0).stale_if_error_ms, 2000);
}

TEST(LoadRulesError, OnUpstreamErrorSaysWhatIsAllowed) {
  EXPECT_EQ(error_in_rule("on_upstream_error = \"nil\""),
            "test.toml:3: rule.on_upstream_error is \"nil\"; it must be one of \"error\" \"miss\" \"stale\"");
  EXPECT_EQ(
      error_in_rule("near_cache = {}\nstale_if_error = \"0s\"\non_upstream_error = \"stale\""),
      "test.toml:4: rule.stale_if_error is \"0s\"; it must be a duration from \"1ms\" to \"365d\" (a whole number "
      "and a unit: ms s m h d)");
}

TEST(LoadRulesError, StaleNeedsANearCache) {
  EXPECT_EQ(error_in_rule("on_upstream_error = \"stale\""),
            "test.toml:3: rule.on_upstream_error is \"stale\" and the rule has no near_cache; it must have one, or "
            "nothing is known to be told");
}

TEST(LoadRulesError, StaleIfErrorGoesWithStaleOnly) {
  EXPECT_EQ(
      error_in_rule("stale_if_error = \"1s\""),
      "test.toml:3: rule.stale_if_error is set and rule.on_upstream_error is \"error\" if it is left out; it goes "
      "with \"stale\" only");
  EXPECT_EQ(error_in_rule("on_upstream_error = \"miss\"\nstale_if_error = \"1s\""),
            "test.toml:4: rule.stale_if_error is set and rule.on_upstream_error is \"miss\"; it goes with \"stale\" "
            "only");
}

}  // namespace
}  // namespace corral::config

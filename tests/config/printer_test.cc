// Tests of config/printer.h: what is printed loads again, and config/corral.toml is what is printed for the defaults.
#include "config/printer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/loader.h"
#include "config/schema.h"

namespace corral::config {
namespace {

// Settings that differ from the defaults in every field.
Settings all_changed() {
  Settings s;
  s.server = {{{"::1", 1}, {"/run/a \"b\".sock", 0}},          "[::2]:3", "[::1]:5", "a token", 7, 11, 1500, 60'000,
              {"user \"a\\\"b\" on #" + std::string(64, 'a')}, false};
  s.upstream = {"sentinel", {{"a", 1}, {"1.2.3.4", 2}}, "ma\"ster", 1,   3'600'000, 100,
                "us\\er",   "p\"a\tss\x01 \xc3\xa9",    "watcher",  "pw"};
  s.server.listen[0].tls = true;
  s.server.tls = {"c.pem", "k.pem", "ca.pem", "required", "1.3", "HIGH", 77};
  s.upstream.tls = {"u.pem", "uc.pem", "uk.pem", false, "redis", "1.3", "HIGH:!x"};
  s.guard = {{"KEYS", "CONFIG SET"}, "deny", "del", 4096};
  s.near_cache = {1 << 20, 333};
  s.limits = {65537, 3, 1ull << 40, 99, 131072, 100, 1025, 1026, 5, 77, 1 << 20, 99, 98, 1 << 20, 2 << 20, 1 << 30};
  s.log_level = "off";
  s.slow_request_ms = 77;
  s.rules = {{"first \"one\"",
              {"a:*", "b\\*[c]\t"},
              TtlSettings{1000, 2500, 0.25, "reject"},
              77,
              NearSettings{500, 99},
              StampedeSettings{1, 2000, 300, 40'000, 2.5, "cluster"},
              "stale",
              123},
             {"second", {"*"}, {}, 0},
             {"third", {"x"}, TtlSettings{1, 0, 1, "observe"}, 0, {}, StampedeSettings{}, "miss"}};
  return s;
}

std::string text_of(const char* file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(PrintSettings, DefaultsLoadAgainToTheSame) {
  const std::string printed = print_settings({});
  const auto again = load_text(printed, "printed");
  ASSERT_TRUE(again) << again.error;
  EXPECT_EQ(print_settings(*again), printed);
}

TEST(PrintSettings, ChangedSettingsLoadAgainToTheSame) {
  const Settings changed = all_changed();
  const auto again = load_text(print_settings(changed), "printed");
  ASSERT_TRUE(again) << again.error;
  EXPECT_EQ(again->server.listen, changed.server.listen);
  EXPECT_EQ(again->server.users, changed.server.users);
  EXPECT_EQ(again->upstream.seeds, changed.upstream.seeds);
  EXPECT_EQ(again->upstream.master, changed.upstream.master);
  EXPECT_EQ(again->upstream.username, changed.upstream.username);
  EXPECT_EQ(again->upstream.password, changed.upstream.password);
  EXPECT_EQ(again->guard.deny, changed.guard.deny);
  EXPECT_EQ(again->limits.inflight_bytes, changed.limits.inflight_bytes);
  EXPECT_EQ(again->rules, changed.rules);
  EXPECT_EQ(print_settings(*again), print_settings(changed));
}

TEST(PrintSettings, EveryFieldIsPrinted) {
  const std::string defaults = print_settings({}), changed = print_settings(all_changed());
  for (const Field& field : fields()) {
    const auto line = [&](const std::string& text) {
      // A section that is left out is a comment.
      const std::string_view sign = &text == &defaults && is_left_out({}, field.section) ? "# " : "";
      const std::string start = fmt::format("\n{}{} = ", sign, field.key);
      const std::string section = fmt::format("\n{}[{}]\n", sign, field.section);
      const size_t at = text.find(start, text.find(section));
      return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at);
    };
    EXPECT_NE(line(defaults), "") << field.key;
    EXPECT_NE(line(defaults), line(changed)) << field.key << " is not changed by all_changed(), or not printed";
  }
}

TEST(PrintSettings, EveryFieldOfARuleIsPrinted) {
  Settings with_rule;
  with_rule.rules.push_back(all_changed().rules[0]);
  const std::string printed = print_settings(with_rule);
  const size_t rule = printed.find("\n[[rule]]\n");
  ASSERT_NE(rule, std::string::npos);
  for (const Field& field : rule_fields()) {
    EXPECT_NE(printed.find(fmt::format("\n{} = ", field.key), rule), std::string::npos) << field.key;
    EXPECT_NE(printed.find(fmt::format("\n# {} = ", field.key)), std::string::npos) << field.key;
  }
}

TEST(PrintSettings, ExampleOfARuleLoadsWithoutItsCommentSigns) {
  const std::string printed = print_settings({});
  std::istringstream lines(printed.substr(printed.find("\n# [[rule]]\n") + 1));
  std::string text;
  for (std::string line; std::getline(lines, line);) text += line.substr(2) + '\n';
  const auto loaded = load_text(text, "example");
  ASSERT_TRUE(loaded) << loaded.error << text;
  ASSERT_EQ(loaded->rules.size(), 1u);
  EXPECT_EQ(loaded->rules[0], (RuleSettings{"pages",
                                            {"cache:*", "page:*"},
                                            TtlSettings{300'000, 3'600'000, 0.1, "enforce"},
                                            1u << 20,
                                            NearSettings{},
                                            StampedeSettings{10'000, 250, 0, 30'000, 1, "proxy"},
                                            "stale",
                                            300'000}));
}

TEST(FixedChanges, WhatAReloadPutsInForceIsNotAmongThem) {
  Settings wanted;
  EXPECT_EQ(find_fixed_changes({}, wanted), std::vector<std::string>{});
  wanted.guard = all_changed().guard;
  wanted.rules = all_changed().rules;
  wanted.log_level = "debug";
  wanted.server.users = all_changed().server.users;
  wanted.server.protected_mode = false;
  EXPECT_EQ(find_fixed_changes({}, wanted), std::vector<std::string>{});
}

TEST(FixedChanges, TlsFilesMayChangeButNotWhetherTlsIsSpoken) {
  Settings running = all_changed(), wanted = all_changed();
  wanted.server.tls->cert = wanted.upstream.tls->ca = "other.pem";
  EXPECT_EQ(find_fixed_changes(running, wanted), std::vector<std::string>{});
  wanted.upstream.tls.reset();
  wanted.server.listen[0].tls = false;
  EXPECT_EQ(find_fixed_changes(running, wanted), (std::vector<std::string>{"server.listen", "upstream.tls"}));
}

TEST(FixedChanges, WhatTakesARestartIsNamed) {
  Settings wanted;
  wanted.upstream.seeds = {{"a", 1}};
  wanted.server.workers = 7;
  wanted.limits.keys_reply = 1;
  EXPECT_EQ(find_fixed_changes({}, wanted),
            (std::vector<std::string>{"server.workers", "upstream.seeds", "limits.keys_reply"}));
}

TEST(ExampleFile, LoadsToTheDefaults) {
  const auto example = load_file(CORRAL_EXAMPLE);
  ASSERT_TRUE(example) << example.error;
  EXPECT_EQ(print_settings(*example), print_settings({}));
}

TEST(ExampleFile, IsWhatIsPrintedForTheDefaults) {
  EXPECT_EQ(text_of(CORRAL_EXAMPLE), print_settings({}))
      << "make it anew: build/corral --print-config > config/corral.toml";
}

}  // namespace
}  // namespace corral::config

// Tests of config/flags.h: flags stand above the file, and every error is one line and status 2.
#include "config/flags.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/loader.h"
#include "config/printer.h"

namespace corral::config {
namespace {

struct Outcome {
  Invocation invocation;
  std::string out, err;
};

Outcome run(std::vector<const char*> args, const CommandCheck& is_command = {}) {
  args.insert(args.begin(), "corral");
  std::ostringstream out, err;
  Outcome result;
  result.invocation = parse_command_line(static_cast<int>(args.size()), args.data(), out, err, is_command);
  result.out = out.str();
  result.err = err.str();
  return result;
}

// A settings file for one test.
class SettingsFile {
 public:
  explicit SettingsFile(const std::string& text) { write(text); }
  ~SettingsFile() { std::filesystem::remove(path_); }
  SettingsFile(const SettingsFile&) = delete;
  SettingsFile& operator=(const SettingsFile&) = delete;

  void write(const std::string& text) const { std::ofstream(path_) << text; }
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_ =
      (std::filesystem::temp_directory_path() / ("corral-flags-test-" + std::to_string(getpid()) + ".toml")).string();
};

void expect_error(const Outcome& result, const std::string& line) {
  EXPECT_EQ(result.invocation.exit_status, 2);
  EXPECT_EQ(result.err, line + "\n");
  EXPECT_EQ(result.out, "");
}

TEST(CommandLine, NothingGivenMeansTheDefaults) {
  const Outcome result = run({});
  EXPECT_EQ(result.invocation.exit_status, std::nullopt);
  EXPECT_EQ(print_settings(result.invocation.settings), print_settings({}));
  EXPECT_FALSE(result.invocation.takeover);
  EXPECT_EQ(result.out + result.err, "");
}

TEST(CommandLine, FlagsOverrideTheFile) {
  const SettingsFile file("[server]\nlisten = \"a:1\"\nworkers = 3\nmax_clients = 5\n[log]\nlevel = \"warn\"\n");
  const Outcome result = run({"--config", file.path(), "--listen", "b:2", "--listen=[::1]:3", "--upstream", "c:4,d:5",
                              "--workers", "0", "--log-level", "debug", "--takeover"});
  const Settings& settings = result.invocation.settings;
  ASSERT_EQ(result.invocation.exit_status, std::nullopt) << result.err;
  EXPECT_EQ(settings.server.listen, (std::vector<Address>{{"b", 2}, {"::1", 3}}));
  EXPECT_EQ(settings.upstream.seeds, (std::vector<Address>{{"c", 4}, {"d", 5}}));
  EXPECT_EQ(settings.server.workers, 0u);
  EXPECT_EQ(settings.server.max_clients, 5u);
  EXPECT_EQ(settings.log_level, "debug");
  EXPECT_TRUE(result.invocation.takeover);
}

TEST(CommandLine, CheckOfGoodSettingsEndsWithZero) {
  const Outcome result = run({"--check"});
  EXPECT_EQ(result.invocation.exit_status, 0);
  EXPECT_EQ(result.out, "the settings are valid\n");
}

TEST(CommandLine, CheckOfBadSettingsEndsWithTheirLine) {
  const SettingsFile file("[server]\n\nworkers = \"many\"\n");
  expect_error(run({"--check", "--config", file.path()}),
               std::string(file.path()) + ":3: server.workers is \"many\"; it must be a whole number from 0 to 1024");
}

TEST(CommandLine, PrintConfigPrintsTheEffectiveSettings) {
  const Outcome result = run({"--print-config", "--workers", "7"});
  EXPECT_EQ(result.invocation.exit_status, 0);
  const auto again = load_text(result.out, "printed");
  ASSERT_TRUE(again) << again.error;
  EXPECT_EQ(again->server.workers, 7u);
}

TEST(CommandLine, VersionAndHelpEndWithZero) {
  EXPECT_EQ(run({"--version"}).out, "corral 0.1.0\n");
  EXPECT_EQ(run({"--version"}).invocation.exit_status, 0);
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.invocation.exit_status, 0);
  for (const char* flag : {"--config", "--listen", "--upstream", "--workers", "--admin", "--log-level", "--check",
                           "--print-config", "--takeover", "--version", "--help"}) {
    EXPECT_NE(help.out.find(flag), std::string::npos) << flag;
  }
}

TEST(CommandLine, AdminIsOnLoopbackUnlessItIsMovedOrOff) {
  EXPECT_EQ(run({}).invocation.settings.server.admin, "127.0.0.1:9380");
  EXPECT_EQ(run({"--admin", ""}).invocation.settings.server.admin, "");
  EXPECT_EQ(run({"--admin", "[::1]:80"}).invocation.settings.server.admin, "[::1]:80");
  expect_error(run({"--admin", "here"}),
               R"(--admin is "here"; it must be an address "HOST:PORT" or "[v6]:PORT", or "")");
  expect_error(
      run({"--admin", "0.0.0.0:9380"}),
      "server.admin is \"0.0.0.0:9380\", which other machines may reach, and server.admin_token is not set; it "
      "must be set, or the address one of loopback");
}

TEST(CommandLineError, UnknownFlagOrArgument) {
  const std::string see_help = " (corral --help lists the flags)";
  expect_error(run({"--frob"}), "corral: The following argument was not expected: --frob" + see_help);
  expect_error(run({"redis"}), "corral: The following argument was not expected: redis" + see_help);
  expect_error(run({"--listen", "a:1", "b:2"}), "corral: The following argument was not expected: b:2" + see_help);
  EXPECT_EQ(run({"--workers"}).invocation.exit_status, 2);
}

TEST(CommandLineError, BadValuesSayWhatIsAllowed) {
  const std::string number = "; it must be a whole number from 0 to 1024";
  expect_error(run({"--workers", "four"}), "--workers is \"four\"" + number);
  expect_error(run({"--workers", "-1"}), "--workers is -1" + number);
  expect_error(run({"--workers", "1025"}), "--workers is 1025" + number);
  expect_error(run({"--listen", "6380"}),
               "--listen has \"6380\"; it must be \"HOST:PORT\", \"[v6]:PORT\", either with \"tls://\" before it, or "
               "\"unix:/path\", or a list of these");
  expect_error(run({"--listen", "a:1", "--listen", "a:1"}),
               "--listen names \"a:1\" twice; each address may be there once");
  expect_error(run({"--upstream", "a:1,"}),
               "--upstream has \"\"; it must be \"HOST:PORT\" or \"[v6]:PORT\", or a list of these");
  EXPECT_EQ(run({"--log-level", "loud"}).invocation.exit_status, 2);
}

TEST(CommandLineError, FlagsThatDoNotGoWithTheFile) {
  const SettingsFile file("upstream.mode = \"standalone\"\n");
  EXPECT_EQ(run({"--config", file.path(), "--upstream", "a:1"}).invocation.exit_status, std::nullopt);
  expect_error(run({"--config", file.path(), "--upstream", "a:1,b:1"}),
               "upstream.seeds has 2 addresses and upstream.mode is \"standalone\"; it must be one server");
}

TEST(CommandLineError, MissingFile) {
  expect_error(run({"--config", "no/such.toml"}), "no/such.toml: cannot be read: No such file or directory");
}

TEST(CommandLineError, CommandCheckReachesTheDenyList) {
  const SettingsFile file("guard.deny = [\"NOPE\"]");
  const Outcome result = run({"--config", file.path()}, [](std::string_view) { return false; });
  expect_error(result, std::string(file.path()) + ":1: guard.deny names \"NOPE\"; no such command is known");
}

TEST(LoadAgain, ReadsTheFileAnewBelowTheSameFlags) {
  const SettingsFile file("[server]\nworkers = 1\nmax_clients = 10\n");
  const Outcome result = run({"--config", file.path(), "--workers", "2"});
  file.write("[server]\nworkers = 3\nmax_clients = 20\n");
  const auto again = load_again(result.invocation);
  ASSERT_TRUE(again) << again.error;
  EXPECT_EQ(again->server.workers, 2u);
  EXPECT_EQ(again->server.max_clients, 20u);
}

TEST(LoadAgain, BadFileGivesItsLine) {
  const SettingsFile file("");
  const Outcome result = run({"--config", file.path()});
  file.write("[sever]\n");
  EXPECT_EQ(load_again(result.invocation).error, std::string(file.path()) +
                                                     ":1: unknown section sever; the sections are server, server.tls, "
                                                     "upstream, upstream.tls, guard, near_cache, limits, log, rule");
}

}  // namespace
}  // namespace corral::config

// See flags.h.
#include "config/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <ostream>

#include "config/conflict.h"
#include "config/loader.h"
#include "config/printer.h"
#include "config/version.h"

namespace corral::config {
namespace {

constexpr int kUsageError = 2;

toml::array split_at_commas(const std::string& text) {
  toml::array parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return parts;
}

// A number if it is one; the reader of the field says what is wrong with anything else.
toml::array number_or_text(const std::string& text) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && rest == text.data() + text.size()) return toml::array{number};
  return toml::array{text};
}

// Puts the flags over `settings`; the error, or nothing.
std::optional<std::string> apply(const Overrides& overrides, const CommandCheck& is_command, Settings& settings) {
  std::optional<std::string> error;
  const auto set = [&](std::string_view section, std::string_view key, const char* flag, const toml::node& value) {
    if (error) return;
    if (auto problem = read_field(*find_field(section, key), value, flag, is_command, settings)) error = problem->what;
  };
  if (!overrides.listen.empty()) {
    toml::array listen;
    for (const std::string& address : overrides.listen) listen.push_back(address);
    set("server", "listen", "--listen", listen);
  }
  if (overrides.upstream) set("upstream", "seeds", "--upstream", split_at_commas(*overrides.upstream));
  if (overrides.workers) set("server", "workers", "--workers", *number_or_text(*overrides.workers).get(0));
  if (overrides.log_level) set("log", "level", "--log-level", toml::value<std::string>(*overrides.log_level));
  if (overrides.admin) set("server", "admin", "--admin", toml::value<std::string>(*overrides.admin));
  if (auto conflict = find_conflict(settings); !error && conflict) error = conflict->what;
  return error;
}

void declare_options(CLI::App& app, Invocation& invocation) {
  Overrides& overrides = invocation.overrides;
  app.set_version_flag("--version", fmt::format("corral {}", kVersion), "Print the version and end");
  app.add_option("--config", invocation.config_file, "Read the settings from FILE (TOML)")->type_name("FILE");
  app.add_option("--listen", overrides.listen, "Where clients connect; may be given several times")
      ->type_name("HOST:PORT")
      ->allow_extra_args(false);
  app.add_option("--upstream", overrides.upstream, "Nodes of the cluster (or sentinels) to ask first, or the server")
      ->type_name("HOST:PORT[,HOST:PORT...]");
  app.add_option("--workers", overrides.workers, "Threads that serve clients; 0: one for each core")->type_name("N");
  app.add_option("--admin", overrides.admin, "Where metrics and health are told (HTTP); \"\": nowhere")
      ->type_name("HOST:PORT");
  app.add_option("--log-level", overrides.log_level, "trace, debug, info, warn, error or off")->type_name("LEVEL");
  app.add_flag("--check", invocation.check, "Check the settings and end");
  app.add_flag("--print-config", invocation.print_config,
               "Print the settings in effect, the nodes' passwords too, and end");
  app.add_flag("--takeover", invocation.takeover, "Take over the listening sockets of the running corral");
}

int fail(std::ostream& err, std::string what) {
  std::ranges::replace(what, '\n', ' ');
  err << what << "\n";
  return kUsageError;
}

// The status to end with (help and version: 0), or nothing to go on.
std::optional<int> parse(CLI::App& app, int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& done) {
    return app.exit(done, out, err);
  } catch (const CLI::ParseError& error) {
    return fail(err, fmt::format("corral: {} (corral --help lists the flags)", error.what()));
  }
}

}  // namespace

Result<Settings> load_again(const Invocation& invocation, const CommandCheck& is_command, const FileCheck& check) {
  Settings settings;
  if (!invocation.config_file.empty()) {
    const auto loaded = load_file(invocation.config_file, is_command, check);
    if (!loaded) return loaded;
    settings = *loaded;
  }
  if (auto error = apply(invocation.overrides, is_command, settings)) return Result<Settings>::failure(*error);
  return Result<Settings>::of(std::move(settings));
}

Invocation parse_command_line(int argc, const char* const* argv, std::ostream& out, std::ostream& err,
                              const CommandCheck& is_command, const FileCheck& check) {
  Invocation invocation;
  CLI::App app("Corral: a caching proxy that speaks RESP in front of Redis Cluster.", "corral");
  declare_options(app, invocation);
  invocation.exit_status = parse(app, argc, argv, out, err);
  if (invocation.exit_status) return invocation;
  const auto settings = load_again(invocation, is_command, check);
  if (!settings) {
    invocation.exit_status = fail(err, settings.error);
    return invocation;
  }
  invocation.settings = *settings;
  if (invocation.print_config) out << print_settings(invocation.settings);
  if (invocation.check && !invocation.print_config) out << "the settings are valid\n";
  if (invocation.check || invocation.print_config) invocation.exit_status = 0;
  return invocation;
}

}  // namespace corral::config

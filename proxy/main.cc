// The program: settings from the command line and the file, then the server. Exit status: 0 after an orderly end, 1 if
// it could not start, 2 if a setting or flag is wrong.
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <iostream>

#include "config/flags.h"
#include "config/printer.h"
#include "proxy/uv/server.h"
#include "proxy/uv/tls_context.h"
#include "resp/command_table.h"

namespace {

// Whether the table has "DEBUG" or "CONFIG SET": so that a misspelt name in the guard does not go unnoticed.
bool is_known_command(std::string_view name) {
  const size_t space = name.find(' ');
  const auto* command = corral::resp::find_command(name.substr(0, space));
  return command &&
         (space == std::string_view::npos || corral::resp::find_subcommand(*command, name.substr(space + 1)));
}

// The settings for a reload. What takes a restart and is not as it was is named in the log, and stays.
corral::config::Result<corral::config::Settings> load_settings_again(const corral::config::Invocation& invocation) {
  using Result = corral::config::Result<corral::config::Settings>;
  if (invocation.config_file.empty()) {
    return Result::failure("there is no settings file: the program was started without --config");
  }
  auto settings = corral::config::load_again(invocation, is_known_command, corral::uv::find_tls_problem);
  if (!settings) return settings;
  const auto fixed = corral::config::find_fixed_changes(invocation.settings, *settings);
  if (!fixed.empty()) spdlog::warn("changed only by a restart, and as before until then: {}", fmt::join(fixed, ", "));
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const auto invocation = corral::config::parse_command_line(argc, argv, std::cout, std::cerr, is_known_command,
                                                             corral::uv::find_tls_problem);
  if (invocation.exit_status) return *invocation.exit_status;
  spdlog::set_default_logger(spdlog::stderr_color_mt("corral"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(invocation.settings.log_level));
  corral::uv::Server server(invocation.settings, [&invocation] { return load_settings_again(invocation); },
                            {argv, argv + argc});
  return server.run(invocation.takeover);
}

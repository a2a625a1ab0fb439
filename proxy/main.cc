// The program: settings from the command line and the file, then the server. Exit status: 0 after an orderly end, 1 if
// it could not start, 2 if a setting or flag is wrong.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <iostream>

#include "config/flags.h"
#include "proxy/uv/server.h"
#include "resp/command_table.h"

namespace {

// Whether the table has "DEBUG" or "CONFIG SET": so that a misspelt name in the guard does not go unnoticed.
bool is_known_command(std::string_view name) {
  const size_t space = name.find(' ');
  const auto* command = corral::resp::find_command(name.substr(0, space));
  return command &&
         (space == std::string_view::npos || corral::resp::find_subcommand(*command, name.substr(space + 1)));
}

}  // namespace

int main(int argc, char** argv) {
  const auto invocation = corral::config::parse_command_line(argc, argv, std::cout, std::cerr, is_known_command);
  if (invocation.exit_status) return *invocation.exit_status;
  spdlog::set_default_logger(spdlog::stderr_color_mt("corral"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(invocation.settings.log_level));
  corral::uv::Server server(invocation.settings);
  return server.run(invocation.takeover);
}

// Which arguments of a command must not be shown: passwords, and the names that go with them.
#pragma once

#include <set>
#include <string_view>

#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

/// What is shown instead, as by Redis.
inline constexpr std::string_view kRedacted = "(redacted)";

/// Of CONFIG GET and CONFIG SET: its value is not to be shown.
bool is_secret_setting(std::string_view name);

/// Their indexes: of AUTH, HELLO, ACL SETUSER, CONFIG SET and what has an option AUTH (MIGRATE).
std::set<size_t> secret_arguments(const resp::Command& command, const resp::CommandSpec& spec);

}  // namespace corral::core

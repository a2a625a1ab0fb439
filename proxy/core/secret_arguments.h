// Which arguments of a command must not be shown: passwords, and the names that go with them.
#pragma once

#include <set>
#include <string_view>

#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

/// What is shown instead, as by Redis.
inline constexpr std::string_view kRedacted = "(redacted)";

/// Their indexes: of AUTH, HELLO, ACL SETUSER and what has an option AUTH (MIGRATE).
std::set<size_t> secret_arguments(const resp::Command& command, const resp::CommandSpec& spec);

}  // namespace corral::core

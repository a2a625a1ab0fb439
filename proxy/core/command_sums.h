// What INFO commandstats says of each command, summed over the masters.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace corral::core {

/// calls, usec, rejected_calls, failed_calls, by the command's full name.
using CommandSums = std::map<std::string, std::array<int64_t, 4>>;

/// Adds what one master says in its INFO.
void add_masters_commandstats(std::string_view info, CommandSums& sums);

/// `calls` of the command were sent under another name (handlers.h, as_sent): they are the command's own, and so is a
/// share of the time that the masters tell of the other. For any other command does nothing.
void take_back(std::string_view command, int64_t calls, CommandSums& sums);

}  // namespace corral::core

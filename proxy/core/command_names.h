// Commands by names as servers write them in what they tell about themselves ("config|get"), and texts they tell it in.
#pragma once

#include <cstdint>
#include <string_view>

#include "resp/command_table.h"

namespace corral::core {

/// Of the table; null if it lacks the command. `second` counts only for a container.
inline const resp::CommandSpec* find_by_words(std::string_view first, std::string_view second) {
  const resp::CommandSpec* spec = resp::find_command(first);
  if (!spec || spec->subcommands.empty()) return spec;
  return resp::find_subcommand(*spec, second);
}

/// `name` as in INFO: "get", "config|get".
inline const resp::CommandSpec* find_by_full_name(std::string_view name) {
  const size_t bar = name.find('|');
  return find_by_words(name.substr(0, bar), bar == std::string_view::npos ? "" : name.substr(bar + 1));
}

/// How what the masters tell of a command adds up.
enum class Accounting : uint8_t {
  kSum,       // each request went to one master
  kMost,      // each request went to all masters
  kByCorral,  // Corral answers it: what masters got, they got from Corral for its own purposes
};
inline Accounting accounting_of(std::string_view full_name) {
  const resp::CommandSpec* spec = find_by_full_name(full_name);
  if (!spec) return Accounting::kSum;
  if (spec->handling == resp::Handling::kLocal) return Accounting::kByCorral;
  const bool walk =
      spec->merge == resp::Merge::kScan || spec->merge == resp::Merge::kKeys || spec->merge == resp::Merge::kRandomKey;
  return spec->handling == resp::Handling::kFanOut && !walk ? Accounting::kMost : Accounting::kSum;
}

}  // namespace corral::core

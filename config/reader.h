// One value of a TOML document into one field of the settings, or the reason why not.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/schema.h"

namespace corral::config {

// Whether a command, or a command and a subcommand ("CONFIG SET"), exists. The name is in capitals. Settings do not
// know the wire, so the program passes this in; without it every well-formed name passes.
using CommandCheck = std::function<bool(std::string_view)>;

struct Problem {
  uint32_t line;     // in the document; 0 if the value does not come from a file
  std::string what;  // "server.workers is 5000; it must be a whole number from 0 to 1024"
};

// `subject` is what the problem calls the field: "server.workers" or "--workers".
std::optional<Problem> read_field(const Field& field, const toml::node& node, std::string_view subject,
                                  const CommandCheck& is_command, Settings& settings);

// A value as it is shown in a problem: `"text"`, `12`, `a list`.
std::string describe_value(const toml::node& node);

}  // namespace corral::config

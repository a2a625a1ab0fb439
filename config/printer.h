// Settings as an annotated TOML text that loads again to the same settings.
#pragma once

#include <string>
#include <vector>

#include "config/schema.h"
#include "config/settings.h"

namespace corral::config {

// Every setting with its value, what it is for and what is allowed. The passwords for the nodes are shown:
// it is for the one who runs it.
std::string print_settings(const Settings& settings);

// What a reload does not put in force and is not as it was: "server.workers", in the order of the table.
std::vector<std::string> find_fixed_changes(const Settings& running, const Settings& wanted);

}  // namespace corral::config

// Settings as an annotated TOML text that loads again to the same settings.
#pragma once

#include <string>

#include "config/settings.h"

namespace corral::config {

// Every setting with its value, what it is for and what is allowed. Passwords are shown: it is for the one who runs it.
std::string print_settings(const Settings& settings);

}  // namespace corral::config

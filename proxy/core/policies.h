// From what the settings say to what the policies do.
#pragma once

#include <string>

#include "config/settings.h"
#include "policy/policies.h"

namespace corral::core {

/// The settings have been checked: names of modes are those that there are.
policy::PoliciesPtr make_policies(const config::Settings& settings);

/// A rule in one line, in the words of the settings: its name, its globs and what it does to their keys.
std::string describe_rule(const policy::Rule& rule);

}  // namespace corral::core

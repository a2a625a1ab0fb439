// From what the settings say to what the policies do.
#pragma once

#include "config/settings.h"
#include "policy/policies.h"

namespace corral::core {

/// The settings have been checked: names of modes are those that there are.
policy::PoliciesPtr make_policies(const config::Settings& settings);

}  // namespace corral::core

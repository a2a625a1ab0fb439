// Settings that are right one by one and wrong together.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace corral::config {

struct Conflict {
  std::string_view section, key;  // the setting at fault, which is not at its default; or a section within another
  std::string what;
};

// The first there is. Its error is that of a setting that would have no effect, or of one that lacks another.
std::optional<Conflict> find_conflict(const Settings& settings);

}  // namespace corral::config

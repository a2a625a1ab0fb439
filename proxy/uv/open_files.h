// How many files the process may have open, and so how many clients.
#pragma once

#include "config/settings.h"

namespace corral::uv {

/// Raises the limit to what max_clients needs, as far as the system lets us, and lowers max_clients to what it then
/// allows. Logs a warning if that is less than it should be.
config::Settings with_files(config::Settings settings);

}  // namespace corral::uv

// Drops keys from the near cache on demand.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace corral::core {

class Worker;

/// Those that match the Redis glob, a part of the table in each turn, so that clients do not wait for all of it. `done`
/// hears how many there were.
void purge_near_cache(Worker& worker, std::string glob, std::function<void(size_t purged)> done);

}  // namespace corral::core

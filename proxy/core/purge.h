// Drops keys from the near cache on demand: CORRAL CACHE PURGE and the admin port.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace corral::core {

class Worker;

/// Drops the keys that match a Redis glob, whichever worker's clients read them, and notes it in the events. On the
/// worker's thread, in which `done` is told how many there were: now or in a later turn, never if the worker ends
/// first.
void purge_near_cache(Worker& worker, std::string glob, std::function<void(uint64_t purged)> done);

}  // namespace corral::core

#include "proxy/core/purge.h"

#include <memory>
#include <utility>

#include "policy/glob.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr size_t kMostToldBytes = 100;  // of a glob

struct Purge {
  Worker& worker;
  const std::string glob;
  const std::function<void(uint64_t)> done;
  size_t part = 0;
  uint64_t purged = 0;
};

// A part of the table in each turn, so that clients do not wait for all of it.
void go_on(const std::shared_ptr<Purge>& purge) {
  Worker& worker = purge->worker;
  policy::NearCache* cache = worker.process().near_cache();
  if (!cache || purge->part >= cache->purge_parts() || worker.stopping()) {
    const std::string keys = std::to_string(purge->purged) + (purge->purged == 1 ? " key" : " keys");
    worker.process().events().add(worker.transport().wall_clock_us(), EventKind::kSettings, false,
                                  keys + " purged from the near cache: " + purge->glob.substr(0, kMostToldBytes));
    return purge->done(purge->purged);
  }
  purge->purged += cache->purge(purge->part++, [&](auto key) { return policy::glob_match(purge->glob, key); });
  worker.after(0, [purge] { go_on(purge); });
}

}  // namespace

void purge_near_cache(Worker& worker, std::string glob, std::function<void(uint64_t purged)> done) {
  go_on(std::make_shared<Purge>(Purge{worker, std::move(glob), std::move(done)}));
}

}  // namespace corral::core

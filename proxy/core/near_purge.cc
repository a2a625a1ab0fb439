#include "proxy/core/near_purge.h"

#include <memory>
#include <utility>

#include "policy/glob.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

struct Purge {
  std::string glob;
  std::function<void(size_t)> done;
  size_t part = 0, purged = 0;
};

void go_on(Worker& worker, const std::shared_ptr<Purge>& purge) {
  policy::NearCache& cache = *worker.process().near_cache();
  if (purge->part >= cache.purge_parts() || worker.stopping()) return purge->done(purge->purged);
  purge->purged +=
      cache.purge(purge->part++, [&](std::string_view key) { return policy::glob_match(purge->glob, key); });
  worker.after(0, [&worker, purge] { go_on(worker, purge); });
}

}  // namespace

void purge_near_cache(Worker& worker, std::string glob, std::function<void(size_t)> done) {
  go_on(worker, std::make_shared<Purge>(Purge{std::move(glob), std::move(done)}));
}

}  // namespace corral::core

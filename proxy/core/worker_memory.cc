// The limit on memory (limits.memory): what clients make the process hold, and the near cache. Beyond it the near cache
// gives way, part by part; when nothing is left of it, the largest client goes, whichever worker it is of. Redis 7.0
// has the same for its clients (maxmemory-clients; server.c, evictClients).
#include <algorithm>

#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr uint32_t kGrowAgainMs = 1000;  // a part of the near cache comes back after so long with memory enough

}  // namespace

uint64_t Worker::own_memory_bytes() {
  uint64_t bytes = holds_.bytes(), largest = 0;
  for (const auto& [id, session] : lingering_) bytes += session->memory_bytes();
  for (const auto& [id, session] : sessions_) {
    const uint64_t one = session->memory_bytes();
    bytes += one;
    if (!session->no_evict()) largest = std::max(largest, one);
  }
  const auto add = [&](const Link& link) { bytes += link.memory_bytes(); };
  for_each_link(add);
  for_each_control_link(add);
  for (const Link* link : own_links_.used_links()) add(*link);
  board_.largest_client_bytes.store(largest, std::memory_order_relaxed);
  return bytes;
}

void Worker::check_memory() {
  board_.memory_bytes.store(own_memory_bytes(), std::memory_order_relaxed);
  policy::NearCache& cache = *process_.near_cache();
  const uint64_t limit = settings_.limits.memory_bytes;
  const uint64_t cached = cache.totals().bytes;
  uint64_t total = process_.clients_memory_bytes() + cached;
  if (index_ == 0 && total <= limit - limit / 8) {
    if (now_ms_ - memory_short_ms_ > kGrowAgainMs && cache.grow()) memory_short_ms_ = now_ms_;
  }
  if (total <= limit) return;
  if (index_ == 0) {
    memory_short_ms_ = now_ms_;
    while (total > limit && cache.shrink()) {
      stats().near_cache_shrunk.add();
      total = process_.clients_memory_bytes() + cache.totals().bytes;
    }
  }
  if (cache.has_given_way()) evict_clients(total);
}

// As long as the largest of all is one of this worker's.
void Worker::evict_clients(uint64_t total) {
  const uint64_t limit = settings_.limits.memory_bytes;
  while (total > limit) {
    Session* largest = nullptr;
    for (const auto& [id, session] : sessions_) {
      if (session->no_evict() || (largest && largest->memory_bytes() >= session->memory_bytes())) continue;
      largest = session.get();
    }
    if (!largest || largest->memory_bytes() < process_.largest_client_bytes()) return;
    total -= std::min<uint64_t>(total, largest->memory_bytes());
    stats().clients_evicted.add();
    log_closed(*largest, LogLevel::kWarn,
               "memory is short and it holds " + std::to_string(largest->memory_bytes()) + " bytes");
    largest->close();
    board_.memory_bytes.store(own_memory_bytes(), std::memory_order_relaxed);
  }
}

}  // namespace corral::core

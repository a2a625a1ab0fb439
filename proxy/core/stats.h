// Counters of one worker. Only its own thread adds; any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace corral::core {

class Counter {
 public:
  void add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void subtract(uint64_t n = 1) { add(~n + 1); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Name, what it counts. INFO and CORRAL STATS show them under these names, summed over the workers.
#define CORRAL_COUNTERS(X)                                                                                          \
  X(requests)          /* commands received from clients */                                                         \
  X(upstream_commands) /* replies awaited from nodes */                                                             \
  X(upstream_writes)   /* writes to sockets of nodes */                                                             \
  X(upstream_errors)   /* upstream connections that failed */                                                       \
  X(redirects_moved)                                                                                                \
  X(redirects_ask)                                                                                                  \
  X(retries) /* requests sent again */                                                                              \
  X(indoubt) /* -INDOUBT answered */                                                                                \
  /* What the policies do; they come with later versions. */                                                        \
  X(near_cache_hits)                                                                                                \
  X(near_cache_misses)                                                                                              \
  X(near_cache_keys)                                                                                                \
  X(near_cache_bytes)                                                                                               \
  X(near_cache_evictions)                                                                                           \
  X(near_cache_invalidations)                                                                                       \
  X(near_cache_flushes)                                                                                             \
  X(near_cache_passed_by)  /* reads that were not looked for, as hardly any were found */                           \
  X(near_cache_narrowed)   /* whether it is so now */                                                               \
  X(near_cache_narrowings) /* how often that began */                                                               \
  X(reads_shared)                                                                                                   \
  X(leases_granted) X(leases_filled) X(leases_lapsed) X(waits) X(waits_filled) X(waits_timed_out) X(stale_served)   \
      X(early_refreshes) X(ttl_defaulted) X(ttl_clamped) X(ttl_rejected) X(ttl_observed) X(ttl_missing) X(guard_denied) X(too_big) \
          X(connections)  /* accepted, ever */                                                                      \
      X(clients_rejected) /* over max_clients */                                                                    \
      X(clients_overrun)  /* closed since they did not read */                                                      \
      X(clients_denied)          /* of other machines, in protected mode */                                         \
      X(clients_unauthenticated) /* closed since they did not authenticate */                                       \
      X(acl_denied)              /* -NOPERM since the user may not */                                               \
      X(auth_failed)             /* wrong passwords */                                                              \
      X(auth_refused)            /* passwords that were not looked at, since too many had been wrong */             \
      X(protocol_errors) X(net_input_bytes) X(net_output_bytes) /* from and to clients */

struct Stats {
#define CORRAL_DECLARE_COUNTER(name) Counter name;
  CORRAL_COUNTERS(CORRAL_DECLARE_COUNTER)
#undef CORRAL_DECLARE_COUNTER
};

}  // namespace corral::core

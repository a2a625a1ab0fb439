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
#define CORRAL_COUNTERS(X)                                    \
  X(requests)          /* commands received from clients */   \
  X(upstream_commands) /* replies awaited from nodes */       \
  X(upstream_writes)   /* writes to sockets of nodes */       \
  X(upstream_errors)   /* upstream connections that failed */ \
  X(redirects_moved)                                          \
  X(redirects_ask)                                            \
  X(retries) /* requests sent again */                        \
  X(indoubt) /* -INDOUBT answered */                          \
  X(guard_denied)                                             \
  X(connections)      /* accepted, ever */                    \
  X(clients_rejected) /* over max_clients */                  \
  X(clients_overrun)  /* closed since they did not read */    \
  X(protocol_errors)

struct Stats {
#define CORRAL_DECLARE_COUNTER(name) Counter name;
  CORRAL_COUNTERS(CORRAL_DECLARE_COUNTER)
#undef CORRAL_DECLARE_COUNTER
};

}  // namespace corral::core

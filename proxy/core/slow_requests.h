// The slow requests of Corral's clients and where their time went, for CORRAL SLOWLOG. (SLOWLOG itself tells what the
// masters have logged: slow_log.h.) Of the process; the newest are kept.
//
// A time is told from the request being read to its reply being there: in Corral before the node that answered it got
// it (held while a slot moved, sent elsewhere first, waited for a connection), at that node and on the way there and
// back, and waiting for who holds a lease. What blocks by intention (BLPOP) is not slow. What is split has an entry for
// each part, and a request whose connection was lost one with the time until then.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/slot_map.h"

namespace corral::core {

struct Request;
class Worker;

struct SlowRequest {
  uint64_t id = 0;
  int64_t time_us = 0;  // of its end; wall clock
  uint64_t duration_us = 0, queue_us = 0, upstream_us = 0, lease_us = 0;
  std::vector<std::string> args;  // some of them, shortened, without secrets
  std::string node;               // that answered; empty: none did
  std::string client, client_name;
};

class SlowRequests {
 public:
  static constexpr size_t kMostKept = 128;

  /// Whether a request that took so long is to be told of.
  bool wants(uint32_t elapsed_ms) const { return elapsed_ms >= least_ms_.load(std::memory_order_relaxed); }
  /// 0: none are.
  void set_least_ms(int64_t least_ms);
  /// Its id is given here.
  void add(SlowRequest request);
  /// Newest first, at most so many.
  std::vector<SlowRequest> entries(size_t most) const;
  size_t size() const;
  void clear();

 private:
  std::atomic<uint32_t> least_ms_{UINT32_MAX};
  mutable std::mutex mutex_;
  std::deque<SlowRequest> entries_;  // newest first
  uint64_t next_id_ = 0;
};

/// `request` of a client, `bytes`, is being answered and has taken longer than it should: it is told of, unless that
/// has been so of too many just now. `node`: that answered, or kNoNode.
void note_slow(Worker& worker, const Request& request, std::string_view bytes, NodeId node, uint64_t upstream_us,
               uint64_t lease_us = 0);

}  // namespace corral::core

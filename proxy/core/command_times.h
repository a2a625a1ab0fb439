// How long each command takes as its clients see it, for LATENCY HISTOGRAM. Of one worker, whose thread alone adds.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "proxy/core/latency.h"

namespace corral::core {

class CommandTimes {
 public:
  CommandTimes();
  ~CommandTimes();

  // --- by the worker's own thread ---
  /// `id`: CommandSpec::id; kUnlistedCommand is not counted. Allocates when a command comes for the first time.
  void add(uint16_t id, uint32_t us, uint64_t times) {
    if (id >= by_id_.size()) return;
    LatencyHistogram* histogram = by_id_[id].load(std::memory_order_relaxed);
    (histogram ? *histogram : make(id)).add(us, times);
  }
  void reset();

  // --- by any thread ---
  /// Adds what has been counted to `sums`, by the command's full name.
  void add_to(std::map<std::string_view, LatencyCounts>& sums) const;

 private:
  LatencyHistogram& make(uint16_t id);

  std::vector<std::atomic<LatencyHistogram*>> by_id_;  // owned; null: it has never come
};

}  // namespace corral::core

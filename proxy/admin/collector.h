// Asks all workers for what they have to tell (core::WorkerSnapshot) from a thread that is none of theirs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/core/process.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

/// Runs work on a worker, from any thread.
using Post = std::function<void(uint32_t worker, std::function<void(core::Worker&)> work)>;

class Collector {
 public:
  Collector(core::Process& process, Post post);

  /// All workers' snapshots, added up. A worker that does not answer in time is told of as it was before, so that
  /// counts never fall. `wish`: of each worker.
  core::WorkerSnapshot collect(const core::SnapshotWish& wish);

 private:
  static constexpr std::chrono::milliseconds kPatience{1000};

  /// Of one call; workers that are late still refer to it.
  struct Round;

  core::Process& process_;
  const Post post_;
  std::mutex mutex_;                          // guards what follows
  std::vector<core::WorkerSnapshot> latest_;  // by worker
};

}  // namespace corral::admin

#include "proxy/admin/collector.h"

#include <condition_variable>
#include <utility>

namespace corral::admin {

struct Collector::Round {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<uint32_t, core::WorkerSnapshot>> came;
};

Collector::Collector(core::Process& process, Post post)
    : process_(process), post_(std::move(post)), latest_(process.workers()) {}

core::WorkerSnapshot Collector::collect(const core::SnapshotWish& wish) {
  const auto round = std::make_shared<Round>();
  for (uint32_t i = 0; i < process_.workers(); ++i) {
    post_(i, [round, i, wish](core::Worker& worker) {
      core::WorkerSnapshot snapshot = core::take_snapshot(worker, wish);
      const std::lock_guard lock(round->mutex);
      round->came.emplace_back(i, std::move(snapshot));
      round->changed.notify_one();
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::vector<std::pair<uint32_t, core::WorkerSnapshot>> came;
  {
    std::unique_lock lock(round->mutex);
    round->changed.wait_until(lock, deadline, [&] { return round->came.size() == process_.workers(); });
    came = std::move(round->came);
  }
  const std::lock_guard lock(mutex_);
  for (auto& [worker, snapshot] : came) latest_[worker] = std::move(snapshot);
  core::WorkerSnapshot sum;
  for (const core::WorkerSnapshot& snapshot : latest_) sum.add(snapshot);
  return sum;
}

}  // namespace corral::admin

// What the live page is told, second by second. A thread takes a sample of the counters each second, whether anybody
// watches or not, so that a page that is opened shows the last minutes; what is asked of the workers and of the nodes
// is asked while somebody watches.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/admin/collector.h"
#include "proxy/admin/history.h"
#include "proxy/core/slow_log.h"

namespace corral::admin {

class Live {
 public:
  Live(core::Process& process, Collector& collector, Post post);
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  void start();
  void stop();
  void drain() { draining_ = true; }

  /// One who watches, as long as it lives. Its first state is whole.
  class Watcher {
   public:
    explicit Watcher(Live& live);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    /// The next state, as JSON; null: it is over. Waits for it.
    std::shared_ptr<const std::string> next();

   private:
    Live& live_;
    uint64_t seen_ = 0;
    bool first_ = true;
  };

 private:
  static constexpr std::chrono::seconds kPeriod{1};
  static constexpr uint32_t kSlowLogPeriods = 5;  // so often the nodes are asked

  struct SlowLogAnswer;

  void run();
  void take_turn();
  void ask_slow_log();

  core::Process& process_;
  Collector& collector_;
  const Post post_;
  History history_;                            // of the thread, as is what follows
  std::shared_ptr<SlowLogAnswer> slow_asked_;  // of the last time
  uint32_t turns_ = 0;
  std::thread thread_;
  std::atomic<bool> draining_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  bool awaited_ = false;  // by one who has just come
  uint32_t watchers_ = 0;
  uint64_t number_ = 0;  // of the states
  std::shared_ptr<const std::string> whole_, latest_;
};

}  // namespace corral::admin

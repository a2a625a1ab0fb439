// What the page is told, as server-sent events: one snapshot a second, made once for all who watch. Nothing but a few
// counters is read while nobody does.
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "proxy/admin/collector.h"
#include "proxy/admin/history.h"
#include "proxy/admin/page_snapshot.h"
#include "proxy/core/process.h"

namespace corral::admin {

class LiveFeed {
 public:
  static constexpr uint32_t kMostViewers = 16;

  using Text = std::shared_ptr<const std::string>;

  /// What it is given must live until stop() has returned.
  LiveFeed(core::Process& process, Collector& collector) : process_(process), collector_(collector), page_(process) {}
  ~LiveFeed() { stop(); }
  LiveFeed(const LiveFeed&) = delete;
  LiveFeed& operator=(const LiveFeed&) = delete;

  void start();
  /// Viewers are told at once that there is no more, and nobody is let in. From any thread.
  void end();
  /// Likewise, and waits for its thread.
  void stop();

  /// What one viewer has seen. Of one thread.
  class Viewer {
   public:
    explicit Viewer(LiveFeed& feed) : feed_(feed) {}
    ~Viewer();
    Viewer(const Viewer&) = delete;
    Viewer& operator=(const Viewer&) = delete;

    /// Waits for the next event. First comes the history, then the latest snapshot at each call: who is slow misses
    /// some. Null: the feed has ended.
    Text next();

   private:
    LiveFeed& feed_;
    uint64_t seen_ = 0;
    bool begun_ = false;
  };
  /// Null: as many as may are watching, or it has ended.
  std::shared_ptr<Viewer> let_in();

 private:
  void run();
  void take(bool watched);

  core::Process& process_;
  Collector& collector_;
  std::thread thread_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool ended_ = false;
  uint32_t viewers_ = 0;
  uint64_t number_ = 0;  // of the latest snapshot
  Text latest_, history_;

  // Of its own thread.
  History past_;
  PageSnapshot page_;
};

}  // namespace corral::admin

// What scripts do, for MONITOR: only nodes know it. While a client of this worker monitors, a connection to each master
// does so as well, and of what it shows the lines of scripts are passed on.
#pragma once

#include <functional>
#include <map>
#include <string_view>

#include "proxy/core/slot_map.h"

namespace corral::core {

class Worker;

class ScriptMonitor {
 public:
  /// `show` gets whole lines, as MONITOR sends them.
  ScriptMonitor(Worker& worker, std::function<void(std::string_view line)> show)
      : worker_(worker), show_(std::move(show)) {}

  /// Masters that are not watched yet are. `ready` is called once each of them has said that it shows, or cannot be
  /// asked; after the request timeout at the latest.
  void watch_masters(std::function<void()> ready);
  void stop();

 private:
  class Watch;

  Worker& worker_;
  const std::function<void(std::string_view line)> show_;
  std::map<NodeId, Watch*> watches_;  // they own themselves
};

}  // namespace corral::core

// The scripts that clients of this process have shown (EVAL, SCRIPT LOAD), so that a node that does not know one (after
// a failover, a new one) can be given it. Shared by all workers; bounded: the oldest go first.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace corral::core {

class ScriptRegistry {
 public:
  /// Remembers a script. From any thread.
  void learn(std::string_view body);
  /// By its SHA-1 as hex digits of any case; null if it has not been seen. From any thread.
  std::shared_ptr<const std::string> find(std::string_view sha) const;
  /// SCRIPT FLUSH.
  void clear();
  /// Grows whenever scripts are forgotten.
  uint64_t generation() const { return generation_.load(std::memory_order_relaxed); }

 private:
  void forget_oldest();

  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const std::string>> bodies_;  // by SHA-1, lower case
  std::deque<std::string> order_;                                               // their keys, the oldest first
  size_t bytes_ = 0;
  std::atomic<uint64_t> generation_{0};
};

/// One worker's memory of what it has told the registry: so that the hash of a script that comes often is not computed
/// each time, and no lock is taken.
class SeenScripts {
 public:
  void show(ScriptRegistry& registry, std::string_view body);

 private:
  std::unordered_set<uint64_t> seen_;  // XXH3 of bodies
  uint64_t generation_ = 0;
};

}  // namespace corral::core

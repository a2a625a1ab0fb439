// The node of the leases' model: a naive Redis, which remembers whatever a key has been.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace corral::policy::lease_model {

inline constexpr int kKeys = 6, kProxies = 2;
inline constexpr uint64_t kNever = UINT64_MAX;

class Node {
 public:
  /// What a key has been, from one write to the next; its version is its number.
  struct State {
    bool there = false;
    uint64_t token = 0;  // of what was written
    uint64_t expires_ms = kNever;
  };
  struct Seen {
    uint64_t version = 0;
    bool there = false;
    int64_t left_ms = -1;  // as PTTL: -1: it stays
  };
  /// A lease as a key of its own, for all proxies.
  struct Held {
    int proxy = -1;  // none
    uint64_t serial = 0;
    uint64_t expires_ms = 0;
  };
  /// What a proxy is to be told.
  struct Push {
    enum What : uint8_t { kChanged, kReleased } what;
    int proxy, key;
  };

  explicit Node(const uint64_t& now_ms) : now_ms_(now_ms) {
    for (auto& states : states_) states.push_back({});
  }

  bool is_up = true;
  std::vector<Push> pushes;  // for the caller to take

  Seen read(int key, int proxy) {
    const State& now = current(key);
    trackers_[key].insert(proxy);
    const int64_t left_ms = now.expires_ms == kNever ? -1 : static_cast<int64_t>(now.expires_ms - now_ms_);
    return {.version = last(key), .there = now.there, .left_ms = now.there ? left_ms : 0};
  }
  uint64_t write(int key, const State& next) {
    current(key);
    replace(key, next);
    return last(key);
  }
  /// What INCR does: the TTL stays.
  uint64_t change(int key, uint64_t token) {
    const uint64_t expires_ms = current(key).expires_ms;
    return write(key, {.there = true, .token = token, .expires_ms = expires_ms});
  }
  const State& about(int key, uint64_t version) const { return states_[key][version]; }
  uint64_t last(int key) const { return states_[key].size() - 1; }

  const Held& held(int key) {
    if (held_[key].proxy >= 0 && held_[key].expires_ms <= now_ms_) free(key);
    return held_[key];
  }
  /// SET NX PX. Whoever is refused hears when it is free.
  bool hold(int key, int proxy, uint64_t serial, uint64_t lease_ms) {
    if (held(key).proxy >= 0) {
      waiting_[key].insert(proxy);
      return false;
    }
    held_[key] = {.proxy = proxy, .serial = serial, .expires_ms = now_ms_ + lease_ms};
    return true;
  }
  void release(int key, int proxy, uint64_t serial) {
    if (held(key).proxy == proxy && held_[key].serial == serial) free(key);
  }

 private:
  const State& current(int key) {
    if (states_[key].back().expires_ms <= now_ms_) replace(key, {});
    return states_[key].back();
  }
  void replace(int key, const State& next) {
    states_[key].push_back(next);
    for (const int proxy : std::exchange(trackers_[key], {})) pushes.push_back({Push::kChanged, proxy, key});
  }
  void free(int key) {
    held_[key] = {};
    for (const int proxy : std::exchange(waiting_[key], {})) pushes.push_back({Push::kReleased, proxy, key});
  }

  const uint64_t& now_ms_;
  std::array<std::vector<State>, kKeys> states_;
  std::array<std::set<int>, kKeys> trackers_, waiting_;
  std::array<Held, kKeys> held_;
};

}  // namespace corral::policy::lease_model

// The nodes of the near cache's model: each key has a version that grows with every write, and a connection that
// vouches is two queues, at whose far end the node remembers which keys were read over it. Time is counted in steps.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

namespace corral::policy::model {

inline constexpr int kKeys = 6, kSlots = 3, kNodes = 2, kWorkers = 2, kCommands = 2;
inline constexpr uint64_t kNever = UINT64_MAX;

inline int slot_of(int key) { return key % kSlots; }
inline int home_of(int key) { return key % kWorkers; }

/// What a key has been, from one write to the next.
struct Version {
  uint64_t ended = kNever;    // when it was replaced, or has expired
  uint64_t expires = kNever;  // its TTL
  bool absent = false;        // the key was not there
};

struct Fill;

struct Asked {
  enum What : uint8_t { kRead, kPttl, kBeat } what;
  int key = 0;
  uint64_t sent = 0;  // of a heartbeat
};

struct Said {
  enum What : uint8_t { kValue, kPttl, kMoved, kInvalid, kAllInvalid, kBeat } what;
  int key = 0;
  uint64_t version = 0;
  uint64_t left = kNever;  // until it expires; 0: it is not there
  uint64_t sent = 0, epoch = 0;
};

/// A connection that vouches, both of its ends.
struct Tracked {
  int node = 0, home = 0;
  uint16_t number = 0;
  bool is_up = false;     // as the proxy sees it
  bool is_alive = false;  // at the node
  std::deque<Asked> asked;
  std::deque<Said> said;
  std::deque<Fill*> fills;  // whose replies have not come
  std::array<bool, kKeys> tracked{};
  bool beat_awaited = false;
  uint64_t epoch_seen = 0, stalled_until = 0, next_beat = 0;
};

class Nodes {
 public:
  explicit Nodes(const uint64_t& now) : now_(now) {
    for (auto& versions : versions_) versions.push_back({});
  }

  std::array<Tracked, size_t{kNodes} * kWorkers> links;
  std::array<int, kSlots> owner{};
  uint64_t epoch = 1;

  /// After what has expired has gone.
  uint64_t version(int key) {
    const uint64_t expires = versions_[key].back().expires;
    if (expires <= now_) replace(key, expires, {.absent = true});
    return versions_[key].size() - 1;
  }
  const Version& about(int key, uint64_t version) const { return versions_[key][version]; }
  uint64_t write(int key, const Version& next) {
    version(key);
    replace(key, now_, next);
    return versions_[key].size() - 1;
  }
  void flush(int node) {
    for (int key = 0; key < kKeys; ++key) {
      if (owner[slot_of(key)] != node) continue;
      version(key);
      versions_[key].back().ended = now_;
      versions_[key].push_back({.absent = true});
    }
    for (Tracked& link : links) {
      if (link.node != node || !link.is_alive) continue;
      link.tracked = {};
      link.said.push_back({.what = Said::kAllInvalid});
    }
  }
  /// With the slot's keys deleted where they were (MIGRATE), or just given away.
  void move(int slot, bool migrate) {
    for (int key = slot; migrate && key < kKeys; key += kSlots) notify(key);
    owner[slot] = (owner[slot] + 1) % kNodes;
    ++epoch;
  }
  /// The node says that a key has changed, whether it has or not.
  static void forget(Tracked& link, int key) {
    if (!link.tracked[key]) return;
    link.tracked[key] = false;
    link.said.push_back({.what = Said::kInvalid, .key = key});
  }
  static void die(Tracked& link) {
    link.is_alive = false;
    link.tracked = {};
    link.asked.clear();
  }
  /// Executes what came first.
  void execute(Tracked& link) {
    const Asked asked = link.asked.front();
    link.asked.pop_front();
    if (asked.what == Asked::kBeat) {
      link.said.push_back({.what = Said::kBeat, .sent = asked.sent, .epoch = epoch});
    } else if (owner[slot_of(asked.key)] != link.node) {
      link.said.push_back({.what = Said::kMoved, .key = asked.key});
    } else if (asked.what == Asked::kRead) {
      link.said.push_back({.what = Said::kValue, .key = asked.key, .version = version(asked.key)});
      link.tracked[asked.key] = true;
    } else {
      const Version& now = about(asked.key, version(asked.key));
      const uint64_t left = now.absent ? 0 : now.expires == kNever ? kNever : now.expires - now_;
      link.said.push_back({.what = Said::kPttl, .key = asked.key, .left = left});
    }
  }

 private:
  void replace(int key, uint64_t at, const Version& next) {
    versions_[key].back().ended = at;
    versions_[key].push_back(next);
    notify(key);
  }
  void notify(int key) {
    for (Tracked& link : links) {
      if (link.is_alive && link.node == owner[slot_of(key)]) forget(link, key);
    }
  }

  const uint64_t& now_;
  std::array<std::vector<Version>, kKeys> versions_;
};

}  // namespace corral::policy::model

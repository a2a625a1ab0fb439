#include "policies.h"

#include <algorithm>
#include <iterator>
#include <list>
#include <queue>
#include <utility>

#include "policy/eviction.h"

namespace corral::bench {
namespace {

/// Keys in order of arrival, each at most once.
class Fifo {
 public:
  explicit Fifo(const Trace& trace) : places_(trace.distinct), member_(trace.distinct) {}

  bool has(uint32_t key) const { return member_[key]; }
  size_t size() const { return keys_.size(); }
  void push(uint32_t key) {
    keys_.push_back(key);
    places_[key] = std::prev(keys_.end());
    member_[key] = true;
  }
  void remove(uint32_t key) {
    keys_.erase(places_[key]);
    member_[key] = false;
  }
  uint32_t pop() {
    const uint32_t key = keys_.front();
    remove(key);
    return key;
  }

 private:
  std::list<uint32_t> keys_;
  std::vector<std::list<uint32_t>::iterator> places_;
  std::vector<bool> member_;
};

/// Algorithm 1 of the paper.
class S3Fifo {
 public:
  S3Fifo(const Trace& trace, size_t entries)
      : entries_(entries),
        small_size_(std::max<size_t>(1, entries / 10)),
        hits_(trace.distinct),
        small_(trace),
        main_(trace),
        ghosts_(trace) {}

  bool request(uint32_t key) {
    if (small_.has(key) || main_.has(key)) {
      hits_[key] = std::min(hits_[key] + 1, 3);
      return true;
    }
    const bool again = ghosts_.has(key);
    if (again) ghosts_.remove(key);
    while (small_.size() + main_.size() >= entries_) evict();
    hits_[key] = 0;
    (again ? main_ : small_).push(key);
    return false;
  }

 private:
  void evict() {
    if (small_.size() > small_size_ || main_.size() == 0) {
      evict_from_small();
    } else {
      evict_from_main();
    }
  }
  void evict_from_small() {
    while (small_.size() != 0) {
      const uint32_t key = small_.pop();
      if (hits_[key] == 0) {
        if (ghosts_.size() >= entries_ - small_size_) ghosts_.pop();
        ghosts_.push(key);
        return;
      }
      hits_[key] = 0;
      main_.push(key);
      if (main_.size() > entries_ - small_size_) return evict_from_main();
    }
  }
  void evict_from_main() {
    for (;;) {
      const uint32_t key = main_.pop();
      if (hits_[key] == 0) return;
      --hits_[key];
      main_.push(key);
    }
  }

  const size_t entries_;
  const size_t small_size_;
  std::vector<int> hits_;
  Fifo small_, main_, ghosts_;
};

/// The finalizer of MurmurHash3, for the keys of a trace are small numbers.
uint32_t mixed(uint32_t key) {
  key = (key ^ (key >> 16)) * 0x85ebca6bU;
  key = (key ^ (key >> 13)) * 0xc2b2ae35U;
  return key ^ (key >> 16);
}

size_t replay(const Trace& trace, uint64_t memory_bytes, uint32_t entry_bytes) {
  policy::Eviction eviction(memory_bytes);
  std::vector<policy::EvictionNode> nodes(trace.distinct);
  size_t hits = 0;
  for (const uint32_t key : trace.keys) {
    policy::EvictionNode& node = nodes[key];
    if (node.queue != policy::EvictionNode::Queue::kNone) {
      ++hits;
      eviction.hit(node);
      continue;
    }
    eviction.insert(node, mixed(key), entry_bytes);
    while (eviction.evict() != nullptr) {
    }
  }
  return hits;
}

}  // namespace

size_t hits_of_corral(const Trace& trace, size_t entries) {
  // Entries so large that the ghosts together take less than one, and one's worth of memory to have them in.
  constexpr uint32_t kEntryBytes = 16 << 20;
  return replay(trace, (entries + 1) * uint64_t{kEntryBytes} - 1, kEntryBytes);
}

size_t hits_of_corral_256(const Trace& trace, size_t entries) { return replay(trace, entries * 256, 256); }

size_t hits_of_lru(const Trace& trace, size_t entries) {
  Fifo queue(trace);
  size_t hits = 0;
  for (const uint32_t key : trace.keys) {
    if (queue.has(key)) {
      ++hits;
      queue.remove(key);
    } else if (queue.size() == entries) {
      queue.pop();
    }
    queue.push(key);
  }
  return hits;
}

size_t hits_of_s3_fifo(const Trace& trace, size_t entries) {
  S3Fifo cache(trace, entries);
  return static_cast<size_t>(
      std::count_if(trace.keys.begin(), trace.keys.end(), [&](uint32_t key) { return cache.request(key); }));
}

size_t hits_of_opt(const Trace& trace, size_t entries) {
  constexpr uint32_t kNever = UINT32_MAX;
  const std::vector<uint32_t>& keys = trace.keys;
  std::vector<uint32_t> next(keys.size());
  std::vector<uint32_t> next_of_key(trace.distinct, kNever);
  for (size_t i = keys.size(); i-- > 0;) {
    next[i] = next_of_key[keys[i]];
    next_of_key[keys[i]] = static_cast<uint32_t>(i);
  }
  // Those in the cache by when they are needed next. What is out of date is left in and passed over.
  std::priority_queue<std::pair<uint32_t, uint32_t>> by_next;
  std::vector<bool> cached(trace.distinct);
  size_t hits = 0, count = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint32_t key = keys[i];
    next_of_key[key] = next[i];
    if (cached[key]) {
      ++hits;
    } else if (count < entries) {
      ++count;
    } else {
      while (!cached[by_next.top().second] || next_of_key[by_next.top().second] != by_next.top().first) by_next.pop();
      cached[by_next.top().second] = false;
      by_next.pop();
    }
    cached[key] = true;
    by_next.emplace(next[i], key);
  }
  return hits;
}

}  // namespace corral::bench

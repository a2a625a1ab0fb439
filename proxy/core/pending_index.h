// Which of a link's requests are of a session and slot, for when many clients' requests are held at once: a walk over
// all that is under way for each of them would stop the worker for seconds. Made when first asked, and only for what
// has come since then; what has left the ring, or been taken out of its place, is passed over.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "proxy/core/ring.h"

namespace corral::core {

class PendingIndex {
 public:
  /// How many items of `ring` have this key. `key_of(item)`; 0: it is not counted.
  template <class Item, class KeyOf>
  uint32_t count(Ring<Item>& ring, uint64_t key, KeyOf&& key_of) {
    const uint32_t front = ring.front_number(), end = front + ring.size();
    if (next_ - front > ring.size()) clear(front);  // all of it has left
    for (; next_ != end; ++next_) {
      if (const uint64_t own = key_of(ring[next_ - front])) numbers_[own].push_back(next_);
    }
    const auto it = numbers_.find(key);
    if (it == numbers_.end()) return 0;
    std::erase_if(it->second, [&](uint32_t number) {
      return number - front >= ring.size() || key_of(ring[number - front]) != key;
    });
    return static_cast<uint32_t>(it->second.size());
  }

  /// Forgets everything: what comes is numbered from `next` on.
  void clear(uint32_t next) {
    numbers_.clear();
    next_ = next;
  }
  bool empty() const { return numbers_.empty(); }

 private:
  std::unordered_map<uint64_t, std::vector<uint32_t>> numbers_;
  uint32_t next_ = 0;  // the first that has not been looked at
};

}  // namespace corral::core

// Which keys requests under way are about, roughly: enough to tell mostly that some key is none of them. Sixteen bytes
// a client, whatever it sends.
#pragma once

#include <cstdint>

namespace corral::core {

class KeyMarks {
 public:
  /// A request begins; it is about the keys that are marked behind it.
  void begin() { ++requests_; }
  void mark(uint64_t hash) { marks_ |= bit_of(hash); }
  /// A request ends. Whether it was the last one under way.
  bool end() {
    if (--requests_ > 0) return false;
    marks_ = 0;
    return true;
  }
  bool any() const { return requests_ > 0; }
  /// False: no request under way is about a key with this hash.
  bool may_be(uint64_t hash) const { return (marks_ & bit_of(hash)) != 0; }

 private:
  static uint64_t bit_of(uint64_t hash) { return uint64_t{1} << (hash >> 14 & 63); }

  uint64_t marks_ = 0;
  uint32_t requests_ = 0;
};

}  // namespace corral::core

// What a request touches of the near cache (near_touch.h): nothing, one key that it reads past the cache and of which
// nothing was kept, or what a NearTouch says. The second is what a load without locality consists of, so it is all in
// here: no object is taken from a pool for it, and none looked for when the reply comes.
//
// Twelve bytes, which fit between the members of a Request.
#pragma once

#include <cstdint>
#include <cstring>

#include "policy/near_cache.h"

namespace corral::core {

struct NearTouch;

class Touch {
 public:
  Touch() = default;
  explicit Touch(NearTouch* touch) : kind_(Kind::kObject) { std::memcpy(what_, &touch, sizeof touch); }
  /// `seen` is known.
  explicit Touch(const policy::NearTouched& read) : seen_(static_cast<uint16_t>(read.seen)), kind_(Kind::kRead) {
    std::memcpy(what_, &read.hash, sizeof read.hash);
  }

  explicit operator bool() const { return kind_ != Kind::kNone; }
  bool is_read() const { return kind_ == Kind::kRead; }
  policy::NearTouched read() const { return {value<uint64_t>(), seen_}; }
  NearTouch* object() const { return value<NearTouch*>(); }

 private:
  enum class Kind : uint8_t { kNone, kRead, kObject };

  template <class T>
  T value() const {
    static_assert(sizeof(T) == sizeof what_);
    T out;
    std::memcpy(&out, what_, sizeof out);
    return out;
  }

  uint32_t what_[2] = {};  // a hash, or the address of a NearTouch
  uint16_t seen_ = 0;
  Kind kind_ = Kind::kNone;
};

}  // namespace corral::core

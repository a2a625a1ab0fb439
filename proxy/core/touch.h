// What a request touches of the near cache (near_touch.h): nothing, one key that it reads past the cache and of which
// nothing was kept or for which was not even looked, or what a NearTouch says. The second and third are what a load
// without locality consists of, so it is all in here: no object is taken from a pool for it, and none looked for when
// the reply comes.
//
// Twelve bytes, which fit between the members of a Request. They are written and read as the same two words, since a
// read that spans several writes has to wait until these have reached the cache.
#pragma once

#include <bit>
#include <cstdint>

#include "policy/near_cache.h"

namespace corral::core {

struct NearTouch;

class Touch {
 public:
  Touch() = default;
  explicit Touch(NearTouch* touch) : what_(std::bit_cast<uint64_t>(touch)), kind_(kObject) {}
  /// `seen` is known, or `era` is not 0.
  explicit Touch(const policy::NearTouched& read)
      : what_(read.hash), kind_(read.era != 0 ? kPassed | read.era : kRead | read.seen) {}

  explicit operator bool() const { return kind_ != kNone; }
  bool is_read() const { return kind_ >= kRead; }
  bool is_passed() const { return kind_ >= kPassed; }
  /// Whether what is known of its key is needed when it ends.
  bool needs_key() const { return kind_ != kNone && kind_ < kPassed; }
  policy::NearTouched read() const {
    if (is_passed()) return {.hash = what_, .era = kind_ & (kPassed - 1)};
    return {.hash = what_, .seen = kind_ & (kRead - 1)};
  }
  NearTouch* object() const {
    const uint64_t what = what_;  // bit_cast takes a reference, to what is aligned
    return std::bit_cast<NearTouch*>(what);
  }

 private:
  static constexpr uint32_t kNone = 0, kObject = 1;
  static constexpr uint32_t kRead = 1u << 16;    // and what was seen, which takes sixteen bits
  static constexpr uint32_t kPassed = 1u << 31;  // and the era, which never takes more

  using Word [[gnu::aligned(4)]] = uint64_t;

  Word what_ = 0;  // a hash, or the address of a NearTouch
  uint32_t kind_ = kNone;
};
static_assert(sizeof(Touch) == 12);

}  // namespace corral::core

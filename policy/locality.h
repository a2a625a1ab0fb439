// Whether reads have any locality for the near cache to live by. To look for a key that is not kept costs little, but
// where keys are many it is a walk to memory that nobody has been to lately, and costs a read a quarter more or so. So
// where hardly anything is found the cache is narrowed: only a sample of the keys is looked for, to find out whether
// that changes, and all others are passed by (near_cache.h says how that keeps its promises).
//
// The sample is the keys of a 32nd of the hashes, which have a 32nd of the table for themselves (spatially
// hashed sampling: Waldspurger and others, Efficient MRC Construction with SHARDS, FAST '15). So what is found among
// them is what would be found of all. Only of single keys that are hot it says nothing, as these are rather not in it;
// they are met again soon, which Repeats notices.
//
// To widen is a trial: all that was passed by has to be read and kept first. One that comes to nothing makes the next
// wait for twice as long. No clock: it is all counted in reads.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace corral::policy {

/// Reads since the last time.
struct LocalityCounts {
  uint32_t looked = 0;    // that were looked for,
  uint32_t found = 0;     // and of use
  uint32_t passed = 0;    // that were not looked for,
  uint32_t repeated = 0;  // though their key had been read just before (Repeats)
};

class Locality {
 public:
  static constexpr uint32_t kSampleOf = 32;
  static constexpr uint32_t kNarrowPercent = 3, kWidenPercent = 6;
  static constexpr uint32_t kWindow = 64 * 1024;  // reads by which is judged
  static constexpr uint32_t kTrialWindows = 4;    // what is found while the cache is still being filled says nothing
  static constexpr uint32_t kLongWindows = 64;    // after so many a trial was none in vain
  static constexpr uint32_t kNarrowWindows = 4, kMostNarrowWindows = 256;

  /// Whether it is to be the other way now.
  bool add(const LocalityCounts& counts) {
    sum_.looked += counts.looked;
    sum_.found += counts.found;
    sum_.passed += counts.passed;
    sum_.repeated += counts.repeated;
    if (sum_.looked + sum_.passed < (narrow_ ? kNarrowWindows * kWindow : kWindow)) return false;
    const LocalityCounts window = sum_;
    sum_ = {};
    ++windows_;
    return narrow_ ? may_widen(window) : may_narrow(window);
  }
  bool narrow() const { return narrow_; }
  /// It has become so, whatever was read.
  void turn(bool narrow) {
    narrow_ = narrow;
    windows_ = 0;
    sum_ = {};
  }
  /// As at the beginning.
  void start_anew() { *this = {}; }

 private:
  static bool is_less(uint32_t part, uint32_t percent, uint32_t whole) {
    return uint64_t{part} * 100 < uint64_t{percent} * whole;
  }
  bool may_narrow(const LocalityCounts& window) {
    if (windows_ >= kLongWindows) wait_ = 1;
    if (windows_ < kTrialWindows || !is_less(window.found, kNarrowPercent, window.looked)) return false;
    turn(true);
    return true;
  }
  bool may_widen(const LocalityCounts& window) {
    if (windows_ < wait_) return false;
    const bool found = !is_less(window.found, kWidenPercent, std::max(window.looked, kLeastSample));
    const bool repeated = !is_less(window.repeated, kWidenPercent, std::max(window.passed, kLeastSample));
    if (!found && !repeated) return false;
    wait_ = std::min(wait_ * 2, kMostNarrowWindows / kNarrowWindows);
    turn(false);
    return true;
  }

  static constexpr uint32_t kLeastSample = 1024;

  bool narrow_ = false;
  uint32_t windows_ = 0;  // since it has been this way
  uint32_t wait_ = 1;     // windows before it is widened
  LocalityCounts sum_;
};

/// Keys that were read just before, as far as a kilobyte remembers them: eight bits of each are few, but more would
/// cost more lines of the processor's nearest cache, and what is taken for met by mistake is far below the threshold.
class Repeats {
 public:
  /// Whether this one was. It is remembered.
  bool note(uint64_t hash) {
    uint8_t& place = recent_[hash % kPlaces];
    const auto mark = static_cast<uint8_t>(hash >> 32);
    const bool met = place == mark;
    place = mark;
    return met;
  }

  static constexpr uint32_t kPlaces = 1024;

 private:
  std::array<uint8_t, kPlaces> recent_{};
};

}  // namespace corral::policy

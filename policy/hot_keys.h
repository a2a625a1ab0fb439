// The keys that are read the most, in one pass and bounded memory: Space-Saving.
// Source: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT
// 2005.
//
// kCounters keys are counted. A key that is not among them takes the place of the one that has the least, goes on from
// its count, and remembers that as how much too high its own may be. So, with N the sum of all that was counted,
//
//     count - error <= true count <= count,   error <= N / kCounters,
//
// and each key whose true count is above N / kCounters is there. What is told is count - error: never too high, and
// exact for a key that has been there from the start. In a stream by zipf 0.99 over a million keys the tenth hottest
// has 0.66% of all, and the bound is 0.024%: it is told within 4% of its true count, in fact much nearer.
//
// Counts decay: all of them, the errors and the time in which they were counted are halved every kHalfLifeMs. So count
// / time is a rate that weighs the last seconds most, and the bounds hold for counts weighted in this way.
//
// Only a sample is counted where there is much to count (ReadSampler), each with the weight of what it stands for. That
// adds an error of sampling: of n samples of a key, 1 / sqrt(n) of its count (one standard deviation). With 50,000
// samples a second the tenth hottest of that stream has 5,000 in a half-life, and is told within 1.4%.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::policy {

/// Which commands are looked at: on average every interval()th. The distances are random, so that what comes in a
/// pattern is not missed by another one.
class ReadSampler {
 public:
  static constexpr uint32_t kSamplesASecond = 50'000;
  static constexpr uint32_t kMostInterval = 1024;

  /// Once for each command: whether it is one of the sample. take() follows then.
  bool due() { return --left_ == 0; }
  /// How many commands this one stands for. `random` decides when the next is due.
  uint32_t take(uint64_t random) {
    const uint32_t weight = interval_;
    interval_ = wanted_;
    left_ = 1 + static_cast<uint32_t>(random % (2 * interval_ - 1));
    return weight;
  }
  /// So many commands came in the last `elapsed_ms`.
  void adapt(uint64_t commands, uint64_t elapsed_ms);
  uint32_t interval() const { return interval_; }

 private:
  uint32_t left_ = 1;
  uint32_t interval_ = 1;  // that the distance was drawn with
  uint32_t wanted_ = 1;
};

struct HotKey {
  std::string key;  // of a long one the beginning
  bool cut = false;
  uint64_t hash = 0;
  double reads_per_second = 0;  // never too high, but for the sampling
  double error = 0;             // how much too low it may be
};

class HotKeys {
 public:
  static constexpr uint32_t kCounters = 4096;
  static constexpr uint64_t kHalfLifeMs = 15'000;
  static constexpr size_t kMostKeyBytes = 110;  // that are kept of a key

  explicit HotKeys(uint64_t now_ms) : since_ms_(now_ms) {}

  /// `hash`: of the whole key, 64 good bits; keys are told apart by it. Allocates only while there are fewer than
  /// kCounters keys.
  void add(std::string_view key, uint64_t hash, double weight);
  /// To be called now and then, at least every few seconds.
  void decay(uint64_t now_ms);
  /// The hottest first.
  std::vector<HotKey> top(size_t most, uint64_t now_ms) const;
  size_t memory_bytes() const { return entries_.capacity() * sizeof(Entry) + sizeof(*this); }

 private:
  static constexpr uint32_t kPlaces = kCounters * 2;  // of the index
  static constexpr uint16_t kNone = UINT16_MAX;

  struct Entry {
    uint64_t hash = 0;
    double count = 0, error = 0;
    uint16_t heap_at = 0;
    uint8_t key_size = 0;
    bool cut = false;
    std::array<char, kMostKeyBytes> key;

    void set_key(std::string_view whole);
  };

  uint16_t find(uint64_t hash) const;
  void insert(uint16_t entry);
  void erase(uint64_t hash);
  uint16_t add_entry();
  void sift_down(uint32_t at);
  void sift_up(uint32_t at);
  void put(uint32_t at, uint16_t entry);
  double count_at(uint32_t at) const { return entries_[heap_[at]].count; }

  std::vector<Entry> entries_;
  std::vector<uint16_t> heap_;   // of entries, the least count first
  std::vector<uint16_t> index_;  // of entries, by hash: linear probing
  uint64_t since_ms_;            // of the last halving
  double earlier_ms_ = 0;        // the time before it, halved as often as the counts have been
};

/// Of several workers, added up; the hottest first.
std::vector<HotKey> merge_hot_keys(std::span<const std::vector<HotKey>> parts, size_t most);

}  // namespace corral::policy

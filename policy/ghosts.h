// What is remembered of entries that were evicted: when they were last used, and no more of their key than 16 bits of
// its hash. So a ghost costs six bytes, and a wrong one costs nothing but a misplaced newcomer, once.
//
// A hash table of buckets that fill a cache line each. Within its bucket the ghost that was used longest ago makes
// room, so that the table as a whole forgets about in the order of last use without a queue to say so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace corral::policy {

/// Times are whatever the caller counts, modulo 2^32. Hashes are to be well mixed in all their bits.
class Ghosts {
 public:
  static constexpr size_t kBucketSize = 10;

  Ghosts() : buckets_(1) {}

  /// Allocates nothing; may forget one that was used longer ago than the others of its bucket.
  void add(uint32_t hash, uint32_t last_used, uint32_t now);
  /// When what has this hash was last used, if that is still known. It is forgotten.
  std::optional<uint32_t> take(uint32_t hash);

  /// Doubles the room. Nothing is forgotten.
  void grow();

  size_t capacity() const { return buckets_.size() * kBucketSize; }
  size_t bytes() const { return buckets_.size() * sizeof(Bucket); }
  size_t bytes_grown() const { return 2 * bytes(); }

 private:
  /// A tag of 0 is a place not taken.
  struct alignas(64) Bucket {
    uint32_t last_used[kBucketSize] = {};
    uint16_t tags[kBucketSize] = {};
  };

  static uint16_t tag_of(uint32_t hash) {
    const uint16_t low = static_cast<uint16_t>(hash);
    return low == 0 ? 1 : low;
  }
  /// By the upper bits, so that a bucket's ghosts are found in one of two neighbours when there are twice as many.
  Bucket& bucket_of(uint32_t hash) { return buckets_[(uint64_t{hash} * buckets_.size()) >> 32]; }

  std::vector<Bucket> buckets_;
};

}  // namespace corral::policy

#include "policy/ghosts.h"

namespace corral::policy {

void Ghosts::add(uint32_t hash, uint32_t last_used, uint32_t now) {
  Bucket& bucket = bucket_of(hash);
  const uint16_t tag = tag_of(hash);
  size_t place = 0;
  uint32_t greatest_age = 0;
  for (size_t i = 0; i < kBucketSize; ++i) {
    if (bucket.tags[i] == tag ||
        bucket.tags[i] == 0) {  // places are taken from the first on, and given back from the last
      place = i;
      break;
    }
    const uint32_t age = now - bucket.last_used[i];
    if (age < greatest_age) continue;
    greatest_age = age;
    place = i;
  }
  bucket.tags[place] = tag;
  bucket.last_used[place] = last_used;
}

std::optional<uint32_t> Ghosts::take(uint32_t hash) {
  Bucket& bucket = bucket_of(hash);
  const uint16_t tag = tag_of(hash);
  size_t place = 0;
  while (place < kBucketSize && bucket.tags[place] != tag) ++place;
  if (place == kBucketSize) return std::nullopt;
  size_t last = kBucketSize - 1;
  while (bucket.tags[last] == 0) --last;
  const uint32_t last_used = bucket.last_used[place];
  bucket.tags[place] = bucket.tags[last];
  bucket.last_used[place] = bucket.last_used[last];
  bucket.tags[last] = 0;
  return last_used;
}

void Ghosts::grow() {
  // Which of the two neighbours a ghost belongs to is no longer known, so both get it. The wrong one is never asked for
  // and goes with age.
  std::vector<Bucket> wider(buckets_.size() * 2);
  for (size_t i = 0; i < wider.size(); ++i) wider[i] = buckets_[i / 2];
  buckets_ = std::move(wider);
}

}  // namespace corral::policy

#include "policy/big_keys.h"

#include <algorithm>
#include <utility>

namespace corral::policy {

namespace {

void sort(std::vector<BigKey>& keys) {
  std::stable_sort(keys.begin(), keys.end(), [](const BigKey& a, const BigKey& b) { return a.bytes > b.bytes; });
}

auto find(std::vector<BigKey>& keys, uint64_t hash) {
  return std::find_if(keys.begin(), keys.end(), [hash](const BigKey& key) { return key.hash == hash; });
}

}  // namespace

void BigKeys::note(std::string_view key, uint64_t hash, uint64_t bytes, uint64_t elements, std::string_view command,
                   uint64_t now_ms) {
  if (bytes < least_) return;
  const auto known = find(keys_, hash);
  if (known != keys_.end() && known->bytes == bytes) {
    known->seen_ms = now_ms;
    return;
  }
  BigKey seen{std::string(key.substr(0, kMostKeyBytes)), hash, bytes, elements, command, now_ms};
  known != keys_.end() ? void(*known = std::move(seen)) : keys_.push_back(std::move(seen));
  sort(keys_);
  if (keys_.size() > kMost) keys_.pop_back();
  update_least();
}

void BigKeys::forget(uint64_t now_ms) {
  std::erase_if(keys_, [now_ms](const BigKey& key) { return now_ms - key.seen_ms > kForgetMs; });
  update_least();
}

void BigKeys::update_least() { least_ = keys_.size() < kMost ? kLeastBytes : keys_.back().bytes; }

std::vector<BigKey> merge_big_keys(std::span<const std::vector<BigKey>> parts, size_t most) {
  std::vector<BigKey> all;
  for (const auto& part : parts) {
    for (const BigKey& key : part) {
      const auto same = find(all, key.hash);
      if (same == all.end()) {
        all.push_back(key);
      } else if (key.seen_ms > same->seen_ms) {  // as it was seen last
        *same = key;
      }
    }
  }
  sort(all);
  if (all.size() > most) all.resize(most);
  return all;
}

}  // namespace corral::policy

#include "policy/hot_keys.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <utility>

namespace corral::policy {

void ReadSampler::adapt(uint64_t commands, uint64_t elapsed_ms) {
  const uint64_t a_second = commands * 1000 / std::max<uint64_t>(elapsed_ms, 1);
  wanted_ = static_cast<uint32_t>(std::clamp<uint64_t>(a_second / kSamplesASecond, 1, kMostInterval));
}

void HotKeys::Entry::set_key(std::string_view whole) {
  cut = whole.size() > kMostKeyBytes;
  key_size = static_cast<uint8_t>(std::min(whole.size(), kMostKeyBytes));
  std::copy_n(whole.begin(), key_size, key.begin());
}

void HotKeys::add(std::string_view key, uint64_t hash, double weight) {
  uint16_t entry = find(hash);
  if (entry != kNone) {
    entries_[entry].count += weight;
    return sift_down(entries_[entry].heap_at);
  }
  const bool full = entries_.size() == kCounters;
  if (full) {
    entry = heap_[0];
    erase(entries_[entry].hash);
  } else {
    entry = add_entry();
  }
  Entry& counted = entries_[entry];
  counted.set_key(key);
  counted.hash = hash;
  counted.error = counted.count;
  counted.count += weight;
  insert(entry);
  full ? sift_down(0) : sift_up(counted.heap_at);
}

uint16_t HotKeys::add_entry() {
  if (entries_.empty()) {
    entries_.reserve(kCounters);
    heap_.reserve(kCounters);
    index_.assign(kPlaces, kNone);
  }
  const auto entry = static_cast<uint16_t>(entries_.size());
  entries_.emplace_back().heap_at = entry;
  heap_.push_back(entry);
  return entry;
}

// --- the index ---

uint16_t HotKeys::find(uint64_t hash) const {
  if (index_.empty()) return kNone;
  for (uint64_t place = hash;; ++place) {
    const uint16_t entry = index_[place % kPlaces];
    if (entry == kNone || entries_[entry].hash == hash) return entry;
  }
}

void HotKeys::insert(uint16_t entry) {
  uint64_t place = entries_[entry].hash;
  while (index_[place % kPlaces] != kNone) ++place;
  index_[place % kPlaces] = entry;
}

// What follows without a gap moves up, unless it is where its hash wants it (Knuth, volume 3, 6.4, algorithm R).
void HotKeys::erase(uint64_t hash) {
  uint64_t gap = hash;
  while (entries_[index_[gap % kPlaces]].hash != hash) ++gap;
  for (uint64_t place = gap + 1;; ++place) {
    const uint16_t entry = index_[place % kPlaces];
    if (entry == kNone) break;
    const uint64_t from_home = (place - entries_[entry].hash) % kPlaces;
    if (from_home < (place - gap) % kPlaces) continue;
    index_[gap % kPlaces] = entry;
    gap = place;
  }
  index_[gap % kPlaces] = kNone;
}

// --- the heap ---

void HotKeys::put(uint32_t at, uint16_t entry) {
  heap_[at] = entry;
  entries_[entry].heap_at = static_cast<uint16_t>(at);
}

void HotKeys::sift_down(uint32_t at) {
  const uint16_t moved = heap_[at];
  const double count = entries_[moved].count;
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && count_at(child + 1) < count_at(child)) ++child;
    if (count_at(child) >= count) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, moved);
}

void HotKeys::sift_up(uint32_t at) {
  const uint16_t moved = heap_[at];
  const double count = entries_[moved].count;
  for (; at > 0 && count_at((at - 1) / 2) > count; at = (at - 1) / 2) put(at, heap_[(at - 1) / 2]);
  put(at, moved);
}

// --- time ---

void HotKeys::decay(uint64_t now_ms) {
  while (now_ms - since_ms_ >= kHalfLifeMs) {
    since_ms_ += kHalfLifeMs;
    earlier_ms_ = (earlier_ms_ + kHalfLifeMs) / 2;
    for (Entry& entry : entries_) {
      entry.count /= 2;
      entry.error /= 2;
    }
  }
}

std::vector<HotKey> HotKeys::top(size_t most, uint64_t now_ms) const {
  const double seconds = std::max(earlier_ms_ + static_cast<double>(now_ms - since_ms_), 1.0) / 1000;
  const auto certain = [this](uint16_t entry) { return entries_[entry].count - entries_[entry].error; };
  std::vector<uint16_t> order = heap_;
  most = std::min(most, order.size());
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(most);
  std::partial_sort(order.begin(), end, order.end(),
                    [&](uint16_t a, uint16_t b) { return std::pair(certain(b), a) < std::pair(certain(a), b); });
  std::vector<HotKey> result;
  for (auto it = order.begin(); it != end; ++it) {
    const Entry& entry = entries_[*it];
    result.push_back(
        {{entry.key.data(), entry.key_size}, entry.cut, entry.hash, certain(*it) / seconds, entry.error / seconds});
  }
  return result;
}

std::vector<HotKey> merge_hot_keys(std::span<const std::vector<HotKey>> parts, size_t most) {
  std::vector<HotKey> all;
  std::unordered_map<uint64_t, size_t> places;  // by hash
  for (const auto& part : parts) {
    for (const HotKey& key : part) {
      const auto [place, is_new] = places.try_emplace(key.hash, all.size());
      if (is_new) {
        all.push_back(key);
      } else {
        all[place->second].reads_per_second += key.reads_per_second;
        all[place->second].error += key.error;
      }
    }
  }
  std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.reads_per_second > b.reads_per_second; });
  if (all.size() > most) all.resize(most);
  return all;
}

}  // namespace corral::policy

#include "proxy/core/tracking_table.h"

#include <algorithm>
#include <utility>

namespace corral::core {

namespace {

constexpr size_t kReadersAKey = 8;  // at most, on average: clients that have gone stay in it until the key changes

}  // namespace

void TrackingTable::add(std::string_view key, uint16_t slot, Reader reader) {
  auto it = entries_.find(key);
  if (it == entries_.end()) {
    const auto entry = order_.insert(order_.end(), Entry{std::string(key), slot, {}});
    it = entries_.emplace(entry->key, entry).first;
  }
  Readers& readers = it->second->readers;
  const auto place = std::lower_bound(readers.begin(), readers.end(), reader);
  if (place != readers.end() && *place == reader) return;
  readers.insert(place, reader);
  ++items_;
}

void TrackingTable::erase(Order::iterator entry) {
  items_ -= entry->readers.size();
  entries_.erase(entry->key);
  order_.erase(entry);
}

void TrackingTable::take(std::string_view key, LinkKind kind, uint64_t except, Readers& out) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  Readers& readers = it->second->readers;
  items_ -= std::erase_if(readers, [&](const Reader& reader) {
    if (reader.kind != kind || reader.client == except) return false;
    out.push_back(reader);
    return true;
  });
  if (readers.empty()) erase(it->second);
}

void TrackingTable::take_if(const Which& which,
                            const std::function<void(std::string_view key, const Reader& reader)>& taken) {
  for (auto entry = order_.begin(); entry != order_.end();) {
    const auto next = std::next(entry);
    items_ -= std::erase_if(entry->readers, [&](const Reader& reader) {
      if (!which(entry->key, entry->slot, reader)) return false;
      taken(entry->key, reader);
      return true;
    });
    if (entry->readers.empty()) erase(entry);
    entry = next;
  }
}

std::string_view TrackingTable::evict(Readers& out) {
  if (entries_.size() <= most_keys_ && items_ <= most_keys_ * kReadersAKey) return {};
  const auto oldest = order_.begin();
  out.insert(out.end(), oldest->readers.begin(), oldest->readers.end());
  evicted_ = oldest->key;
  erase(oldest);
  return evicted_;
}

}  // namespace corral::core

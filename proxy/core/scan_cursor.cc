#include "proxy/core/scan_cursor.h"

#include <algorithm>

#include "resp/slot.h"

namespace corral::core {

namespace {

constexpr int kTagShift = 30, kPeriodShift = 46;
constexpr int64_t kPeriods = 128;

}  // namespace

ScanCursor ScanCursor::begin(int64_t now_us) { return {0, 0, now_us / kPeriodUs * kPeriodUs}; }

std::optional<ScanCursor> ScanCursor::decode(uint64_t number, int64_t now_us) {
  if (number >> 53) return {};
  ScanCursor cursor;
  cursor.position = static_cast<uint32_t>(number & kMaxPosition);
  cursor.tag = static_cast<uint16_t>(number >> kTagShift);
  if (cursor.tag == 0) return {};
  // The latest period up to now that has this number.
  const int64_t now = now_us / kPeriodUs;
  const auto low = static_cast<int64_t>(number >> kPeriodShift);
  const int64_t age = ((now - low) % kPeriods + kPeriods) % kPeriods;
  cursor.began_us = (now - age) * kPeriodUs;
  return cursor;
}

uint64_t ScanCursor::encode() const {
  const auto period = static_cast<uint64_t>(began_us / kPeriodUs % kPeriods);
  return period << kPeriodShift | uint64_t{tag} << kTagShift | position;
}

std::vector<ScanStop> scan_order(std::span<const SlotMap::Master> masters) {
  struct Named {
    uint32_t tag;
    const SlotMap::Master* master;
  };
  std::vector<Named> named;
  for (const auto& master : masters) named.push_back({resp::crc16(master.name) % 0xFF00u + 1, &master});
  std::sort(named.begin(), named.end(), [](const Named& a, const Named& b) {
    return a.tag != b.tag ? a.tag < b.tag : a.master->name < b.master->name;
  });
  std::vector<ScanStop> stops;
  uint32_t last = 0;
  for (const Named& entry : named) {
    last = std::max(entry.tag, last + 1);
    stops.push_back({static_cast<uint16_t>(last), entry.master->id});
  }
  return stops;
}

}  // namespace corral::core

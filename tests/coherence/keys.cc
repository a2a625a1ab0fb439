#include "keys.h"

#include <charconv>
#include <cstdio>

#include "history.h"
#include "support/cluster.h"

namespace corral::test {
namespace {

constexpr int kSlotsOfGroup = kSlots / static_cast<int>(kGroups);
constexpr int kFirstSlot = 20;
constexpr int kStep = 150;  // between the slots of a group's keys, so that they are all over its range

struct Sort {
  Kind kind;
  bool may_vanish, expires;
};
constexpr Sort kSorts[kHotKeys] = {
    {Kind::kString, false, false}, {Kind::kString, false, false},  {Kind::kString, true, false},
    {Kind::kString, true, true},   {Kind::kString, true, true},    {Kind::kHash, false, false},
    {Kind::kHash, true, true},     {Kind::kList, true, false},     {Kind::kZset, true, false},
    {Kind::kSet, true, true},      {Kind::kCounter, false, false}, {Kind::kHashCounter, false, false}};

uint32_t checksum(std::string_view text) {  // FNV-1a
  uint32_t sum = 2166136261u;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
  return sum;
}

std::string value_head(size_t key, uint64_t version) {
  char text[kValueHead + 1];
  const int size = std::snprintf(text, sizeof text, "%020llu.%04zu.", static_cast<unsigned long long>(version), key);
  std::snprintf(text + size, sizeof text - static_cast<size_t>(size), "%08x",
                checksum(std::string_view(text, static_cast<size_t>(size))));
  return {text, kValueHead};
}

}  // namespace

std::vector<Key> make_keys() {
  std::vector<Key> keys;
  for (size_t i = 0; i < kKeys; ++i) {
    const Sort& sort = kSorts[(i + i / kHotKeys) % kHotKeys];  // shifted, so that each master has each sort
    const bool second_zset = sort.kind == Kind::kHashCounter && i / kHotKeys % 2 == 1;
    Key key{i, second_zset ? Kind::kZsetCounter : sort.kind, sort.may_vanish, sort.expires, 0, {}, {}};
    key.slot = static_cast<int>(i % kGroups) * kSlotsOfGroup + kFirstSlot + static_cast<int>(i / kGroups) * kStep;
    key.tag = tag_of_slot(key.slot);
    key.name = key.tag + (i < kHotKeys ? "hot:" : "warm:") + std::to_string(i);
    keys.push_back(std::move(key));
  }
  return keys;
}

std::string make_value(size_t key, uint64_t version) {
  return value_head(key, version) + std::string(version % kLengths, '.');
}

std::optional<uint64_t> version_in(std::string_view value, size_t key) {
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), version);
  if (error != std::errc() || value.substr(0, kValueHead) != value_head(key, version)) return std::nullopt;
  if (value.size() != kValueHead && value.size() != kValueHead + version % kLengths) return std::nullopt;
  return version;
}

}  // namespace corral::test

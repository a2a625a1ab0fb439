// The keys of the coherence test, and the values by which a read tells which write it saw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::test {

// What a key holds. Of the counters Redis itself makes the versions, by counting up.
enum class Kind : uint8_t { kString, kHash, kList, kZset, kSet, kCounter, kHashCounter, kZsetCounter };

struct Key {
  size_t index = 0;
  Kind kind = Kind::kString;
  bool may_vanish = false;  // is deleted now and then
  bool expires = false;     // gets TTLs; may vanish then, too
  int slot = 0;
  std::string name;
  std::string tag;  // brings other names to its slot

  bool counts() const { return kind >= Kind::kCounter; }
};

inline constexpr size_t kKeys = 96;
inline constexpr size_t kHotKeys = 12;  // the first ones: one of each sort
inline constexpr size_t kGroups = 3;    // key i belongs to master i % kGroups, at first

std::vector<Key> make_keys();

// A value that tells its version, its key, and by its length the version once more.
std::string make_value(size_t key, uint64_t version);
inline constexpr size_t kValueHead = 34;  // what is there whatever the version
// The version of a value of this key, or of its first kValueHead bytes; nothing if it is no such value.
std::optional<uint64_t> version_in(std::string_view value, size_t key);

}  // namespace corral::test

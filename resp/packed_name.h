// A command's name in three words, lower-cased, so that it is hashed and compared without a loop; and an index over
// such names that is built at compile time. Private to the command table.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace corral::resp {

/// The first eight bytes, the last eight and, of names longer than 16, the eight after the first. Shorter than eight:
/// all bytes, then zeros. With the length these words tell any two names of up to kMaxSize bytes apart.
struct PackedName {
  static constexpr size_t kMaxSize = 24;

  uint64_t first = 0, last = 0, middle = 0;
  uint64_t size = 0;

  static constexpr PackedName of(std::string_view name) {
    const char* p = name.data();
    size_t size = name.size();
    if (size >= 8) {
      uint64_t middle = size > 16 ? lower_word(load(p + 8, 8)) : 0;
      return {lower_word(load(p, 8)), lower_word(load(p + size - 8, 8)), middle, size};
    }
    return {lower_word(load_short(p, size)), 0, 0, size};
  }

  constexpr bool operator==(const PackedName&) const = default;

 private:
  /// `bytes` is a constant wherever this is called, so that it is one load.
  static constexpr uint64_t load(const char* p, size_t bytes) {
    uint64_t word = 0;
    if (std::is_constant_evaluated() || std::endian::native != std::endian::little) {
      for (size_t i = 0; i < bytes; i++) word |= static_cast<uint64_t>(static_cast<uint8_t>(p[i])) << (8 * i);
    } else {
      std::memcpy(&word, p, bytes);
    }
    return word;
  }

  /// Fewer than eight bytes, from two loads that may overlap.
  static constexpr uint64_t load_short(const char* p, size_t size) {
    if (size >= 4) return load(p, 4) | load(p + size - 4, 4) << (8 * (size - 4));
    if (size >= 2) return load(p, 2) | load(p + size - 2, 2) << (8 * (size - 2));
    return size == 1 ? load(p, 1) : 0;
  }

  /// A to Z become a to z in all eight bytes at once, others stay. With the high bit off, adding 0x3f carries a byte of
  /// 'A' or more into the high bit, and adding 0x25 one of more than 'Z'.
  static constexpr uint64_t lower_word(uint64_t word) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    uint64_t low_bits = word & 0x7f * kOnes;
    uint64_t is_upper = ((low_bits + 0x3f * kOnes) ^ (low_bits + 0x25 * kOnes)) & ~word & 0x80 * kOnes;
    return word | is_upper >> 2;
  }
};

/// Finds which of kCount names a name is: open addressing with linear probing in a table at most half full.
template <size_t kCount>
class NameIndex {
 public:
  /// Of name_at(0) ... name_at(kCount - 1), which are in lower case and at most kMaxSize long.
  template <typename NameAt>
  static consteval NameIndex of(NameAt name_at) {
    NameIndex index;
    for (size_t i = 0; i < kCount; i++) {
      if (name_at(i).size() > PackedName::kMaxSize || name_at(i).empty()) throw "a name that cannot be packed";
      PackedName name = PackedName::of(name_at(i));
      size_t slot = slot_of(name);
      while (index.slots_[slot].name.size != 0) slot = (slot + 1) % kSlots;
      index.slots_[slot] = {name, static_cast<uint32_t>(i)};
    }
    return index;
  }

  /// The name's number, kCount if it is not there.
  size_t find(std::string_view text) const {
    if (text.size() > PackedName::kMaxSize || text.empty()) return kCount;
    PackedName name = PackedName::of(text);
    for (size_t slot = slot_of(name);; slot = (slot + 1) % kSlots) {
      if (slots_[slot].name == name) return slots_[slot].number;
      if (slots_[slot].name.size == 0) return kCount;
    }
  }

 private:
  static constexpr size_t kSlots = std::bit_ceil(2 * kCount);

  struct Slot {
    PackedName name;
    uint32_t number = 0;
  };

  static constexpr size_t slot_of(const PackedName& name) {
    uint64_t mixed = (name.first ^ std::rotl(name.last, 23) ^ name.size << 56) * 0x9E3779B97F4A7C15;
    return mixed >> (64 - std::countr_zero(kSlots));
  }

  std::array<Slot, kSlots> slots_{};
};

}  // namespace corral::resp

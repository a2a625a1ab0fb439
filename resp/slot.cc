// CRC16 eight bytes at a time ("slicing"): table k holds the remainder of each byte followed by k zero bytes, so the
// lookups of a step do not wait for one another. The tables are computed by the compiler.
#include "resp/slot.h"

#include <array>
#include <cstddef>

namespace corral::resp {
namespace {

constexpr size_t kSlices = 8;  // measured for keys of 16 to 40 bytes: bench/micro
using Tables = std::array<std::array<uint16_t, 256>, kSlices>;

constexpr uint16_t shift_byte(uint16_t remainder) {
  for (int bit = 0; bit < 8; ++bit) {
    remainder = static_cast<uint16_t>(remainder & 0x8000 ? (remainder << 1) ^ 0x1021 : remainder << 1);
  }
  return remainder;
}

constexpr Tables make_tables() {
  Tables tables{};
  for (size_t byte = 0; byte < 256; ++byte) {
    auto remainder = static_cast<uint16_t>(byte << 8);
    for (auto& table : tables) table[byte] = remainder = shift_byte(remainder);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

uint16_t crc16(std::string_view bytes) {
  auto p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  uint16_t crc = 0;
  for (; left >= kSlices; left -= kSlices, p += kSlices) {
    crc = static_cast<uint16_t>(kTables[7][p[0] ^ (crc >> 8)] ^ kTables[6][p[1] ^ (crc & 0xFF)] ^ kTables[5][p[2]] ^
                                kTables[4][p[3]] ^ kTables[3][p[4]] ^ kTables[2][p[5]] ^ kTables[1][p[6]] ^
                                kTables[0][p[7]]);
  }
  for (; left > 0; --left) crc = static_cast<uint16_t>((crc << 8) ^ kTables[0][(crc >> 8) ^ *p++]);
  return crc;
}

uint16_t key_slot(std::string_view key) {
  const size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % kSlots;
}

}  // namespace corral::resp

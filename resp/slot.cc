// CRC16 eight bytes at a time ("slicing"): table k holds the remainder of each byte followed by k zero bytes, so the
// lookups of a step do not wait for one another; what is left goes by four, two and one. The tables are computed by the
// compiler.
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

/// The remainder after N more bytes, N at least 2.
template <size_t N>
uint16_t step(uint16_t crc, const unsigned char* p) {
  auto next = static_cast<uint16_t>(kTables[N - 1][p[0] ^ (crc >> 8)] ^ kTables[N - 2][p[1] ^ (crc & 0xFF)]);
  for (size_t i = 2; i < N; ++i) next ^= kTables[N - 1 - i][p[i]];
  return next;
}

}  // namespace

uint16_t crc16(std::string_view bytes) {
  auto p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  uint16_t crc = 0;
  for (; left >= kSlices; left -= kSlices, p += kSlices) crc = step<kSlices>(crc, p);
  if (left & 4) {
    crc = step<4>(crc, p);
    p += 4;
  }
  if (left & 2) {
    crc = step<2>(crc, p);
    p += 2;
  }
  if (left & 1) crc = static_cast<uint16_t>((crc << 8) ^ kTables[0][(crc >> 8) ^ *p]);
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

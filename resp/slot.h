// Which of the 16384 slots a key is in. Source: Redis Cluster specification, "Key distribution model" and "Hash tags".
#pragma once

#include <cstdint>
#include <string_view>

namespace corral::resp {

inline constexpr uint16_t kSlots = 16384;

/// CRC16/XMODEM (polynomial 0x1021, start 0).
uint16_t crc16(std::string_view bytes);

/// crc16 of the part between the first '{' and the first '}' after it if that is not empty, else of all; modulo 16384.
uint16_t key_slot(std::string_view key);

}  // namespace corral::resp

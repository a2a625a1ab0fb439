// Durations, sizes and addresses as people write them in the settings: text to value and back. Pure.
//
// Reading is strict (no spaces, no fractions, the unit is never left out), so that a setting has one meaning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace corral::config {

// "250ms", "5s", "10m", "2h", "1d" -> milliseconds.
std::optional<int64_t> parse_duration_ms(std::string_view text);
// The largest unit that needs no fraction: 60'000 -> "1m".
std::string format_duration(int64_t ms);

// "512B", "64KiB", "256MiB", "1GiB" -> bytes.
std::optional<uint64_t> parse_size(std::string_view text);
std::string format_size(uint64_t bytes);

// "HOST:PORT", "[v6]:PORT", either with "tls://" before it, or "unix:/path". A port is from 1 to 65535; an IPv6 address
// comes back in its shortest form.
std::optional<Address> parse_address(std::string_view text);
std::string format_address(const Address& address);

}  // namespace corral::config

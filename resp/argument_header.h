// Reads the line before an argument of a multibulk request ("$5") as Redis does, in its words where it is wrong.
// Private to the scanners of requests, so that a request that is collected and one that is passed on are judged alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "resp/decimal.h"
#include "resp/request_scanner.h"

namespace corral::resp {

/// The argument's length in bytes. `line` is without its line end, `argument_at` the argument's place in the frame.
/// None: `error` says why, as RequestScanner::error() does.
inline std::optional<uint32_t> read_argument_header(std::string_view line, uint64_t argument_at,
                                                    const RequestLimits& limits, std::string& error) {
  if (line.empty() || line[0] != '$') {
    error = "Protocol error: expected '$', got '";
    error += line.empty() ? '\r' : line[0];
    error += '\'';
    return std::nullopt;
  }
  const auto length = parse_decimal(line.substr(1));
  const bool invalid = !length || *length < 0;
  if (invalid || *length > int64_t{limits.max_bulk_bytes}) {
    const bool ever = !invalid && *length <= int64_t{RequestLimits{}.max_bulk_bytes};
    error = ever && !limits.authenticated ? "Protocol error: unauthenticated bulk length"
                                          : "Protocol error: invalid bulk length";
    return std::nullopt;
  }
  if (argument_at + static_cast<uint64_t>(*length) + 2 > limits.max_frame_bytes) {
    error = kQueryBufferError;
    return std::nullopt;
  }
  return static_cast<uint32_t>(*length);
}

}  // namespace corral::resp

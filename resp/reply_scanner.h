// Finds the end of a reply: every type of RESP2 and RESP3, nested at most 128 deep, attributes included.
//
// In place and resumable like RequestScanner: after kNeedMore call scan() with the same start and more bytes. It keeps no
// bytes and allocates nothing. Streamed forms ("$?", "*?" ...), which no Redis sends, are refused.
// Source: the RESP3 specification, https://github.com/redis/redis-specifications.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "resp/request_scanner.h"

namespace corral::resp {

class ReplyScanner {
 public:
  static constexpr int kMaxDepth = 128;

  /// Scans the reply that starts at data[0] and of which `size` bytes have arrived (more replies may follow).
  ScanStatus scan(const char* data, size_t size);

  /// After kFrame: the bytes of the reply, attributes before it included.
  size_t consumed() const { return pos_; }
  /// After kNeedMore: how many more bytes are missing at least; lets a caller reserve once for a large bulk. At least 1.
  size_t missing() const;
  /// After kError: what is wrong, for the log.
  std::string_view error() const { return error_; }
  void reset();

 private:
  // Implementer: yours to design.
  size_t pos_ = 0;
  std::string_view error_;
};

}  // namespace corral::resp

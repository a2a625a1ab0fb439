// Finds the requests in what a client sends: multibulk (*2\r\n$3\r\nGET\r\n...) and inline (GET k, with Redis' quoting).
//
// It works in place and can be resumed at any byte: after kNeedMore, call scan() again with the same frame start and
// more bytes (they may have moved), and it goes on where it stopped. It holds offsets only, and memory in proportion to
// the arguments that have arrived, never to what a header declares.
// Limits and messages are those of Redis 7.0, networking.c (processMultibulkBuffer, processInlineBuffer).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command.h"

namespace corral::resp {

enum class ScanStatus : uint8_t {
  kFrame,     // a whole frame was found
  kNeedMore,  // the bytes end inside a frame
  kError,     // not RESP, or past a limit: error() says what; the connection is of no more use
};

struct RequestLimits {
  uint32_t max_inline_bytes = 64 * 1024;
  uint32_t max_args = 1024 * 1024;
  uint32_t max_bulk_bytes = 512u * 1024 * 1024;
  uint32_t max_frame_bytes = 1024u * 1024 * 1024;  // client-query-buffer-limit

  /// What Redis allows a client that has not authenticated.
  static constexpr RequestLimits before_auth() { return {64 * 1024, 10, 16384, 1024u * 1024 * 1024}; }
};

class RequestScanner {
 public:
  /// Scans the frame that starts at data[0] and of which `size` bytes have arrived (more frames may follow).
  ScanStatus scan(const char* data, size_t size, const RequestLimits& limits);

  /// After kFrame: the bytes of `data` that the frame took, at least 1.
  size_t consumed() const { return pos_; }
  /// After kFrame: the request. Without arguments (an empty line, "*0", "*-1") it is to be skipped, as Redis does.
  /// Points into `data`, or for an inline request into the scanner, until the next scan() or reset().
  Command command(const char* data) const;

  /// After kError: "Protocol error: ..." in Redis' own words, without the "-ERR " before and the CRLF after.
  std::string_view error() const { return error_; }

  /// After kNeedMore: the argument that is being received, if its length is known; declared is 0 if none is.
  struct Partial {
    uint32_t arg;       // its index
    uint32_t offset;    // of its first byte in the frame
    uint32_t declared;  // its length in bytes, checked against the limits
  };
  Partial partial() const;

  /// Ready for the next frame. Keeps its memory unless that has grown unusually large.
  void reset();

 private:
  // Implementer: yours to design. Keep pos_ (resume position while scanning; frame end after kFrame) and error_.
  size_t pos_ = 0;
  std::string_view error_;
};

}  // namespace corral::resp

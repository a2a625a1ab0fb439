// Finds the requests in what a client sends: multibulk (*2\r\n$3\r\nGET\r\n...) and inline (GET k, with Redis'
// quoting).
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
#include <utility>
#include <vector>

#include "resp/command.h"

namespace corral::resp {

enum class ScanStatus : uint8_t {
  kFrame,     // a whole frame was found
  kNeedMore,  // the bytes end inside a frame
  kError,     // not RESP, or past a limit: error() says what; the connection is of no more use
};

inline constexpr std::string_view kQueryBufferError = "Protocol error: request exceeds the query buffer limit";

struct RequestLimits {
  uint32_t max_inline_bytes = 64 * 1024;
  uint32_t max_args = 0x7FFFFFFF;  // Redis before 7.0: 1024 * 1024
  uint32_t max_bulk_bytes = 512u * 1024 * 1024;
  uint32_t max_frame_bytes = 1024u * 1024 * 1024;  // client-query-buffer-limit
  bool authenticated = true;                       // false: what passes max_args or max_bulk_bytes is called so

  /// What Redis allows a client that has not authenticated.
  static constexpr RequestLimits before_auth() { return {64 * 1024, 10, 16384, 1024u * 1024 * 1024, false}; }
};

class RequestScanner {
 public:
  RequestScanner() = default;
  /// Moving and swapping take the resume state along; what was moved from is as new.
  RequestScanner(RequestScanner&& other) noexcept { swap(other); }
  RequestScanner& operator=(RequestScanner&& other) noexcept {
    RequestScanner taken(std::move(other));
    swap(taken);
    return *this;
  }
  void swap(RequestScanner& other) noexcept;
  friend void swap(RequestScanner& a, RequestScanner& b) noexcept { a.swap(b); }

  /// Scans the frame that starts at data[0] and of which `size` bytes have arrived (more frames may follow).
  /// After kFrame the next call starts a new frame, also without reset(). After kError it stays kError.
  ScanStatus scan(const char* data, size_t size, const RequestLimits& limits);

  /// After kFrame: the bytes of `data` that the frame took, at least 1.
  size_t consumed() const { return pos_; }
  /// After kFrame: the request. Without arguments (an empty line, "*0", "*-1") it is to be skipped, as Redis does.
  /// Points into `data`, or for an inline request into the scanner, until the next scan() or reset().
  Command command(const char* data) const;

  /// After kError: "Protocol error: ..." in Redis' own words, without the "-ERR " before and the CRLF after.
  std::string_view error() const {
    return state_ == State::kFailed && error_.empty() ? std::string_view(text_) : error_;
  }

  /// After kError: it was for more arguments than max_args allows, though not for more than anybody may send.
  bool too_many_arguments() const { return too_many_; }

  /// After kNeedMore: the argument that is being received, if its length is known; declared is 0 if none is.
  struct Partial {
    uint32_t arg;       // its index
    uint32_t offset;    // of its first byte in the frame; of its header's, if that is not whole
    uint32_t declared;  // its length in bytes, checked against the limits
    bool length_known;  // its header is whole; tells an empty argument from none
  };
  Partial partial() const;

  /// After kNeedMore: what is there of the request, so that a caller may know the command and its key before a large
  /// argument has arrived.
  struct Head {
    Command command;    // with the arguments that have wholly arrived; its bytes are no frame yet
    uint32_t declared;  // how many arguments there will be, more than there are; 0: not known yet, or inline
  };
  /// Points into `data` and the scanner, until the next scan() or reset().
  Head head(const char* data) const;

  /// Ready for the next frame. Keeps its memory unless that has grown unusually large.
  void reset();

 private:
  enum class State : uint8_t {
    kIdle,      // no frame begun, or the last one is whole
    kCount,     // in "*3\r\n"
    kLength,    // in "$5\r\n" or before it
    kArgument,  // in an argument or in the two bytes after it
    kInline,    // in a line that does not begin with '*'
    kFailed,
  };
  struct LineEnd {
    ScanStatus status;
    size_t at;
  };

  ScanStatus resume(const char* data, size_t size, const RequestLimits& limits);
  ScanStatus scan_count(const char* data, size_t size, const RequestLimits& limits);
  ScanStatus scan_arguments(const char* data, size_t size, const RequestLimits& limits);
  void scan_ordinary_arguments(const char* data, size_t size, const RequestLimits& limits);
  ScanStatus scan_argument(const char* data, size_t size, const RequestLimits& limits);
  ScanStatus scan_length(const char* data, size_t size, const RequestLimits& limits);
  ScanStatus accept_count(int64_t count, size_t header_end, const RequestLimits& limits);
  ScanStatus scan_inline(const char* data, size_t size, const RequestLimits& limits);
  void rewrite_inline(std::string_view words);
  LineEnd find_line_end(char mark, const char* data, size_t size, const RequestLimits& limits,
                        std::string_view too_big);
  ScanStatus finish();
  ScanStatus fail(std::string_view error);

  size_t pos_ = 0;           // of the line or argument that is being scanned; after kFrame: of the frame's end
  size_t searched_ = 0;      // the line at pos_ does not end before here
  std::vector<Slice> args_;  // the first argc_ are the arguments found; grows with them
  std::string text_;         // the inline request in multibulk form, or an error that had to be composed
  std::string_view error_;   // of static storage; empty: see text_
  uint32_t argc_ = 0;        // arguments found
  uint32_t declared_ = 0;    // arguments there will be
  uint32_t length_ = 0;      // kArgument: of the argument at pos_
  State state_ = State::kIdle;
  bool too_many_ = false;  // after kError: see too_many_arguments()
  bool inline_ = false;    // after kFrame: the request is in text_
};

}  // namespace corral::resp

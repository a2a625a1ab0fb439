// Follows a request to its end while its bytes are passed on as they come: for one that is too large to be collected,
// such as SET key <512 MiB> EX 10.
//
// It begins where a RequestScanner has seen the first arguments (RequestScanner::head(): enough to know the command and
// its key) and holds counters only, and the start of a header that is cut. It finds the end, or what is wrong, at the
// very byte at which the scanner would, and says it in the same words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "resp/request_scanner.h"

namespace corral::resp {

class RequestStream {
 public:
  struct Result {
    ScanStatus status;  // kFrame: the request is whole
    size_t used;        // bytes that belong to the request; all unless it is whole. After kError without meaning
  };

  /// After scanner.scan(data, size, limits) said kNeedMore, with scanner.head(data).declared above 0. All of `data` is
  /// taken into account; what comes behind it is for feed(). Neither scanner nor data is needed afterwards.
  RequestStream(const RequestScanner& scanner, const char* data, size_t size, const RequestLimits& limits);

  /// The next bytes, which may lie anywhere. After kFrame none are used, after kError it stays kError.
  Result feed(const char* data, size_t size);

  /// After kError: as RequestScanner::error(). The connection is of no more use, nor is the one that the request was
  /// passed on to.
  std::string_view error() const { return error_; }

 private:
  enum class State : uint8_t {
    kHeader,     // in "$5\r" or before it
    kHeaderEnd,  // at the byte after the '\r', which is skipped unseen
    kArgument,   // in an argument or in the two bytes after it
    kWhole,
    kFailed,
  };
  static constexpr size_t kKeptHeader = 24;  // bytes; a longer line holds no number

  size_t take(const char* data, size_t size);
  size_t take_header(const char* data, size_t size);
  size_t end_header();
  size_t take_argument(size_t size);

  RequestLimits limits_;
  uint64_t pos_;              // in the frame, of the next byte
  uint64_t left_ = 0;         // kArgument: its bytes and the two after it that are still to come
  uint32_t args_left_;        // the one under way included
  uint32_t header_size_ = 0;  // bytes of the header so far; the first of them are in header_
  State state_ = State::kHeader;
  std::array<char, kKeptHeader> header_;
  std::string error_;
};

}  // namespace corral::resp

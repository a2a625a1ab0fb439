// Finds the end of a reply: every type of RESP2 and RESP3, nested to any depth (a script may answer with some thousand
// levels), attributes included.
//
// In place and resumable like RequestScanner: after kNeedMore call scan() with the same start and more bytes. It keeps
// no bytes and allocates nothing. Of a reply that is passed on before it has wholly arrived, the caller need not keep
// what has been looked at either: passable() and drop(). Streamed forms ("$?", "*?" ...), which no Redis sends, are
// refused. Source: the RESP3 specification, https://github.com/redis/redis-specifications.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "resp/request_scanner.h"

namespace corral::resp {

class ReplyScanner {
 public:
  static constexpr int64_t kMaxBulkBytes = int64_t{4} * 1024 * 1024 * 1024;
  static constexpr int64_t kMaxElements = 0x7FFFFFFF;  // pairs, of a map

  /// Scans the reply that starts at data[0] and of which `size` bytes have arrived (more replies may follow).
  /// After kFrame the next call starts a new reply, also without reset(). After kError it stays kError.
  ScanStatus scan(const char* data, size_t size);

  /// After kFrame: the bytes of the reply, attributes before it included.
  size_t consumed() const { return pos_; }
  /// After kNeedMore: how many more bytes are missing at least; lets a caller reserve once for a large bulk. At
  /// least 1.
  size_t missing() const { return missing_; }
  /// After kNeedMore of `size` bytes: how many of them, from the first, will not be looked at again. All but a few:
  /// the start of a header, a '\r' whose '\n' is still to come.
  size_t passable(size_t size) const;
  /// Gives up the first `n` bytes, at most passable(): from now on the reply starts for scan() and consumed() at what
  /// was data[n].
  void drop(size_t n);
  /// After kError: what is wrong, for the log.
  std::string_view error() const { return error_; }
  void reset();

 private:
  enum class State : uint8_t {
    kIdle,     // no reply begun, or the last one is whole
    kElement,  // at the first byte of a reply or element, or in the header of a bulk or an aggregate
    kLine,     // in a line: simple string, error, number ...
    kBulk,     // in a bulk's bytes or in the CRLF after them
    kFailed,
  };
  struct Header {
    ScanStatus status;
    int64_t value;  // the number in it
    size_t end;     // of its CRLF
  };

  void scan_whole_elements(const char* data, size_t size);
  ScanStatus scan_element(const char* data, size_t size);
  ScanStatus begin_element(const char* data, size_t size);
  ScanStatus scan_line(const char* data, size_t size);
  ScanStatus begin_bulk(const char* data, size_t size);
  ScanStatus scan_bulk(const char* data, size_t size);
  ScanStatus begin_aggregate(const char* data, size_t size);
  Header read_header(const char* data, size_t size);
  ScanStatus element_ends(size_t end);
  ScanStatus need_more(size_t missing);
  ScanStatus fail(std::string_view error);

  size_t pos_ = 0;   // of the element that is being scanned; after kFrame: of the reply's end
  size_t mark_ = 0;  // kLine: the line does not end before here. kBulk: where it ends, CRLF included
  size_t missing_ = 1;
  std::string_view error_;
  State state_ = State::kIdle;
  static constexpr uint64_t kMaxLeft = uint64_t{1} << 62;
  // Elements still to begin, of the reply and all its aggregates; at first the reply itself. An attribute is one element
  // more than its aggregate declares.
  uint64_t left_ = 0;
};

}  // namespace corral::resp

// Nearly all replies and most elements are scalars that have arrived whole: scalar_size() finds their end at once, and
// says "not so" to everything else, which then goes through the states. No recursion, and no depth: it is enough to count the elements that
// are still to begin.
#include "resp/reply_scanner.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "resp/decimal.h"

namespace corral::resp {
namespace {

constexpr size_t kShortLine = 32;    // bytes that are searched one by one; a longer line is memchr's
constexpr size_t kShortestBulk = 6;  // bytes: "$0\r\n\r\n"
constexpr size_t kMaxHeader = 24;    // bytes: '$', a sign, 19 digits, CRLF and a little

inline bool is_crlf(const char* p) { return p[0] == '\r' && p[1] == '\n'; }

/// The bytes of the scalar at p if it is of an ordinary form and whole. 0: an aggregate, unfinished, long, or wrong.
inline size_t scalar_size(const char* p, size_t size) {
  if (size < 3) return 0;
  switch (p[0]) {
    case '$': {
      uint32_t length = 0;
      const size_t header = size < kShortestBulk ? 0 : short_header(p, '$', length);
      if (header == 0) return size >= 5 && std::memcmp(p, "$-1\r\n", 5) == 0 ? 5 : 0;
      const size_t end = header + length;
      return p[header - 1] == '\n' && end + 2 <= size && is_crlf(p + end) ? end + 2 : 0;
    }
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(': {
      const size_t last = std::min(size - 2, kShortLine);
      size_t i = 1;
      while (i < last && p[i] != '\r') ++i;
      return is_crlf(p + i) ? i + 2 : 0;
    }
    default:
      return 0;
  }
}

}  // namespace

ScanStatus ReplyScanner::scan(const char* data, size_t size) {
  if (state_ == State::kIdle) {
    if (const size_t whole = scalar_size(data, size)) {
      pos_ = whole;
      return ScanStatus::kFrame;
    }
    reset();
    left_ = 1;
    state_ = State::kElement;
  }
  for (;;) {
    if (state_ == State::kElement) {
      scan_whole_elements(data, size);
      if (left_ == 0) {
        state_ = State::kIdle;
        return ScanStatus::kFrame;
      }
    }
    const ScanStatus status = scan_element(data, size);
    if (status != ScanStatus::kFrame) return status;
  }
}

/// Takes scalars as long as they are ordinary and whole.
void ReplyScanner::scan_whole_elements(const char* data, size_t size) {
  assert(pos_ <= size);
  uint64_t left = left_;
  size_t pos = pos_;
  while (left > 0) {
    const size_t whole = scalar_size(data + pos, size - pos);
    if (whole == 0) break;
    pos += whole;
    --left;
  }
  left_ = left;
  pos_ = pos;
}

/// Takes one scalar of any form, or the header of an aggregate. kFrame: done.
ScanStatus ReplyScanner::scan_element(const char* data, size_t size) {
  switch (state_) {
    case State::kElement:
      return begin_element(data, size);
    case State::kLine:
      return scan_line(data, size);
    case State::kBulk:
      return scan_bulk(data, size);
    case State::kIdle:
    case State::kFailed:
      break;
  }
  return ScanStatus::kError;
}

ScanStatus ReplyScanner::begin_element(const char* data, size_t size) {
  if (pos_ == size) return need_more(1);
  switch (data[pos_]) {
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(':
      state_ = State::kLine;
      mark_ = pos_ + 1;
      return scan_line(data, size);
    case '$':
    case '!':
    case '=':
      return begin_bulk(data, size);
    case '*':
    case '~':
    case '%':
    case '>':
    case '|':
      return begin_aggregate(data, size);
    case ';':
    case '.':
      return fail("streamed replies are not supported");
    default:
      return fail("unknown type of reply");
  }
}

ScanStatus ReplyScanner::scan_line(const char* data, size_t size) {
  const void* const found = mark_ < size ? std::memchr(data + mark_, '\r', size - mark_) : nullptr;
  if (found == nullptr) {
    mark_ = size;
    return need_more(1);
  }
  const size_t at = static_cast<size_t>(static_cast<const char*>(found) - data);
  mark_ = at;
  if (at + 1 == size) return need_more(1);
  if (data[at + 1] != '\n') return fail("CR without LF in a line");
  return element_ends(at + 2);
}

ScanStatus ReplyScanner::begin_bulk(const char* data, size_t size) {
  const Header header = read_header(data, size);
  if (header.status != ScanStatus::kFrame) return header.status;
  if (header.value == -1 && data[pos_] == '$') return element_ends(header.end);
  if (header.value < 0 || header.value > kMaxBulkBytes) return fail("invalid length of a bulk");
  mark_ = header.end + static_cast<size_t>(header.value) + 2;
  state_ = State::kBulk;
  return scan_bulk(data, size);
}

ScanStatus ReplyScanner::scan_bulk(const char* data, size_t size) {
  if (size < mark_) return need_more(mark_ - size);
  if (!is_crlf(data + mark_ - 2)) return fail("a bulk does not end where it says");
  return element_ends(mark_);
}

ScanStatus ReplyScanner::begin_aggregate(const char* data, size_t size) {
  const Header header = read_header(data, size);
  if (header.status != ScanStatus::kFrame) return header.status;
  const char type = data[pos_];
  if (header.value == -1 && type == '*') return element_ends(header.end);
  if (header.value < 0 || header.value > kMaxElements) return fail("invalid length of an aggregate");
  if (left_ > kMaxLeft) return fail("announces too many elements");
  const bool pairs = type == '%' || type == '|';
  if (type != '|') --left_;
  left_ += static_cast<uint64_t>(header.value) * (pairs ? 2 : 1);
  pos_ = header.end;
  return ScanStatus::kFrame;
}

/// The header of the bulk or aggregate at pos_, '$' or the like included. It is so short that looking at it again after
/// kNeedMore costs nothing.
ReplyScanner::Header ReplyScanner::read_header(const char* data, size_t size) {
  const char* const start = data + pos_;
  const size_t arrived = size - pos_;
  const void* const found = std::memchr(start, '\r', std::min(arrived, kMaxHeader));
  const size_t at = found ? static_cast<size_t>(static_cast<const char*>(found) - start) : arrived;
  if (found == nullptr && arrived >= kMaxHeader) return {fail("header too long"), 0, 0};
  if (at + 1 >= arrived) return {need_more(1), 0, 0};
  if (start[at + 1] != '\n') return {fail("CR without LF in a header"), 0, 0};
  if (start[1] == '?') return {fail("streamed replies are not supported"), 0, 0};
  const auto value = parse_decimal({start + 1, at - 1});
  if (!value) return {fail("invalid number in a header"), 0, 0};
  return {ScanStatus::kFrame, *value, pos_ + at + 2};
}

ScanStatus ReplyScanner::element_ends(size_t end) {
  pos_ = end;
  --left_;
  state_ = State::kElement;
  return ScanStatus::kFrame;
}

ScanStatus ReplyScanner::need_more(size_t missing) {
  missing_ = missing;
  return ScanStatus::kNeedMore;
}

ScanStatus ReplyScanner::fail(std::string_view error) {
  error_ = error;
  state_ = State::kFailed;
  return ScanStatus::kError;
}

size_t ReplyScanner::passable(size_t size) const {
  switch (state_) {
    case State::kElement:
      return pos_;
    case State::kLine:
      return mark_;
    case State::kBulk:
      return std::min(size, mark_ - 2);
    case State::kIdle:
    case State::kFailed:
      break;
  }
  return 0;
}

/// Either may come to lie before the new start only where it is not looked at: pos_ in a line or a bulk, until that
/// ends, and mark_ outside of them.
void ReplyScanner::drop(size_t n) {
  pos_ -= std::min(pos_, n);
  mark_ -= std::min(mark_, n);
}

void ReplyScanner::reset() {
  pos_ = mark_ = 0;
  missing_ = 1;
  error_ = {};
  state_ = State::kIdle;
}

}  // namespace corral::resp

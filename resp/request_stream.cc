#include "resp/request_stream.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "resp/argument_header.h"

namespace corral::resp {

RequestStream::RequestStream(const RequestScanner& scanner, const char* data, size_t size, const RequestLimits& limits)
    : limits_(limits) {
  const RequestScanner::Partial partial = scanner.partial();
  const uint32_t declared = scanner.head(data).declared;
  assert(declared > partial.arg && partial.offset <= size);
  pos_ = partial.offset;
  args_left_ = declared - partial.arg;
  if (partial.length_known) {
    left_ = uint64_t{partial.declared} + 2;
    state_ = State::kArgument;
  }
  [[maybe_unused]] const Result seen = feed(data + partial.offset, size - partial.offset);
  assert(seen.status == ScanStatus::kNeedMore);
}

RequestStream::Result RequestStream::feed(const char* data, size_t size) {
  size_t used = 0;
  while (used < size && state_ != State::kWhole && state_ != State::kFailed) {
    const size_t taken = take(data + used, size - used);
    used += taken;
    pos_ += taken;
  }
  if (state_ == State::kFailed) return {ScanStatus::kError, used};
  return {state_ == State::kWhole ? ScanStatus::kFrame : ScanStatus::kNeedMore, used};
}

/// Takes at least one byte; how many.
size_t RequestStream::take(const char* data, size_t size) {
  switch (state_) {
    case State::kHeader:
      return take_header(data, size);
    case State::kHeaderEnd:
      return end_header();
    case State::kArgument:
      return take_argument(size);
    case State::kWhole:
    case State::kFailed:
      break;
  }
  return size;
}

size_t RequestStream::take_header(const char* data, size_t size) {
  const size_t searched = std::min<size_t>(size, size_t{limits_.max_inline_bytes} + 1 - header_size_);
  const void* const found = std::memchr(data, '\r', searched);
  const size_t length = found ? static_cast<size_t>(static_cast<const char*>(found) - data) : searched;
  if (header_size_ < kKeptHeader) {
    std::copy_n(data, std::min(length, kKeptHeader - header_size_), header_.begin() + header_size_);
  }
  header_size_ += static_cast<uint32_t>(length);
  if (found != nullptr) {
    state_ = State::kHeaderEnd;
    return length + 1;
  }
  if (header_size_ > limits_.max_inline_bytes) {
    error_ = "Protocol error: too big bulk count string";
    state_ = State::kFailed;
  }
  return length;
}

/// At the byte behind the '\r': only then does the scanner judge the header.
size_t RequestStream::end_header() {
  const std::string_view line(header_.data(), std::min<size_t>(header_size_, kKeptHeader));
  const auto length = read_argument_header(line, pos_ + 1, limits_, error_);
  header_size_ = 0;
  left_ = uint64_t{length.value_or(0)} + 2;
  state_ = length ? State::kArgument : State::kFailed;
  return 1;
}

size_t RequestStream::take_argument(size_t size) {
  const size_t taken = std::min<uint64_t>(size, left_);
  left_ -= taken;
  if (left_ == 0) state_ = --args_left_ == 0 ? State::kWhole : State::kHeader;
  return taken;
}

}  // namespace corral::resp

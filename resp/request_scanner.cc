// The way of nearly every request is begin -> scan_ordinary_arguments: lengths of one to three digits, everything
// there. Whatever that does not take (long lengths, an unfinished tail, errors) goes argument by argument through the
// states.
//
// Framing follows Redis to the byte, since the frame is forwarded as it came and the server must see the same one: a
// header ends at its '\r' and the byte after it is skipped unseen, as are the two bytes after an argument.
#include "resp/request_scanner.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>
#include <limits>

#include "resp/argument_header.h"
#include "resp/decimal.h"
#include "resp/inline_words.h"

namespace corral::resp {
namespace {

constexpr size_t kFirstArgs = 16;        // room for arguments that is made at first
constexpr size_t kKeptArgs = 1024;       // and what reset() leaves at most
constexpr size_t kKeptText = 4 * 1024;   // bytes, likewise
constexpr size_t kShortestArgument = 6;  // "$0\r\n\r\n"

void append_header(std::string& out, char mark, uint32_t value) {
  char digits[10];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out += mark;
  out.append(digits, end);
  out += "\r\n";
}

}  // namespace

ScanStatus RequestScanner::scan(const char* data, size_t size, const RequestLimits& limits) {
  if (state_ != State::kIdle) return resume(data, size, limits);
  reset();
  if (size == 0) return ScanStatus::kNeedMore;
  if (data[0] != '*') {
    state_ = State::kInline;
    return scan_inline(data, size, limits);
  }
  uint32_t count = 0;
  if (size >= kShortestArgument) {
    if (const size_t header = short_header(data, '*', count)) {
      const ScanStatus status = accept_count(count, header, limits);
      return status == ScanStatus::kNeedMore ? scan_arguments(data, size, limits) : status;
    }
  }
  state_ = State::kCount;
  return scan_count(data, size, limits);
}

ScanStatus RequestScanner::resume(const char* data, size_t size, const RequestLimits& limits) {
  switch (state_) {
    case State::kCount:
      return scan_count(data, size, limits);
    case State::kLength:
    case State::kArgument:
      return scan_arguments(data, size, limits);
    case State::kInline:
      return scan_inline(data, size, limits);
    case State::kIdle:
    case State::kFailed:
      break;
  }
  return ScanStatus::kError;
}

ScanStatus RequestScanner::scan_count(const char* data, size_t size, const RequestLimits& limits) {
  const LineEnd line = find_line_end('\r', data, size, limits, "Protocol error: too big mbulk count string");
  if (line.status != ScanStatus::kFrame) return line.status;
  const auto count = parse_decimal({data + 1, line.at - 1});
  if (!count) return fail("Protocol error: invalid multibulk length");
  const ScanStatus status = accept_count(*count, line.at + 2, limits);
  return status == ScanStatus::kNeedMore ? scan_arguments(data, size, limits) : status;
}

/// kNeedMore: arguments follow.
ScanStatus RequestScanner::accept_count(int64_t count, size_t header_end, const RequestLimits& limits) {
  if (count > int64_t{limits.max_args}) {
    const bool too_many = count <= std::numeric_limits<int32_t>::max();
    fail(limits.authenticated || !too_many ? "Protocol error: invalid multibulk length"
                                           : "Protocol error: unauthenticated multibulk length");
    too_many_ = too_many;
    return ScanStatus::kError;
  }
  pos_ = header_end;
  if (count <= 0) return finish();
  declared_ = static_cast<uint32_t>(count);
  state_ = State::kLength;
  return ScanStatus::kNeedMore;
}

ScanStatus RequestScanner::scan_arguments(const char* data, size_t size, const RequestLimits& limits) {
  if (args_.empty()) args_.resize(kFirstArgs);
  for (;;) {
    if (state_ == State::kLength) scan_ordinary_arguments(data, size, limits);
    if (argc_ == declared_) return finish();
    const ScanStatus status = scan_argument(data, size, limits);
    if (status != ScanStatus::kFrame) return status;
  }
}

/// Takes arguments as long as they are short, whole and within the limits, and there is room for them in args_.
void RequestScanner::scan_ordinary_arguments(const char* data, size_t size, const RequestLimits& limits) {
  const char* p = data + pos_;
  const char* const end = data + std::min<size_t>(size, limits.max_frame_bytes);
  Slice* out = args_.data() + argc_;
  Slice* const out_end = args_.data() + std::min<size_t>(args_.size(), declared_);
  while (out != out_end && end - p >= static_cast<ptrdiff_t>(kShortestArgument)) {
    uint32_t length = 0;
    const size_t header = short_header(p, '$', length);
    if (header == 0 || length > limits.max_bulk_bytes) break;
    const char* const argument = p + header;
    if (end - argument < static_cast<ptrdiff_t>(length) + 2) break;
    *out++ = {static_cast<uint32_t>(argument - data), length};
    p = argument + length + 2;
  }
  argc_ = static_cast<uint32_t>(out - args_.data());
  pos_ = static_cast<size_t>(p - data);
}

/// Takes one argument of any form. kFrame: it is whole.
ScanStatus RequestScanner::scan_argument(const char* data, size_t size, const RequestLimits& limits) {
  if (state_ == State::kLength) {
    const ScanStatus status = scan_length(data, size, limits);
    if (status != ScanStatus::kFrame) return status;
  }
  assert(pos_ <= size);
  if (size - pos_ < size_t{length_} + 2) return ScanStatus::kNeedMore;
  if (argc_ == args_.size()) args_.resize(args_.size() * 2);
  args_[argc_++] = {static_cast<uint32_t>(pos_), length_};
  pos_ += size_t{length_} + 2;
  state_ = State::kLength;
  return ScanStatus::kFrame;
}

ScanStatus RequestScanner::scan_length(const char* data, size_t size, const RequestLimits& limits) {
  const LineEnd line = find_line_end('\r', data, size, limits, "Protocol error: too big bulk count string");
  if (line.status != ScanStatus::kFrame) return line.status;
  const size_t argument = line.at + 2;
  const auto length = read_argument_header({data + pos_, line.at - pos_}, argument, limits, text_);
  if (!length) return fail({});
  pos_ = argument;
  length_ = *length;
  state_ = State::kArgument;
  return ScanStatus::kFrame;
}

ScanStatus RequestScanner::scan_inline(const char* data, size_t size, const RequestLimits& limits) {
  const LineEnd line = find_line_end('\n', data, size, limits, "Protocol error: too big inline request");
  if (line.status != ScanStatus::kFrame) return line.status;
  const bool cr = line.at > 0 && data[line.at - 1] == '\r';
  std::string words;
  const int count = split_inline_words({data, line.at - (cr ? 1 : 0)}, words, args_);
  if (count < 0) return fail("Protocol error: unbalanced quotes in request");
  argc_ = static_cast<uint32_t>(count);
  rewrite_inline(words);
  pos_ = line.at + 1;
  inline_ = true;
  return finish();
}

/// Puts the words that args_ points at into text_ in multibulk form, and has args_ point there.
void RequestScanner::rewrite_inline(std::string_view words) {
  text_.clear();
  append_header(text_, '*', argc_);
  for (uint32_t i = 0; i < argc_; ++i) {
    const std::string_view word = words.substr(args_[i].offset, args_[i].length);
    append_header(text_, '$', args_[i].length);
    args_[i].offset = static_cast<uint32_t>(text_.size());
    text_ += word;
    text_ += "\r\n";
  }
}

/// The place of the first `mark` from pos_ on, no byte being searched twice. A '\r' counts once the byte after it has
/// arrived. Redis looks at its limit only when there is no line end among the bytes that it happened to read; here it
/// is always the first max_inline_bytes + 1, so that the outcome does not depend on how the bytes arrive.
RequestScanner::LineEnd RequestScanner::find_line_end(char mark, const char* data, size_t size,
                                                      const RequestLimits& limits, std::string_view too_big) {
  const size_t from = std::max(pos_, searched_);
  const size_t past_limit = pos_ + limits.max_inline_bytes + 1;
  const size_t to = std::min(size, past_limit);
  const void* const found = from < to ? std::memchr(data + from, mark, to - from) : nullptr;
  if (found == nullptr) {
    if (size >= past_limit) return {fail(too_big), 0};
    searched_ = to;
    return {ScanStatus::kNeedMore, 0};
  }
  const size_t at = static_cast<size_t>(static_cast<const char*>(found) - data);
  searched_ = at;
  if (mark == '\r' && at + 1 == size) return {ScanStatus::kNeedMore, 0};
  return {ScanStatus::kFrame, at};
}

ScanStatus RequestScanner::finish() {
  state_ = State::kIdle;
  return ScanStatus::kFrame;
}

ScanStatus RequestScanner::fail(std::string_view error) {
  error_ = error;
  too_many_ = false;
  state_ = State::kFailed;
  return ScanStatus::kError;
}

Command RequestScanner::command(const char* data) const {
  const std::span<const Slice> slices(args_.data(), argc_);
  if (inline_) return {text_.data(), static_cast<uint32_t>(text_.size()), slices};
  return {data, static_cast<uint32_t>(pos_), slices};
}

RequestScanner::Partial RequestScanner::partial() const {
  const bool known = state_ == State::kArgument;
  return {argc_, static_cast<uint32_t>(pos_), known ? length_ : 0, known};
}

RequestScanner::Head RequestScanner::head(const char* data) const {
  return {{data, static_cast<uint32_t>(pos_), {args_.data(), argc_}}, declared_};
}

void RequestScanner::reset() {
  if (args_.size() > kKeptArgs) std::vector<Slice>(kFirstArgs).swap(args_);
  if (text_.capacity() > kKeptText) std::string().swap(text_);
  pos_ = searched_ = 0;
  argc_ = declared_ = 0;
  error_ = {};
  state_ = State::kIdle;
  inline_ = false;
}

void RequestScanner::swap(RequestScanner& other) noexcept {
  std::swap(pos_, other.pos_);
  std::swap(searched_, other.searched_);
  args_.swap(other.args_);
  text_.swap(other.text_);
  std::swap(error_, other.error_);
  std::swap(argc_, other.argc_);
  std::swap(declared_, other.declared_);
  std::swap(length_, other.length_);
  std::swap(state_, other.state_);
  std::swap(too_many_, other.too_many_);
  std::swap(inline_, other.inline_);
}

}  // namespace corral::resp

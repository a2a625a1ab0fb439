// A second, naive reading of Redis' networking.c (processMultibulkBuffer, processInlineBuffer), to hold RequestScanner
// against: always the whole input from its start, strings for everything, sdssplitargs itself for inline requests.
#pragma once

extern "C" {  // sds.h does not say so itself
#include <hiredis/sds.h>
}

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "resp/request_scanner.h"

namespace corral::test {

/// What scanning one frame comes to.
struct RequestOutcome {
  resp::ScanStatus status = resp::ScanStatus::kNeedMore;
  size_t consumed = 0;            // kFrame
  std::vector<std::string> args;  // kFrame
  std::string error;              // kError
  bool operator==(const RequestOutcome&) const = default;
};

namespace model {

inline RequestOutcome failed(std::string text) { return {resp::ScanStatus::kError, 0, {}, "Protocol error: " + text}; }

/// string2ll takes a number only as it would print it.
inline bool is_number(const std::string& text, long long& value) {
  value = std::strtoll(text.c_str(), nullptr, 10);
  return std::to_string(value) == text;
}

/// The text from `pos` up to `mark` or up to the end. 'f' found, 'm' more bytes are needed, 'b' too big.
inline char line_at(std::string_view data, size_t pos, char mark, size_t limit, std::string& line) {
  const size_t end = data.find(mark, pos);
  if (end == std::string_view::npos ? data.size() - pos > limit : end - pos > limit) return 'b';
  if (end == std::string_view::npos || (mark == '\r' && end + 1 == data.size())) return 'm';
  line = std::string(data.substr(pos, end - pos));
  return 'f';
}

inline RequestOutcome scan_inline(std::string_view data, const resp::RequestLimits& limits) {
  std::string line;
  const char found = line_at(data, 0, '\n', limits.max_inline_bytes, line);
  if (found == 'b') return failed("too big inline request");
  if (found == 'm') return {};
  RequestOutcome outcome{resp::ScanStatus::kFrame, line.size() + 1, {}, {}};
  if (!line.empty() && line.back() == '\r') line.pop_back();
  int count = 0;
  sds* const words = sdssplitargs(line.c_str(), &count);
  if (words == nullptr) return failed("unbalanced quotes in request");
  for (int i = 0; i < count; ++i) outcome.args.emplace_back(words[i], sdslen(words[i]));
  sdsfreesplitres(words, count);
  return outcome;
}

inline RequestOutcome scan_arguments(std::string_view data, size_t pos, long long count,
                                     const resp::RequestLimits& limits) {
  RequestOutcome outcome;
  std::string line;
  for (long long i = 0; i < count; ++i) {
    const char found = line_at(data, pos, '\r', limits.max_inline_bytes, line);
    if (found == 'b') return failed("too big bulk count string");
    if (found == 'm') return {};
    if (line.empty() || line[0] != '$') return failed(std::string("expected '$', got '") + data[pos] + "'");
    long long length = 0;
    if (!is_number(line.substr(1), length) || length < 0) return failed("invalid bulk length");
    if (length > (limits.authenticated ? limits.max_bulk_bytes : 512LL << 20)) return failed("invalid bulk length");
    if (length > limits.max_bulk_bytes) return failed("unauthenticated bulk length");
    pos += line.size() + 2;
    const size_t end = pos + static_cast<size_t>(length) + 2;
    if (end > limits.max_frame_bytes) return failed("request exceeds the query buffer limit");
    if (data.size() < end) return {};
    outcome.args.emplace_back(data.substr(pos, static_cast<size_t>(length)));
    pos = end;
  }
  outcome.status = resp::ScanStatus::kFrame;
  outcome.consumed = pos;
  return outcome;
}

}  // namespace model

/// Inline requests must hold no NUL byte: C strings, and so Redis, do not see beyond one.
inline RequestOutcome model_of_request(std::string_view data, const resp::RequestLimits& limits) {
  if (data.empty()) return {};
  if (data[0] != '*') return model::scan_inline(data, limits);
  std::string line;
  const char found = model::line_at(data, 0, '\r', limits.max_inline_bytes, line);
  if (found == 'b') return model::failed("too big mbulk count string");
  if (found == 'm') return {};
  long long count = 0;
  if (!model::is_number(line.substr(1), count)) return model::failed("invalid multibulk length");
  if (count > (limits.authenticated ? limits.max_args : 0x7FFFFFFF)) return model::failed("invalid multibulk length");
  if (count > limits.max_args) return model::failed("unauthenticated multibulk length");
  return model::scan_arguments(data, line.size() + 2, count, limits);
}

/// What the scanner says after a scan of `data`.
inline RequestOutcome outcome_of(const resp::RequestScanner& scanner, resp::ScanStatus status, const char* data) {
  RequestOutcome outcome{status, 0, {}, {}};
  if (status == resp::ScanStatus::kError) outcome.error = scanner.error();
  if (status != resp::ScanStatus::kFrame) return outcome;
  outcome.consumed = scanner.consumed();
  const resp::Command command = scanner.command(data);
  for (size_t i = 0; i < command.argc(); ++i) outcome.args.emplace_back(command.arg(i));
  return outcome;
}

}  // namespace corral::test

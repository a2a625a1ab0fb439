#include "proxy/core/time_limit.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include "resp/decimal.h"
#include "resp/reply_builder.h"
#include "resp/request_scanner.h"

namespace corral::core {

namespace {

constexpr int64_t kMostMs = int64_t{1} << 52;  // far beyond any life; sums of it do not overflow

// As Redis 7.0 reads it (timeout.c, getTimeoutFromObjectOrReply), but for what nobody writes, as hexadecimal digits.
std::optional<int64_t> parse_timeout_ms(std::string_view text, bool milliseconds) {
  if (milliseconds) return resp::parse_decimal(text);
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(seconds) < 1e12)) return {};
  return static_cast<int64_t>(std::ceil(seconds * 1000));
}

std::string timeout_text(uint64_t left_ms, bool milliseconds) {
  if (milliseconds) return std::to_string(left_ms);
  const std::string thousandths = std::to_string(1000 + left_ms % 1000);
  return std::to_string(left_ms / 1000) + '.' + thousandths.substr(1);
}

}  // namespace

TimeLimit::TimeLimit(const resp::CommandSpec& spec, const resp::Command& command, uint64_t now_ms) {
  const auto timeout = resp::blocking_timeout(spec, command);
  if (!timeout) return;
  const auto value = parse_timeout_ms(command.arg(timeout->arg), timeout->milliseconds);
  if (!value || *value < 0) return;
  arg_ = timeout->arg;
  milliseconds_ = timeout->milliseconds;
  if (*value > 0) end_ms_ = now_ms + static_cast<uint64_t>(std::min(*value, kMostMs));
}

std::string TimeLimit::with_time_left(std::string_view bytes, uint64_t now_ms) const {
  resp::RequestScanner scanner;
  if (!known() || end_ms_ == kNever) return std::string(bytes);
  if (scanner.scan(bytes.data(), bytes.size(), resp::RequestLimits{}) != resp::ScanStatus::kFrame) {
    return std::string(bytes);
  }
  const resp::Command command = scanner.command(bytes.data());
  std::vector<std::string_view> args;
  for (size_t i = 0; i < command.argc(); ++i) args.push_back(command.arg(i));
  const std::string timeout = timeout_text(left_ms(now_ms), milliseconds_);
  args[arg_] = timeout;
  std::string out;
  resp::append_command(out, args);
  return out;
}

}  // namespace corral::core

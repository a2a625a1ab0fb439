#include "policy/ttl.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <vector>

#include "resp/ascii.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::policy {

using resp::Command;
using resp::TtlEffect;
using Form = TtlVerdict::Form;

namespace {

constexpr int64_t kMostMs = std::numeric_limits<int64_t>::max();

int64_t with_jitter(int64_t ttl_ms, double jitter, uint64_t random) {
  const double share = static_cast<double>(random >> 11) * 0x1.0p-53 * jitter;  // of [0, jitter)
  return std::max<int64_t>(1, ttl_ms - static_cast<int64_t>(static_cast<double>(ttl_ms) * share));
}

int64_t capped(const TtlRule& rule, int64_t ttl_ms) { return rule.max_ms > 0 ? std::min(ttl_ms, rule.max_ms) : ttl_ms; }

/// A decimal on the stack.
class Number {
 public:
  explicit Number(int64_t value) {
    size_ =
        static_cast<size_t>(std::to_chars(digits_.data(), digits_.data() + digits_.size(), value).ptr - digits_.data());
  }
  operator std::string_view() const { return {digits_.data(), size_}; }

 private:
  std::array<char, 24> digits_;
  size_t size_;
};

/// How a command says a TTL: seconds or milliseconds, from now or since 1970.
struct Unit {
  bool seconds, absolute;
};

/// What an argument says, in milliseconds from now; nothing if Redis refuses it, or (`positive`) if it is in the past.
std::optional<int64_t> time_left_ms(std::string_view text, Unit unit, int64_t wall_ms, bool positive) {
  const auto value = resp::parse_decimal(text);
  if (!value || (positive && *value <= 0)) return std::nullopt;
  if (unit.seconds && (*value > kMostMs / 1000 || *value < -(kMostMs / 1000))) return std::nullopt;
  const int64_t ms = unit.seconds ? *value * 1000 : *value;
  if (!unit.absolute) return ms > kMostMs - wall_ms ? std::nullopt : std::optional(ms);
  if (ms <= wall_ms) return positive ? std::nullopt : std::optional<int64_t>(0);
  return ms - wall_ms;
}

/// The options of SET (from argument 3) and GETEX (from 2).
struct StringOptions {
  uint32_t unit_at = 0;  // EX PX EXAT PXAT; its value follows
  Unit unit{};
  uint32_t keep_at = 0;     // KEEPTTL
  uint32_t persist_at = 0;  // PERSIST
};

std::optional<Unit> unit_named(std::string_view word) {
  if (resp::same_word(word, "ex")) return Unit{true, false};
  if (resp::same_word(word, "px")) return Unit{false, false};
  if (resp::same_word(word, "exat")) return Unit{true, true};
  if (resp::same_word(word, "pxat")) return Unit{false, true};
  return std::nullopt;
}

/// Nothing if Redis refuses them.
std::optional<StringOptions> read_options(const Command& command, uint32_t from, bool of_set) {
  StringOptions options;
  bool nx = false, xx = false;
  for (uint32_t i = from; i < command.argc(); ++i) {
    const std::string_view word = command.arg(i);
    const bool has_ttl = options.unit_at || options.keep_at || options.persist_at;
    if (of_set && resp::same_word(word, "nx") && !xx) {
      nx = true;
    } else if (of_set && resp::same_word(word, "xx") && !nx) {
      xx = true;
    } else if (of_set && resp::same_word(word, "keepttl") && !options.unit_at) {
      options.keep_at = i;
    } else if (!of_set && resp::same_word(word, "persist") && !options.unit_at) {
      options.persist_at = i;
    } else if (const auto unit = unit_named(word); unit && i + 1 < command.argc()) {
      const bool same =
          options.unit_at && options.unit.seconds == unit->seconds && options.unit.absolute == unit->absolute;
      if (has_ttl && !same) return std::nullopt;
      options.unit_at = i++;
      options.unit = *unit;
    } else if (!of_set || !resp::same_word(word, "get")) {
      return std::nullopt;
    }
  }
  return options;
}

/// The command with another TTL in place of the options from `from` on that say one; the last of them counts.
void replace_unit(std::string& out, const Command& command, uint32_t from, uint32_t unit_at, std::string_view word,
                  std::string_view value) {
  std::vector<std::string_view> args;
  args.reserve(command.argc());
  for (uint32_t i = 0; i < command.argc(); ++i) {
    if (i < from || !unit_named(command.arg(i))) {
      args.push_back(command.arg(i));
      continue;
    }
    if (i == unit_at) args.insert(args.end(), {word, value});
    ++i;
  }
  resp::append_command(out, args);
}

/// The command with argument `at` and the one behind it replaced; both are appended if `at` is its end.
void rewrite(std::string& out, const Command& command, uint32_t at, std::string_view word, std::string_view value) {
  std::vector<std::string_view> args;
  args.reserve(command.argc() + 2);
  for (uint32_t i = 0; i < command.argc(); ++i) {
    if (i == at) args.insert(args.end(), {word, value});
    if (i != at && i != at + 1) args.push_back(command.arg(i));
  }
  if (at >= command.argc()) args.insert(args.end(), {word, value});
  resp::append_command(out, args);
}

/// SET key value, which is what most writes are: the frame as it is, with two more arguments.
bool append_px(std::string& out, const Command& command, int64_t ttl_ms) {
  constexpr std::string_view kHead = "*3\r\n";
  if (command.argc() != 3 || !command.bytes().starts_with(kHead)) return false;
  out.append("*5\r\n").append(command.bytes().substr(kHead.size())).append("$2\r\nPX\r\n");
  resp::append_bulk(out, Number(ttl_ms));
  return true;
}

class Judge {
 public:
  Judge(const TtlRule& rule, const Command& command, const TtlContext& context, std::string& out)
      : rule_(rule), command_(command), context_(context), out_(out) {}

  TtlVerdict set();
  TtlVerdict get_ex();
  TtlVerdict set_nx();
  TtlVerdict get_set();
  TtlVerdict set_ex(bool seconds);
  TtlVerdict restore();
  TtlVerdict expire(Unit unit);

 private:
  int64_t default_ms() const { return default_ttl_ms(rule_, context_.random); }
  TtlVerdict said(const StringOptions& options, uint32_t from, bool jitter);

  const TtlRule& rule_;
  const Command& command_;
  const TtlContext& context_;
  std::string& out_;
};

/// A TTL that comes with an option.
TtlVerdict Judge::said(const StringOptions& options, uint32_t from, bool jitter) {
  const auto left_ms = time_left_ms(command_.arg(options.unit_at + 1), options.unit, context_.wall_ms, true);
  if (!left_ms) return {};
  int64_t ttl_ms = capped(rule_, *left_ms);
  const bool clamped = ttl_ms < *left_ms;
  if (jitter) ttl_ms = with_jitter(ttl_ms, rule_.jitter, context_.random);
  if (ttl_ms == *left_ms) return {};
  const bool absolute = options.unit.absolute;
  replace_unit(out_, command_, from, options.unit_at, absolute ? "PXAT" : "PX",
               Number(absolute ? context_.wall_ms + ttl_ms : ttl_ms));
  return {.form = Form::kRewritten, .clamped = clamped};
}

TtlVerdict Judge::set() {
  const auto options = read_options(command_, 3, true);
  if (!options) return {};
  if (options->keep_at) return {.form = Form::kAddPExpire};
  if (options->unit_at) return said(*options, 3, true);
  if (!append_px(out_, command_, default_ms())) {
    rewrite(out_, command_, static_cast<uint32_t>(command_.argc()), "PX", Number(default_ms()));
  }
  return {.form = Form::kRewritten, .without = true};
}

TtlVerdict Judge::get_ex() {
  const auto options = read_options(command_, 2, false);
  if (!options) return {};
  if (options->unit_at) return said(*options, 2, false);
  if (!options->persist_at) return {};
  resp::append_command(out_, {command_.arg(0), command_.arg(1), "PX", Number(default_ms())});
  return {.form = Form::kRewritten, .without = true};
}

TtlVerdict Judge::set_nx() {
  resp::append_command(out_, {"SET", command_.arg(1), command_.arg(2), "NX", "PX", Number(default_ms())});
  return {.form = Form::kRewritten, .without = true, .integer_reply = true};
}

TtlVerdict Judge::get_set() {
  resp::append_command(out_, {"SET", command_.arg(1), command_.arg(2), "GET", "PX", Number(default_ms())});
  return {.form = Form::kRewritten, .without = true};
}

TtlVerdict Judge::set_ex(bool seconds) {
  const auto left_ms = time_left_ms(command_.arg(2), {seconds, false}, context_.wall_ms, true);
  if (!left_ms) return {};
  const int64_t most_ms = capped(rule_, *left_ms);
  const int64_t ttl_ms = with_jitter(most_ms, rule_.jitter, context_.random);
  if (ttl_ms == *left_ms) return {};
  resp::append_command(out_, {"PSETEX", command_.arg(1), Number(ttl_ms), command_.arg(3)});
  return {.form = Form::kRewritten, .clamped = most_ms < *left_ms};
}

TtlVerdict Judge::restore() {
  bool absolute = false;
  for (uint32_t i = 4; i < command_.argc(); ++i) {
    const std::string_view word = command_.arg(i);
    const bool has_value = resp::same_word(word, "idletime") || resp::same_word(word, "freq");
    if (resp::same_word(word, "absttl")) {
      absolute = true;
    } else if (has_value && i + 1 < command_.argc()) {
      ++i;
    } else if (!resp::same_word(word, "replace")) {
      return {};
    }
  }
  const auto value = resp::parse_decimal(command_.arg(2));
  if (!value || *value < 0) return {};
  const int64_t base_ms = absolute ? context_.wall_ms : 0;
  const bool without = *value == 0;
  const int64_t most_ms = rule_.max_ms > 0 && base_ms + rule_.max_ms < *value ? base_ms + rule_.max_ms : *value;
  const int64_t ttl = without ? base_ms + default_ms() : most_ms;
  if (ttl == *value) return {};
  rewrite(out_, command_, 2, Number(ttl), command_.arg(3));
  return {.form = Form::kRewritten, .without = without, .clamped = !without};
}

TtlVerdict Judge::expire(Unit unit) {
  const auto left_ms = time_left_ms(command_.arg(2), unit, context_.wall_ms, false);
  if (!left_ms || capped(rule_, *left_ms) == *left_ms) return {};
  std::vector<std::string_view> args = {"PEXPIRE", command_.arg(1)};
  const Number most(rule_.max_ms);
  args.push_back(most);
  for (uint32_t i = 3; i < command_.argc(); ++i) args.push_back(command_.arg(i));
  resp::append_command(out_, args);
  return {.form = Form::kRewritten, .clamped = true};
}

}  // namespace

int64_t default_ttl_ms(const TtlRule& rule, uint64_t random) {
  return with_jitter(capped(rule, rule.default_ms), rule.jitter, random);
}

TtlVerdict judge_ttl(const TtlRule& rule, TtlEffect effect, const Command& command, const TtlContext& context,
                     std::string& rewritten) {
  rewritten.clear();
  Judge judge(rule, command, context, rewritten);
  switch (effect) {
    case TtlEffect::kSet:
      return judge.set();
    case TtlEffect::kSetNx:
      return judge.set_nx();
    case TtlEffect::kGetSet:
      return judge.get_set();
    case TtlEffect::kSetEx:
    case TtlEffect::kPSetEx:
      return judge.set_ex(effect == TtlEffect::kSetEx);
    case TtlEffect::kGetEx:
      return judge.get_ex();
    case TtlEffect::kRestore:
      return judge.restore();
    case TtlEffect::kExpire:
    case TtlEffect::kPExpire:
      return judge.expire({effect == TtlEffect::kExpire, false});
    case TtlEffect::kExpireAt:
    case TtlEffect::kPExpireAt:
      return judge.expire({effect == TtlEffect::kExpireAt, true});
    default:
      return {};
  }
}

}  // namespace corral::policy

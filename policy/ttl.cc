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

int64_t capped(const TtlRule& rule, int64_t ttl_ms) {
  return rule.max_ms > 0 && rule.enforces() ? std::min(ttl_ms, rule.max_ms) : ttl_ms;
}

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

/// What an argument says, in milliseconds from now; nothing if Redis refuses it, with stale_ms more would do so, or
/// (`positive`) if it is in the past.
std::optional<int64_t> time_left_ms(std::string_view text, Unit unit, int64_t wall_ms, int64_t stale_ms,
                                    bool positive) {
  const auto value = resp::parse_decimal(text);
  if (!value || (positive && *value <= 0)) return std::nullopt;
  if (unit.seconds && (*value > kMostMs / 1000 || *value < -(kMostMs / 1000))) return std::nullopt;
  const int64_t ms = unit.seconds ? *value * 1000 : *value;
  if (ms > kMostMs - stale_ms - (unit.absolute ? 0 : wall_ms)) return std::nullopt;
  if (!unit.absolute) return ms;
  if (ms <= wall_ms) return positive ? std::nullopt : std::optional<int64_t>(0);
  return ms - wall_ms;
}

/// The options of SET (from argument 3) and GETEX (from 2).
struct StringOptions {
  uint32_t unit_at = 0;  // EX PX EXAT PXAT; its value follows
  Unit unit{};
  uint32_t keep_at = 0;     // KEEPTTL
  uint32_t persist_at = 0;  // PERSIST
  bool nx = false, get = false;
};

std::optional<Unit> unit_named(std::string_view word) {
  if (resp::same_option(word, "ex")) return Unit{true, false};
  if (resp::same_option(word, "px")) return Unit{false, false};
  if (resp::same_option(word, "exat")) return Unit{true, true};
  if (resp::same_option(word, "pxat")) return Unit{false, true};
  return std::nullopt;
}

/// Nothing if Redis refuses them.
std::optional<StringOptions> read_options(const Command& command, uint32_t from, bool of_set) {
  StringOptions options;
  bool xx = false;
  for (uint32_t i = from; i < command.argc(); ++i) {
    const std::string_view word = command.arg(i);
    const bool has_ttl = options.unit_at || options.keep_at || options.persist_at;
    if (of_set && resp::same_option(word, "nx") && !xx) {
      options.nx = true;
    } else if (of_set && resp::same_option(word, "xx") && !options.nx) {
      xx = true;
    } else if (of_set && resp::same_option(word, "keepttl") && !options.unit_at) {
      options.keep_at = i;
    } else if (!of_set && resp::same_option(word, "persist") && !options.unit_at) {
      options.persist_at = i;
    } else if (const auto unit = unit_named(word); unit && i + 1 < command.argc()) {
      const bool same =
          options.unit_at && options.unit.seconds == unit->seconds && options.unit.absolute == unit->absolute;
      if (has_ttl && !same) return std::nullopt;
      options.unit_at = i++;
      options.unit = *unit;
    } else if (of_set && resp::same_option(word, "get")) {
      options.get = true;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

/// A TTL as options say it; without a word: none.
struct SaidTtl {
  std::string_view word, value;
};

/// The command with another TTL in place of the options from `from` on that say one; the last of them counts, and if
/// there is none it goes to the end. `drop`: without NX and KEEPTTL.
void replace_unit(std::string& out, const Command& command, uint32_t from, uint32_t unit_at, SaidTtl ttl, bool drop) {
  std::vector<std::string_view> args;
  args.reserve(command.argc() + 2);
  for (uint32_t i = 0; i < command.argc(); ++i) {
    const std::string_view arg = command.arg(i);
    if (i < from || !unit_named(arg)) {
      const bool dropped = drop && i >= from && (resp::same_option(arg, "nx") || resp::same_option(arg, "keepttl"));
      if (!dropped) args.push_back(arg);
      continue;
    }
    if (i == unit_at) args.insert(args.end(), {ttl.word, ttl.value});
    ++i;
  }
  if (unit_at == 0 && !ttl.word.empty()) args.insert(args.end(), {ttl.word, ttl.value});
  resp::append_command(out, args);
}

/// The command with argument `at` and the one behind it replaced.
void rewrite(std::string& out, const Command& command, uint32_t at, std::string_view word, std::string_view value) {
  std::vector<std::string_view> args;
  args.reserve(command.argc());
  for (uint32_t i = 0; i < command.argc(); ++i) {
    if (i == at) args.insert(args.end(), {word, value});
    if (i != at && i != at + 1) args.push_back(command.arg(i));
  }
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
  std::optional<int64_t> left_ms(std::string_view text, Unit unit, bool positive) const {
    return time_left_ms(text, unit, context_.wall_ms, rule_.stale_ms, positive);
  }
  int64_t default_ms() const { return default_ttl_ms(rule_, context_.random) + rule_.stale_ms; }
  int64_t stored_ms(int64_t ttl_ms, bool jitter) const;
  TtlVerdict said(const StringOptions& options, uint32_t from, bool jitter);
  bool drops(const StringOptions& options) const {
    return context_.drop_nx && !options.get && (options.nx || options.keep_at);
  }

  const TtlRule& rule_;
  const Command& command_;
  const TtlContext& context_;
  std::string& out_;
};

int64_t Judge::stored_ms(int64_t ttl_ms, bool jitter) const {
  if (jitter && rule_.enforces()) ttl_ms = with_jitter(ttl_ms, rule_.jitter, context_.random);
  return ttl_ms + rule_.stale_ms;
}

/// A TTL that comes with an option.
TtlVerdict Judge::said(const StringOptions& options, uint32_t from, bool jitter) {
  const auto left = left_ms(command_.arg(options.unit_at + 1), options.unit, true);
  if (!left) return {};
  const int64_t most_ms = capped(rule_, *left);
  const int64_t ttl_ms = stored_ms(most_ms, jitter);
  const bool clamped = most_ms < *left, drop = drops(options);
  if (ttl_ms == *left && !drop) return {.clamped = clamped};
  const bool absolute = options.unit.absolute;
  const Number value(absolute ? context_.wall_ms + ttl_ms : ttl_ms);
  replace_unit(out_, command_, from, options.unit_at, {absolute ? "PXAT" : "PX", value}, drop);
  return {.form = Form::kRewritten, .clamped = clamped};
}

TtlVerdict Judge::set() {
  const auto options = read_options(command_, 3, true);
  if (!options) return {};
  const bool drop = drops(*options);
  if (options->keep_at && !drop) return {.form = Form::kAddPExpire};
  if (options->unit_at) return said(*options, 3, true);
  if (!rule_.enforces()) {
    if (!drop) return {.without = true};
    replace_unit(out_, command_, 3, 0, {}, drop);
  } else if (!append_px(out_, command_, default_ms())) {
    replace_unit(out_, command_, 3, 0, {"PX", Number(default_ms())}, drop);
  }
  return {.form = Form::kRewritten, .without = true};
}

TtlVerdict Judge::get_ex() {
  const auto options = read_options(command_, 2, false);
  if (!options) return {};
  if (options->unit_at) return said(*options, 2, false);
  if (!options->persist_at) return {};
  if (!rule_.enforces()) return {.without = true};
  resp::append_command(out_, {command_.arg(0), command_.arg(1), "PX", Number(default_ms())});
  return {.form = Form::kRewritten, .without = true};
}

TtlVerdict Judge::set_nx() {
  if (!rule_.enforces() && !context_.drop_nx) return {.without = true};
  std::vector<std::string_view> args = {"SET", command_.arg(1), command_.arg(2)};
  if (!context_.drop_nx) args.push_back("NX");
  const Number ttl_ms(default_ms());
  if (rule_.enforces()) args.insert(args.end(), {"PX", ttl_ms});
  resp::append_command(out_, args);
  return {.form = Form::kRewritten, .without = true, .integer_reply = true};
}

TtlVerdict Judge::get_set() {
  if (!rule_.enforces()) return {.without = true};
  resp::append_command(out_, {"SET", command_.arg(1), command_.arg(2), "GET", "PX", Number(default_ms())});
  return {.form = Form::kRewritten, .without = true};
}

TtlVerdict Judge::set_ex(bool seconds) {
  const auto left = left_ms(command_.arg(2), {seconds, false}, true);
  if (!left) return {};
  const int64_t most_ms = capped(rule_, *left);
  const int64_t ttl_ms = stored_ms(most_ms, true);
  const bool clamped = most_ms < *left;
  if (ttl_ms == *left) return {.clamped = clamped};
  resp::append_command(out_, {"PSETEX", command_.arg(1), Number(ttl_ms), command_.arg(3)});
  return {.form = Form::kRewritten, .clamped = clamped};
}

TtlVerdict Judge::restore() {
  bool absolute = false;
  for (uint32_t i = 4; i < command_.argc(); ++i) {
    const std::string_view word = command_.arg(i);
    const bool has_value = resp::same_option(word, "idletime") || resp::same_option(word, "freq");
    if (resp::same_option(word, "absttl")) {
      absolute = true;
    } else if (has_value && i + 1 < command_.argc()) {
      ++i;
    } else if (!resp::same_option(word, "replace")) {
      return {};
    }
  }
  const auto value = resp::parse_decimal(command_.arg(2));
  if (!value || *value < 0) return {};
  const int64_t base_ms = absolute ? context_.wall_ms : 0;
  const bool without = *value == 0;
  if (without && !rule_.enforces()) return {.without = true};
  if (!without && *value <= base_ms) return {};  // it deletes at once
  const int64_t most_ms = capped(rule_, *value - base_ms);
  if (!without && most_ms > kMostMs - context_.wall_ms - rule_.stale_ms) return {};
  const bool clamped = !without && most_ms < *value - base_ms;
  const int64_t ttl = base_ms + (without ? default_ms() : most_ms + rule_.stale_ms);
  if (ttl == *value) return {.clamped = clamped};
  rewrite(out_, command_, 2, Number(ttl), command_.arg(3));
  return {.form = Form::kRewritten, .without = without, .clamped = clamped};
}

TtlVerdict Judge::expire(Unit unit) {
  const auto left = left_ms(command_.arg(2), unit, false);
  if (!left || *left <= 0) return {};
  const int64_t most_ms = capped(rule_, *left);
  const int64_t ttl_ms = stored_ms(most_ms, false);
  const bool clamped = most_ms < *left;
  if (ttl_ms == *left) return {.clamped = clamped};
  const bool absolute = unit.absolute && !clamped;
  const Number value(absolute ? context_.wall_ms + ttl_ms : ttl_ms);
  std::vector<std::string_view> args = {absolute ? "PEXPIREAT" : "PEXPIRE", command_.arg(1), value};
  for (uint32_t i = 3; i < command_.argc(); ++i) args.push_back(command_.arg(i));
  resp::append_command(out_, args);
  return {.form = Form::kRewritten, .clamped = clamped};
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

std::string without_keepttl(const Command& set) {
  std::vector<std::string_view> args;
  for (uint32_t i = 0; i < set.argc(); ++i) {
    if (i < 3 || !resp::same_option(set.arg(i), "keepttl")) args.push_back(set.arg(i));
  }
  std::string out;
  resp::append_command(out, args);
  return out;
}

std::string_view told_by(TtlEffect effect) {
  return effect == TtlEffect::kTtl || effect == TtlEffect::kPTtl ? "PTTL" : "PEXPIRETIME";
}

int64_t visible_ttl(TtlEffect effect, int64_t stale_ms, int64_t stored_ms) {
  if (stored_ms < 0) return stored_ms;
  const int64_t visible_ms = std::max<int64_t>(0, stored_ms - stale_ms);
  const bool seconds = effect == TtlEffect::kTtl || effect == TtlEffect::kExpireTime;
  return seconds ? (visible_ms + 500) / 1000 : visible_ms;
}

}  // namespace corral::policy

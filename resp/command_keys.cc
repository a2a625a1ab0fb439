// Finds the keys of a request by its command's key specs.
//
// The arguments come from clients and the specs of unlisted commands from servers, so nothing here trusts either: a key
// is told only if it lies within the request.
// Source: https://redis.io/docs/reference/key-specs and Redis 7.0's COMMAND GETKEYS, with which the tests compare.
#include <algorithm>
#include <charconv>

#include "resp/ascii.h"
#include "resp/command_table.h"

namespace corral::resp {
namespace {

using Begin = KeySpec::Begin;
using Find = KeySpec::Find;
using Role = OptionWord::Role;

/// Arguments first, first + step, ... last. Positions are signed and wide, so that no sum of them overflows.
struct Range {
  int64_t first, last, step;
};

enum class Found : uint8_t {
  kKeys,
  kNone,      // the spec's keys are not there, which is no fault of the request
  kNonsense,  // the request cannot be valid
};

const OptionWord* find_option(const KeySpec& spec, std::string_view argument) {
  for (const OptionWord& option : spec.options)
    if (same_option(argument, option.word)) return &option;
  return nullptr;
}

/// Where the keys of a kOptions spec begin, 0 if nowhere; `block_at` is the argument behind the last kBlock word before
/// them, 0 if there is none.
int64_t walk_options(const KeySpec& spec, const Command& command, int64_t& block_at) {
  auto argc = static_cast<int64_t>(command.argc());
  int64_t begin = 0;
  for (int64_t i = spec.begin_at; i < argc; i++) {
    const OptionWord* option = find_option(spec, command.arg(i));
    if (!option) continue;
    if (option->role == Role::kBlock) block_at = i + 1;
    if (option->role == Role::kKeys && i + 1 < argc) {
      begin = i + 1;
      if (spec.last != 0) return begin;
    }
    i += option->arguments;
  }
  return begin;
}

/// The argument after the keyword, 0 if it is not there. A negative start counts from the end, and goes backwards.
int64_t find_keyword(const KeySpec& spec, const Command& command) {
  auto argc = static_cast<int64_t>(command.argc());
  int64_t step = spec.begin_at < 0 ? -1 : 1;
  for (int64_t i = spec.begin_at < 0 ? argc + spec.begin_at : spec.begin_at; i > 0 && i < argc; i += step) {
    if (same_option(command.arg(i), spec.keyword)) return i + 1;
  }
  return 0;
}

/// 0 if the keys begin nowhere.
int64_t find_begin(const KeySpec& spec, const Command& command) {
  int64_t block_at = 0;
  switch (spec.begin) {
    case Begin::kUnknown:
      return 0;
    case Begin::kIndex:
      return spec.begin_at;
    case Begin::kKeyword:
      return find_keyword(spec, command);
    case Begin::kOptions:
      return walk_options(spec, command, block_at);
  }
  return 0;
}

Found find_range(const KeySpec& spec, int64_t begin, int64_t argc, Range& range) {
  int64_t last = begin + spec.last;
  if (spec.last < 0 && spec.limit > 1) {
    if ((argc - begin) % spec.limit != 0) return Found::kNonsense;
    last = begin + (argc - begin) / spec.limit + spec.last;
  } else if (spec.last < 0) {
    last = argc + spec.last;
  }
  if (last == begin - 1) return Found::kNone;
  range = {begin, last, spec.step};
  return last < begin || (last - begin + 1) % spec.step != 0 ? Found::kNonsense : Found::kKeys;
}

/// As Redis reads a number of keys: digits without a sign and without leading zeros.
bool parse_key_count(std::string_view text, int32_t& count) {
  if (text.empty() || text[0] == '-' || (text[0] == '0' && text.size() > 1)) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && end == text.data() + text.size();
}

Found find_counted(const CommandSpec& spec, const KeySpec& key, int64_t begin, const Command& command, Range& range) {
  int64_t count_at = begin + key.keynum;
  int32_t count;
  if (count_at < 1 || count_at >= static_cast<int64_t>(command.argc())) return Found::kNonsense;
  if (!parse_key_count(command.arg(count_at), count)) return Found::kNonsense;
  if (count == 0) return spec.is(kFlagNoMandatoryKeys) ? Found::kNone : Found::kNonsense;
  range = {begin + key.first_key, begin + key.first_key + (int64_t{count} - 1) * key.step, key.step};
  return Found::kKeys;
}

Found find_keys_of_spec(const CommandSpec& spec, const KeySpec& key, const Command& command, Range& range) {
  int64_t begin = find_begin(key, command);
  if (begin < 1 || key.find == Find::kUnknown) return Found::kNone;
  if (key.step < 1) return Found::kNonsense;
  auto argc = static_cast<int64_t>(command.argc());
  Found found =
      key.find == Find::kRange ? find_range(key, begin, argc, range) : find_counted(spec, key, begin, command, range);
  if (found != Found::kKeys) return found;
  return range.first >= 1 && range.last < argc ? Found::kKeys : Found::kNonsense;
}

uint32_t place_of(uint32_t index) { return index; }
uint32_t place_of(const KeyUse& use) { return use.arg; }

/// Puts what `make(argument, spec)` makes of each key into `found`, in the order of the specs that `wanted` takes.
/// False: nonsense, and `found` is empty.
template <class Element, class Wanted, class Make>
bool collect_keys(const CommandSpec& spec, const Command& command, std::vector<Element>& found, Wanted wanted,
                  Make make) {
  auto empty = [&](const Element& element) { return command.arg(place_of(element)).empty(); };
  for (const KeySpec& key : spec.keys) {
    if (!wanted(key)) continue;
    Range range;
    const Found what = find_keys_of_spec(spec, key, command, range);
    if (what == Found::kNone) continue;
    if (what == Found::kNonsense || (key.instead && !std::all_of(found.begin(), found.end(), empty))) {
      found.clear();
      return false;
    }
    if (key.instead) found.clear();
    for (int64_t i = range.first; i <= range.last; i += range.step) {
      found.push_back(make(static_cast<uint32_t>(i), key));
    }
  }
  return true;
}

bool is_key(const KeySpec& key) { return (key.flags & kKeyNotKey) == 0; }

/// The flags that a request does not mean, see KeyVariation.
uint32_t dropped_flags(const KeyVariation& variation, const Command& command) {
  for (size_t i = variation.from; i < command.argc(); ++i) {
    const auto is_it = [&](const OptionWord& option) { return same_option(command.arg(i), option.word); };
    const auto word = std::find_if(variation.words.begin(), variation.words.end(), is_it);
    const bool known = word != variation.words.end();
    const bool whole = known && command.argc() - 1 - i >= word->arguments;
    if (variation.other_words ? !whole : known) return 0;
    if (known) i += word->arguments;
  }
  return variation.drops;
}

const KeySpec* key_spec_with_block_word(const CommandSpec& spec) {
  for (const KeySpec& key : spec.keys)
    for (const OptionWord& option : key.options)
      if (option.role == Role::kBlock) return &key;
  return nullptr;
}

/// Whether a request of this command must have a key.
bool needs_keys(const CommandSpec& spec) {
  auto always_there = [](const KeySpec& key) {
    return key.begin != Begin::kUnknown && key.find != Find::kUnknown && (key.flags & kKeyNotKey) == 0;
  };
  return !spec.is(kFlagNoMandatoryKeys) && std::any_of(spec.keys.begin(), spec.keys.end(), always_there);
}

}  // namespace

bool find_keys(const CommandSpec& spec, const Command& command, std::vector<uint32_t>& indexes) {
  indexes.clear();
  if (spec.only_key != 0) {
    if (spec.only_key >= command.argc()) return false;
    indexes.push_back(spec.only_key);
    return true;
  }
  const auto any = [](const KeySpec&) { return true; };
  if (!collect_keys(spec, command, indexes, any, [](uint32_t arg, const KeySpec&) { return arg; })) return false;
  if (!std::is_sorted(indexes.begin(), indexes.end())) std::sort(indexes.begin(), indexes.end());
  return !indexes.empty() || !needs_keys(spec);
}

bool find_key_uses(const CommandSpec& spec, const Command& command, std::vector<KeyUse>& uses) {
  uses.clear();
  const uint32_t dropped = spec.key_variation.drops == 0 ? 0 : dropped_flags(spec.key_variation, command);
  const auto use = [dropped](uint32_t arg, const KeySpec& key) { return KeyUse{arg, key.flags & ~dropped}; };
  if (!collect_keys(spec, command, uses, is_key, use)) return false;
  return !uses.empty() || !needs_keys(spec);
}

std::string_view find_naming_option(const CommandSpec& spec, const Command& command) {
  for (const KeySpec& key : spec.keys) {
    if (key.options.empty()) continue;
    for (size_t i = static_cast<size_t>(key.begin_at); i + 1 < command.argc(); ++i) {
      const OptionWord* option = find_option(key, command.arg(i));
      if (!option) continue;
      const bool starred = command.arg(i + 1).find('*') != std::string_view::npos;
      if (option->role == Role::kNames || (option->role == Role::kNamesByStar && starred)) return option->word;
      i += option->arguments;
    }
  }
  return {};
}

bool find_written_keys(const CommandSpec& spec, const Command& command, std::vector<uint32_t>& indexes) {
  indexes.clear();
  const auto written = [](const KeySpec& key) { return is_key(key) && (key.flags & (kKeyUpdate | kKeyInsert)) != 0; };
  return collect_keys(spec, command, indexes, written, [](uint32_t arg, const KeySpec&) { return arg; });
}

bool keys_may_hide(const CommandSpec& spec) {
  // Of a module's command whose keys only the module can tell, COMMAND INFO names but the first ones.
  const auto varies = [](const KeySpec& key) { return (key.flags & kKeyVariable) != 0; };
  const bool unlisted = spec.id == kUnlistedCommand;
  if (spec.is(kFlagMovableKeys) && (spec.keys.empty() || (unlisted && std::ranges::any_of(spec.keys, varies)))) {
    return true;
  }
  return std::any_of(spec.keys.begin(), spec.keys.end(), [](const KeySpec& key) {
    bool complete_by_hand = key.begin == Begin::kOptions;
    bool unknown = key.begin == Begin::kUnknown || key.find == Find::kUnknown;
    return !complete_by_hand && (unknown || (key.flags & kKeyIncomplete) != 0);
  });
}

bool may_block(const CommandSpec& spec, const Command& command) {
  if (spec.handling != Handling::kBlocking) return false;
  const KeySpec* key = key_spec_with_block_word(spec);
  int64_t block_at = 0;
  if (key) walk_options(*key, command, block_at);
  return !key || block_at != 0;
}

std::optional<BlockingTimeout> blocking_timeout(const CommandSpec& spec, const Command& command) {
  auto argc = static_cast<int64_t>(command.argc());
  int64_t arg = spec.timeout_arg < 0 ? argc + spec.timeout_arg : spec.timeout_arg;
  if (const KeySpec* key = key_spec_with_block_word(spec)) walk_options(*key, command, arg);
  if (arg < 1 || arg >= argc) return std::nullopt;
  return BlockingTimeout{static_cast<uint32_t>(arg), spec.timeout_in_ms};
}

}  // namespace corral::resp

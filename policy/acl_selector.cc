#include "policy/acl_selector.h"

#include <algorithm>

#include "policy/glob.h"
#include "resp/ascii.h"

namespace corral::policy {

using resp::Action;
using resp::Command;
using resp::CommandSpec;
using resp::same_word;

namespace {

constexpr std::string_view kUnknown = "Unknown command or category name in ACL";
constexpr std::string_view kSyntax = "Syntax error";
constexpr std::string_view kKeyAfterAll =
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try "
    "'resetkeys' to start with an empty list of patterns";
constexpr std::string_view kChannelAfterAll =
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try "
    "'resetchannels' to start with an empty list of channels";
constexpr std::string_view kFirstArgOfSubcommand = "Allowing first-arg of a subcommand is not supported";

bool has_spaces(std::string_view text) {
  return text.find_first_of(std::string_view(" \t\n\v\f\r\0", 7)) != std::string_view::npos;
}

/// "config|get" too; null if there is none.
const CommandSpec* find_by_name(std::string_view name) {
  const size_t bar = name.find('|');
  const CommandSpec* spec = resp::find_command(name.substr(0, bar));
  if (!spec || bar == std::string_view::npos) return spec;
  return resp::find_subcommand(*spec, name.substr(bar + 1));
}

/// Of a module: its commands have a dot in their names. A misspelt name of another command is to be noticed.
bool is_of_module(std::string_view name) {
  return name.find('.') != std::string_view::npos && !has_spaces(name) && name.find('|') == std::string_view::npos;
}

/// Which of a command's arguments are channels: [first, last).
std::pair<size_t, size_t> channels_of(const CommandSpec& spec, const Command& command) {
  switch (spec.action) {
    case Action::kSubscribe:
    case Action::kPSubscribe:
    case Action::kSSubscribe:
      return {1, command.argc()};
    case Action::kPublish:
    case Action::kSPublish:
      return {1, 2};
    default:
      return {0, 0};
  }
}

bool has_keys(const CommandSpec& spec) {
  const auto is_key = [](const resp::KeySpec& key) { return (key.flags & resp::kKeyNotKey) == 0; };
  return std::any_of(spec.keys.begin(), spec.keys.end(), is_key);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

AclSelector::AclSelector() : allowed_(resp::command_id_count(), false) {}

// --- rules ---

std::string_view AclSelector::apply(std::string_view rule) {
  if (same_word(rule, "allkeys") || rule == "~*") {
    all_keys_ = true;
    keys_.clear();
  } else if (same_word(rule, "resetkeys")) {
    all_keys_ = false;
    keys_.clear();
  } else if (same_word(rule, "allchannels") || rule == "&*") {
    all_channels_ = true;
    channels_.clear();
  } else if (same_word(rule, "resetchannels")) {
    all_channels_ = false;
    channels_.clear();
  } else if (same_word(rule, "allcommands") || same_word(rule, "nocommands")) {
    change_all(same_word(rule, "allcommands"));
  } else if (rule.starts_with('~') || rule.starts_with('%')) {
    return add_key_pattern(rule);
  } else if (rule.starts_with('&')) {
    return add_channel(rule.substr(1));
  } else if (rule.starts_with("+@") || rule.starts_with("-@")) {
    return change_category(rule.substr(2), rule[0] == '+');
  } else if (rule.starts_with('+') || rule.starts_with('-')) {
    return change_command(rule.substr(1), rule[0] == '+');
  } else {
    return kSyntax;
  }
  return {};
}

std::string_view AclSelector::add_key_pattern(std::string_view rule) {
  if (all_keys_) return kKeyAfterAll;
  const size_t tilde = rule.find('~');
  uint8_t rights = tilde == 0 ? kRead | kWrite : 0;
  for (size_t i = 1; i < std::min(tilde, rule.size()); ++i) {
    const char letter = resp::lower(rule[i]);
    const uint8_t right = letter == 'r' ? kRead : letter == 'w' ? kWrite : 0;
    if (right == 0 || (rights & right)) return kSyntax;
    rights |= right;
  }
  if (rights == 0 || tilde == std::string_view::npos) return kSyntax;
  const std::string_view glob = rule.substr(tilde + 1);
  if (has_spaces(glob)) return kSyntax;
  const auto same = [&](const KeyPattern& pattern) { return pattern.glob == glob; };
  const auto known = std::find_if(keys_.begin(), keys_.end(), same);
  known == keys_.end() ? keys_.push_back({std::string(glob), rights}) : void(known->rights |= rights);
  return {};
}

std::string_view AclSelector::add_channel(std::string_view pattern) {
  if (all_channels_) return kChannelAfterAll;
  if (has_spaces(pattern)) return kSyntax;
  if (std::find(channels_.begin(), channels_.end(), pattern) == channels_.end()) channels_.emplace_back(pattern);
  return {};
}

// "+select|0" allows an argument of a command that has no subcommands; such a command is not taken away so.
std::string_view AclSelector::change_command(std::string_view name, bool allow) {
  const size_t bar = name.rfind('|');
  if (allow && bar != std::string_view::npos) {
    const CommandSpec* command = find_by_name(name.substr(0, bar));
    if (!command) return kUnknown;
    if (command->name.find('|') != std::string_view::npos) return kFirstArgOfSubcommand;
    if (bar + 1 == name.size()) return kSyntax;
    if (command->subcommands.empty()) return allow_first_arg(command->name, name.substr(bar + 1));
  }
  const CommandSpec* spec = find_by_name(name);
  if (!spec && !is_of_module(name)) return kUnknown;
  if (spec) change(*spec, allow);
  if (!allow) all_commands_ = false;
  note_rule({allow, 0, resp::lower_case(spec ? spec->name : name)});
  return {};
}

std::string_view AclSelector::allow_first_arg(std::string_view command, std::string_view arg) {
  const uint16_t id = resp::find_command(command)->id;
  const auto same = [&](const auto& known) { return known.first == id && same_word(known.second, arg); };
  if (std::any_of(first_args_.begin(), first_args_.end(), same)) return {};
  first_args_.emplace_back(id, arg);
  note_rule({true, 0, std::string(command) + '|' + std::string(arg)});
  return {};
}

std::string_view AclSelector::change_category(std::string_view name, bool allow) {
  if (same_word(name, "all")) return change_all(allow), std::string_view();
  const auto same = [&](std::string_view known) { return same_word(name, known); };
  const auto known = std::find_if(resp::kCategoryNames.begin(), resp::kCategoryNames.end(), same);
  if (known == resp::kCategoryNames.end()) return kUnknown;
  const uint32_t bit = 1u << (known - resp::kCategoryNames.begin());
  for (const CommandSpec& spec : resp::all_commands()) {
    if (spec.categories & bit) change(spec, allow);
    for (const CommandSpec& subcommand : spec.subcommands) {
      if (subcommand.categories & bit) change(subcommand, allow);
    }
  }
  if (!allow) all_commands_ = false;
  note_rule({allow, bit, '@' + std::string(*known)});
  return {};
}

void AclSelector::change_all(bool allow) {
  all_commands_ = starts_with_all_ = allow;
  std::fill(allowed_.begin(), allowed_.end(), allow);
  first_args_.clear();
  rules_.clear();
}

// A container stands for its subcommands too.
void AclSelector::change(const CommandSpec& spec, bool allow) {
  allowed_[spec.id] = allow;
  std::erase_if(first_args_, [&](const auto& known) { return known.first == spec.id; });
  for (const CommandSpec& subcommand : spec.subcommands) allowed_[subcommand.id] = allow;
}

// What an earlier rule said of no more than this one does is said no longer.
void AclSelector::note_rule(CommandRule rule) {
  const std::string prefix = rule.name + '|';
  std::erase_if(rules_, [&](const CommandRule& earlier) {
    return earlier.name == rule.name || earlier.name.starts_with(prefix);
  });
  rules_.push_back(std::move(rule));
}

// --- checks ---

AclVerdict AclSelector::check(const CommandSpec& spec, const Command& command, KeyUses& keys) const {
  if (!allows_command(spec, command)) return {AclRefusal::kCommand, 0};
  if (!all_keys_) {
    if (const AclVerdict verdict = check_keys(spec, command, keys); verdict.refusal != AclRefusal::kNone) {
      return verdict;
    }
  }
  return all_channels_ ? AclVerdict{} : check_channels(spec, command);
}

bool AclSelector::allows_command(const CommandSpec& spec, const Command& command) const {
  if (all_commands_ || spec.is(resp::kFlagNoAuth)) return true;
  if (spec.id == resp::kUnlistedCommand) return allows_unlisted(spec);
  if (allowed_[spec.id]) return true;
  const auto fits = [&](const auto& known) {
    return known.first == spec.id && same_word(known.second, command.arg(1));
  };
  return command.argc() >= 2 && std::any_of(first_args_.begin(), first_args_.end(), fits);
}

bool AclSelector::CommandRule::covers(const CommandSpec& spec) const {
  if (categories != 0) return (spec.categories & categories) != 0;
  return spec.name == name || (spec.name.starts_with(name) && spec.name.substr(name.size()).starts_with('|'));
}

bool AclSelector::allows_unlisted(const CommandSpec& spec) const {
  const auto covers = [&](const CommandRule& rule) { return rule.covers(spec); };
  const auto last = std::find_if(rules_.rbegin(), rules_.rend(), covers);
  return last == rules_.rend() ? starts_with_all_ : last->allow;
}

// Redis: acl.c, ACLSelectorCheckKey.
uint8_t AclSelector::rights_for(uint32_t flags) {
  uint8_t rights = 0;
  if (flags & resp::kKeyAccess) rights |= kRead;
  if (flags & (resp::kKeyInsert | resp::kKeyDelete | resp::kKeyUpdate)) rights |= kWrite;
  return rights;
}

bool AclSelector::allows_key(std::string_view key, uint32_t flags) const {
  if (all_keys_) return true;
  const uint8_t rights = rights_for(flags);
  return std::any_of(keys_.begin(), keys_.end(), [&](const KeyPattern& pattern) {
    return (pattern.rights & rights) == rights && glob_match(pattern.glob, key);
  });
}

// A request whose keys make no sense would be refused by a node; here already, lest a node makes sense of it.
AclVerdict AclSelector::check_keys(const CommandSpec& spec, const Command& command, KeyUses& keys) const {
  constexpr AclVerdict kSomeKey{AclRefusal::kKey, 1};
  if (spec.only_key != 0 && spec.key_variation.drops == 0) [[likely]] {
    if (spec.only_key >= command.argc()) return kSomeKey;
    const bool allowed = allows_key(command.arg(spec.only_key), spec.keys[0].flags);
    return allowed ? AclVerdict{} : AclVerdict{AclRefusal::kKey, spec.only_key};
  }
  if (resp::keys_may_hide(spec)) return kSomeKey;
  if (!has_keys(spec)) return {};
  if (!keys.found) keys.nonsense = !resp::find_key_uses(spec, command, keys.uses);
  keys.found = true;
  if (keys.nonsense) return kSomeKey;
  for (const resp::KeyUse& use : keys.uses) {
    if (!allows_key(command.arg(use.arg), use.flags)) return {AclRefusal::kKey, use.arg};
  }
  return {};
}

bool AclSelector::allows_channel(std::string_view channel, bool is_pattern) const {
  if (all_channels_) return true;
  return std::any_of(channels_.begin(), channels_.end(), [&](const std::string& allowed) {
    return is_pattern ? allowed == channel : glob_match(allowed, channel);
  });
}

AclVerdict AclSelector::check_channels(const CommandSpec& spec, const Command& command) const {
  const auto [first, last] = channels_of(spec, command);
  for (size_t i = first; i < last; ++i) {
    if (!allows_channel(command.arg(i), spec.action == Action::kPSubscribe)) {
      return {AclRefusal::kChannel, static_cast<uint32_t>(i)};
    }
  }
  return {};
}

bool AclSelector::reads_all_keys() const {
  const auto reads_all = [](const KeyPattern& pattern) { return (pattern.rights & kRead) && pattern.glob == "*"; };
  return all_keys_ || std::any_of(keys_.begin(), keys_.end(), reads_all);
}

// --- what it tells ---

std::string AclSelector::describe_commands() const {
  std::string text = starts_with_all_ ? "+@all" : "-@all";
  for (const CommandRule& rule : rules_) text += (rule.allow ? " +" : " -") + rule.name;
  return text;
}

std::string AclSelector::describe_keys() const {
  if (all_keys_) return "~*";
  std::vector<std::string> words;
  for (const KeyPattern& pattern : keys_) {
    const std::string_view all = pattern.glob == "*" ? "%RW~" : "~";  // "~*" allows no patterns beside it
    const std::string_view mark = pattern.rights == kRead ? "%R~" : pattern.rights == kWrite ? "%W~" : all;
    words.push_back(std::string(mark) + pattern.glob);
  }
  return joined(words);
}

std::string AclSelector::describe_channels() const {
  if (all_channels_) return "&*";
  std::vector<std::string> words;
  for (const std::string& channel : channels_) words.push_back('&' + channel);
  return joined(words);
}

std::string AclSelector::describe() const {
  std::string text = describe_keys();
  if (!text.empty()) text += ' ';
  if (!all_channels_) text += "resetchannels ";
  if (const std::string channels = describe_channels(); !channels.empty()) text += channels + ' ';
  return text + describe_commands();
}

}  // namespace corral::policy

#include "policy/acl_user.h"

#include <algorithm>

#include "policy/password.h"
#include "resp/ascii.h"
#include "resp/inline_words.h"

namespace corral::policy {

using resp::Command;
using resp::CommandSpec;
using resp::same_word;

namespace {

constexpr std::string_view kNoHash =
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
constexpr std::string_view kNoSuchPassword = "The password you are trying to remove from the user does not exist";
constexpr std::string_view kNoPayloadFlag = "What a RESTORE is checked for is up to the nodes";

bool says_of_password(std::string_view rule) {
  return !rule.empty() && std::string_view("><#!").find(rule[0]) != std::string_view::npos;
}

}  // namespace

std::string_view AclUser::apply(std::string_view rule) {
  std::string_view error;
  if (same_word(rule, "on") || same_word(rule, "off")) {
    enabled_ = same_word(rule, "on");
  } else if (same_word(rule, "nopass") || same_word(rule, "resetpass")) {
    no_password_ = same_word(rule, "nopass");
    passwords_.clear();
  } else if (same_word(rule, "skip-sanitize-payload")) {
    return kNoPayloadFlag;
  } else if (says_of_password(rule)) {
    return apply_password(rule);
  } else if (rule.starts_with('(') && rule.ends_with(')')) {
    error = add_selector(rule.substr(1, rule.size() - 2));
  } else if (same_word(rule, "clearselectors")) {
    selectors_.resize(1);
  } else if (same_word(rule, "reset")) {
    reset();
  } else if (same_word(rule, "sanitize-payload")) {
    sanitizes_ = true;
  } else if (!rule.empty()) {
    error = selectors_.front().apply(rule);
  }
  const auto all = [](const AclSelector& selector) { return selector.unrestricted(); };
  unrestricted_ = std::any_of(selectors_.begin(), selectors_.end(), all);
  return error;
}

std::string_view AclUser::apply_password(std::string_view rule) {
  const bool hashed = rule[0] == '#' || rule[0] == '!';
  if (hashed && !is_password_hash(rule.substr(1))) return kNoHash;
  const std::string hash = hashed ? std::string(rule.substr(1)) : hash_password(rule.substr(1));
  const auto known = std::find(passwords_.begin(), passwords_.end(), hash);
  if (rule[0] == '>' || rule[0] == '#') {
    if (known == passwords_.end()) passwords_.push_back(hash);
    no_password_ = false;
  } else {
    if (known == passwords_.end()) return kNoSuchPassword;
    passwords_.erase(known);
  }
  return {};
}

std::string_view AclUser::add_selector(std::string_view rules) {
  std::string text;
  std::vector<resp::Slice> words;
  const int count = resp::split_inline_words(rules, text, words);
  AclSelector selector;
  for (int i = 0; i < count; ++i) {
    const resp::Slice& word = words[static_cast<size_t>(i)];
    const auto error = selector.apply(std::string_view(text).substr(word.offset, word.length));
    if (!error.empty()) return error;
  }
  if (count < 0) return "Syntax error";
  selectors_.push_back(std::move(selector));
  return {};
}

void AclUser::reset() {
  enabled_ = no_password_ = false;
  sanitizes_ = true;
  passwords_.clear();
  selectors_ = std::vector<AclSelector>(1);
}

bool AclUser::accepts(std::string_view password) const {
  const std::string hash = hash_password(password);  // always, so that the time tells nothing of the user
  if (!enabled_) return false;
  if (no_password_) return true;
  bool found = false;
  for (const std::string& known : passwords_) found |= same_hash(known, hash);
  return found;
}

AclVerdict AclUser::check(const CommandSpec& spec, const Command& command, std::vector<resp::KeyUse>& uses) const {
  AclVerdict worst{AclRefusal::kCommand, 0};
  AclSelector::KeyUses keys{uses};
  for (const AclSelector& selector : selectors_) {
    const AclVerdict verdict = selector.check(spec, command, keys);
    if (verdict.refusal == AclRefusal::kNone) {
      const bool names = !unrestricted_ && !resp::find_naming_option(spec, command).empty();
      return names && !reads_all_keys(spec, command, keys) ? AclVerdict{AclRefusal::kNaming, 0} : verdict;
    }
    const auto rank = [](const AclVerdict& one) { return std::pair(one.refusal, one.arg); };
    if (rank(verdict) > rank(worst)) worst = verdict;
  }
  return worst;
}

// Redis: acl.c, ACLUserCheckCmdWithUnrestrictedKeyAccess.
bool AclUser::reads_all_keys(const CommandSpec& spec, const Command& command, AclSelector::KeyUses& keys) const {
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.reads_all_keys() && selector.check(spec, command, keys).refusal == AclRefusal::kNone;
  });
}

bool AclUser::may_run_on_all(const CommandSpec& spec, const Command& command) const {
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.reads_all_keys() && selector.allows_command(spec, command);
  });
}

bool AclUser::may_run(const CommandSpec& spec, const Command& command) const {
  const auto allows = [&](const AclSelector& selector) { return selector.allows_command(spec, command); };
  return std::any_of(selectors_.begin(), selectors_.end(), allows);
}

bool AclUser::may_use(const CommandSpec& spec, const Command& command, uint32_t arg, uint32_t flags) const {
  return std::any_of(selectors_.begin(), selectors_.end(), [&](const AclSelector& selector) {
    return selector.allows_command(spec, command) && selector.allows_key(command.arg(arg), flags);
  });
}

bool AclUser::may_receive(std::string_view channel, bool is_pattern) const {
  const auto allows = [&](const AclSelector& selector) { return selector.allows_channel(channel, is_pattern); };
  return std::any_of(selectors_.begin(), selectors_.end(), allows);
}

std::string AclUser::describe() const {
  std::string text = enabled_ ? "on " : "off ";
  if (no_password_) text += "nopass ";
  if (sanitizes_) text += "sanitize-payload ";
  for (const std::string& hash : passwords_) text += '#' + hash + ' ';
  text += selectors_.front().describe();
  for (size_t i = 1; i < selectors_.size(); ++i) text += " (" + selectors_[i].describe() + ')';
  return text;
}

}  // namespace corral::policy

#include "policy/acl.h"

#include <algorithm>

#include "policy/password.h"
#include "resp/ascii.h"
#include "resp/inline_words.h"

namespace corral::policy {

namespace {

constexpr std::string_view kDefaultUser = "default";
constexpr std::string_view kDuplicate = "Duplicate user found. A user can only be defined once in config files";

// As Redis: acl.c, ACLMergeSelectorArguments. False: a parenthesis is not closed.
bool merge_selectors(const std::vector<std::string>& words, std::vector<std::string>& rules) {
  bool open = false;
  for (const std::string& word : words) {
    if (open) {
      rules.back() += ' ' + word;
    } else {
      rules.push_back(word);
    }
    open = (open || word.starts_with('(')) && !word.ends_with(')');
  }
  return !open;
}

// A word as split_inline_words() takes it apart again. Blanks that part the rules of a selector need no quotes.
std::string quoted_if_needed(const std::string& rule) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const bool blanks_may_be = rule.starts_with('(');
  const bool plain = !rule.empty() && std::all_of(rule.begin(), rule.end(), [&](char c) {
    return (c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '\\') || (c == ' ' && blanks_may_be);
  });
  if (plain) return rule;
  std::string text = "\"";
  for (const char c : rule) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (byte < 0x20 || byte >= 0x7f) {
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      text += c;
    }
  }
  return text + '"';
}

std::string without_password(const std::string& rule) {
  if (rule.starts_with('>')) return '#' + hash_password(std::string_view(rule).substr(1));
  if (rule.starts_with('<')) return '!' + hash_password(std::string_view(rule).substr(1));
  return rule;
}

// Names of commands and categories are shown; whatever else is wrong might be a password that lacks its '>'.
std::string shown(const AclLine& line, size_t rule, std::string_view why) {
  const std::string& word = line.rules[rule];
  const bool harmless = word.starts_with('+') || word.starts_with('-');
  return "user '" + line.user + "': " + (harmless ? "'" + word + "'" : "rule " + std::to_string(rule + 1)) + ": " +
         std::string(why);
}

}  // namespace

std::string AclLine::read(std::string_view line) {
  std::string text;
  std::vector<resp::Slice> slices;
  const int count = resp::split_inline_words(line, text, slices);
  if (count < 0) return "unbalanced quotes in acl line";
  std::vector<std::string> words;
  for (int i = 0; i < count; ++i) {
    const resp::Slice& slice = slices[static_cast<size_t>(i)];
    words.push_back(text.substr(slice.offset, slice.length));
  }
  if (words.size() < 2 || !resp::same_word(words[0], "user")) {
    return "it should start with user keyword followed by the username";
  }
  user = words[1];
  const auto wrong = [](char c) { return c == '\0' || (c >= '\t' && c <= '\r') || c == ' '; };
  if (user.empty() || std::any_of(user.begin(), user.end(), wrong)) return "the username contains invalid characters";
  words.erase(words.begin(), words.begin() + 2);
  rules.clear();
  if (!merge_selectors(words, rules)) return "user '" + user + "': Unmatched parenthesis in selector definition";
  return {};
}

std::string AclLine::without_passwords() const {
  std::string text = "user " + quoted_if_needed(user);
  for (const std::string& rule : rules) text += ' ' + quoted_if_needed(without_password(rule));
  return text;
}

Acl::Acl() {
  AclUser& user = users_.try_emplace(std::string(kDefaultUser), std::string(kDefaultUser)).first->second;
  for (const std::string_view rule : {"on", "nopass", "~*", "&*", "+@all"}) user.apply(rule);
}

std::string Acl::add(std::string_view text) {
  AclLine line;
  const std::string error = line.read(text);
  return error.empty() ? add(line) : error;
}

std::string Acl::add(const AclLine& line) {
  const bool is_default = line.user == kDefaultUser;
  if (is_default ? default_is_configured_ : users_.contains(line.user)) {
    return "user '" + line.user + "': " + std::string(kDuplicate);
  }
  AclUser user(line.user);
  user.apply("reset");
  for (size_t i = 0; i < line.rules.size(); ++i) {
    if (const auto error = user.apply(line.rules[i]); !error.empty()) return shown(line, i, error);
  }
  users_.insert_or_assign(line.user, std::move(user));
  default_is_configured_ |= is_default;
  return {};
}

const AclUser* Acl::find(std::string_view name) const {
  const auto it = users_.find(name);
  return it == users_.end() ? nullptr : &it->second;
}

const AclUser* Acl::authenticate(std::string_view name, std::string_view password) const {
  static const AclUser kNobody{std::string()};
  const AclUser* user = find(name);
  const bool accepted = (user ? *user : kNobody).accepts(password);
  return accepted ? user : nullptr;
}

}  // namespace corral::policy

#include "policy/rule_book.h"

#include <algorithm>

#include "policy/glob.h"

namespace corral::policy {

RuleBook::RuleBook(std::vector<Rule> rules) : rules_(std::move(rules)) {}

const Rule* RuleBook::find(std::string_view key) const {
  for (const Rule& rule : rules_) {
    const auto matches = [key](const std::string& glob) { return glob_match(glob, key); };
    if (std::any_of(rule.match.begin(), rule.match.end(), matches)) return &rule;
  }
  return nullptr;
}

}  // namespace corral::policy

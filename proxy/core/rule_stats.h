// What one worker counts by rule, beside the near cache's own counters (near.h). Rules are known by their names, so
// that counts outlive a reload.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "policy/rule_book.h"

namespace corral::core {

struct RuleStats {
  uint64_t ttl_defaulted = 0, ttl_clamped = 0, ttl_rejected = 0, ttl_observed = 0, ttl_missing = 0, too_big = 0;

  void add(const RuleStats& other) {
    ttl_defaulted += other.ttl_defaulted;
    ttl_clamped += other.ttl_clamped;
    ttl_rejected += other.ttl_rejected;
    ttl_observed += other.ttl_observed;
    ttl_missing += other.ttl_missing;
    too_big += other.too_big;
  }
};

class RuleStatsBook {
 public:
  void on_new_rules(std::span<const policy::Rule> rules) {
    by_place_.clear();
    for (const policy::Rule& rule : rules) by_place_.push_back(&by_name_[rule.name]);
  }
  /// Of a rule that is in force. The result stays where it is.
  RuleStats& of(const policy::TtlRule& rule) { return *by_place_[rule.place]; }
  RuleStats& of(const policy::Rule& rule) { return by_name_[rule.name]; }
  const std::map<std::string, RuleStats>& all() const { return by_name_; }

 private:
  std::map<std::string, RuleStats> by_name_;  // those of rules that are no more stay
  std::vector<RuleStats*> by_place_;
};

}  // namespace corral::core

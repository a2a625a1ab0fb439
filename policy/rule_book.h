// The rules of the settings, compiled: which of them applies to a key (the first that matches) and what it asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::policy {

/// What becomes of the time to live of a rule's keys.
struct TtlRule {
  enum class Mode : uint8_t {
    kEnforce,  // a write that would leave its key without one is given the default
    kReject,   // it is refused
    kObserve,  // it is counted
  };
  int64_t default_ms = 300'000;
  int64_t max_ms = 0;   // 0: none
  double jitter = 0.1;  // a default or given TTL t becomes one in [t * (1 - jitter), t]
  Mode mode = Mode::kEnforce;
};

struct Rule {
  std::string name;
  std::vector<std::string> match;  // Redis globs, any of them
  std::optional<TtlRule> ttl;
  uint64_t max_value_bytes = 0;  // 0: no limit of its own
};

class RuleBook {
 public:
  RuleBook() = default;
  explicit RuleBook(std::vector<Rule> rules);

  /// The first rule that matches; null if none does. Takes a walk over the key, however many rules there are, and a
  /// try of each glob that is more than a literal with a '*' at its end and could come before what the walk has found.
  /// Allocates nothing.
  const Rule* find(std::string_view key) const;
  bool empty() const { return rules_.empty(); }
  /// In the order of the settings.
  std::span<const Rule> rules() const { return rules_; }

 private:
  std::vector<Rule> rules_;
};

}  // namespace corral::policy

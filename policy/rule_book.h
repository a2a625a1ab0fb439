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
    kOff,      // nothing: the rule says no more than stale_ms
  };
  int64_t default_ms = 300'000;
  int64_t max_ms = 0;   // 0: none
  double jitter = 0.1;  // a default or given TTL t becomes one in [t * (1 - jitter), t]
  Mode mode = Mode::kEnforce;
  int64_t stale_ms = 0;  // in every mode: a key is stored for so much longer than clients say and are told
  uint32_t place = 0;    // of its rule in the book, which sets it

  bool enforces() const { return mode == Mode::kEnforce || mode == Mode::kReject; }
};

/// What of a rule's keys is answered from the near cache.
struct NearRule {
  int64_t ttl_ms = 30'000;               // a reply is not kept for longer
  uint64_t max_value_bytes = 64u << 10;  // a reply that is larger is not kept
};

/// How a rule's keys are kept from being computed by many at once (section 6 of the design).
struct StampedeRule {
  int64_t lease_ms = 10'000;     // how long who was told that a key is missing may take to set it
  int64_t wait_ms = 250;         // how long others wait for that
  int64_t wait_shared_ms = 0;    // likewise, where more commands have come behind the one that waits
  int64_t stale_ms = 0;          // a key is kept for so much longer than its TTL says, while one client computes it
  double early_refresh = 0;      // beta: how eagerly one client is made to compute before the TTL is over; 0: never
  bool for_all_proxies = false;  // a lease holds for all proxies before the cluster
};

/// What a read of a rule's keys is told when its node cannot be asked.
enum class OnUpstreamError : uint8_t {
  kError,  // that
  kMiss,   // that the key is not there
  kStale,  // what was last known of it
};

struct Rule {
  std::string name;
  std::vector<std::string> match;  // Redis globs, any of them
  std::optional<TtlRule> ttl;
  std::optional<NearRule> near = {};
  std::optional<StampedeRule> stampede = {};
  OnUpstreamError on_upstream_error = OnUpstreamError::kError;
  int64_t stale_if_error_ms = 300'000;  // how long kStale may answer after its node was last heard from
  uint64_t max_value_bytes = 0;         // 0: no limit of its own
};

/// Immutable once made, so threads may share one. A copy is a book of its own; a moved-from one has no rules.
class RuleBook {
 public:
  RuleBook() = default;
  explicit RuleBook(std::vector<Rule> rules);

  /// The first rule that matches; null if none does. The rule lives as long as the book. Takes a walk over the key,
  /// however many rules there are, and a try of each glob that is more than a literal with a '*' at its end, whose
  /// literal prefix the key begins with, and that could come before what the walk has found. Allocates nothing.
  const Rule* find(std::string_view key) const;
  bool empty() const { return rules_.empty(); }
  /// In the order of the settings.
  std::span<const Rule> rules() const { return rules_; }

 private:
  class Compiler;
  struct Node;
  struct Glob;

  static constexpr uint32_t kNone = UINT32_MAX;

  bool starts_with_label(std::string_view rest, const Node& node) const;
  bool matches(const Glob& glob, std::string_view key) const;
  uint32_t best_glob(std::string_view key, uint32_t node, uint32_t best) const;

  std::vector<Rule> rules_;
  std::vector<Node> nodes_;  // the trie, laid out as rule_book.cc says; the root is the first
  std::vector<Glob> globs_;  // those of a node in a row, in the order of their rules; the first is an end
  std::string text_;         // what the nodes' labels and the globs consist of
};

/// What the keys that begin with one prefix share. Half a cache line.
struct RuleBook::Node {
  uint32_t parent = kNone;  // whose child lies here; none: the root, or a place not taken
  uint32_t base = 0;        // the child for byte b is at base + b (mod 2^32), if what lies there says so
  uint32_t label = 0;       // in text_: the bytes of the prefix behind the one that led here
  uint32_t label_size = 0;
  uint32_t prefix_rule = kNone;  // of this prefix and a '*'
  uint32_t exact_rule = kNone;   // of this prefix as a whole key
  uint32_t globs = 0;            // in globs_: those with this literal prefix
  uint32_t first_rule = kNone;   // of all here and below
};

/// A glob behind its literal prefix: a middle that takes matching, and a literal suffix.
struct RuleBook::Glob {
  uint32_t rule = kNone;  // none: the end of a node's globs
  uint32_t prefix_size = 0;
  uint32_t text = 0;  // in text_
  uint32_t middle_size = 0;
  uint32_t suffix_size = 0;
  bool any_middle = false;  // the middle is but stars
};

}  // namespace corral::policy

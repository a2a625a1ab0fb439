// The near cache as a worker's clients meet it: each command passes here before it is sent, and is answered from
// memory, joins or starts a fill, or goes its ordinary way, perhaps as a touch. What may be kept and served is decided
// by policy/near_cache.h; the connections are near_links.h, a read under way is near_fill.h, all else near_touch.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/fill_budget.h"
#include "policy/near_cache.h"
#include "policy/rule_book.h"
#include "proxy/core/leases.h"
#include "proxy/core/near_fill.h"
#include "proxy/core/near_links.h"
#include "proxy/core/near_touch.h"
#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;
class SplitTask;
class Worker;

class Near {
 public:
  Near(Worker& worker, policy::NearCache& cache);

  /// Whether any rule wants it.
  bool on() const { return on_; }
  void start() { on_new_rules(); }
  void on_new_rules();
  /// `before`: the map until now.
  void on_new_map(const SlotMap& before);

  enum class Way : uint8_t {
    kOrdinary,  // the command is to be executed; its request may carry a touch
    kAnswered,  // now or later
    kWait,      // for what the session is due: then it is to come again
  };
  Way handle(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  /// The bytes behind a request that is handled now: if they are another one, its key is looked for next.
  void foresee(std::string_view bytes) const {
    if (!all_may_pass_ || !policy::NearCache::is_narrow(cache_.era())) look_ahead(bytes);
  }
  /// The command sent nothing that could have taken its touch.
  void end_unused_touch(Session& session);
  /// By rule, of this worker's clients.
  struct RuleCounters {
    uint64_t hits = 0, misses = 0, shared = 0, invalidations = 0;
  };
  const std::map<std::string, RuleCounters>& counters() {
    settle_hits();
    return counters_;
  }
  /// Counts the hits since the last time: to be called before anybody can ask for them, and before the rules change.
  void settle_hits() {
    if (hits_.count > 0) count_hits();
  }
  /// A node has said that a key has changed.
  void note_invalidation(std::string_view key);
  /// A request with a touch is about to be answered. True: it has been, or will be.
  bool end(const Request& request, std::string_view reply);
  /// Whether who asked is to be told at once that no node can be asked, since there is another answer.
  static bool gives_up_early(const Request& request);

  /// For a client whose fill has failed: its request takes the ordinary way.
  void read_plainly(const Request& request, const LeaseRead& read, std::string_view frame, bool alone);
  /// A read that was to be judged is made once more.
  void read_again(std::unique_ptr<LeaseRead> read);
  /// What was last known of it, if that is not older than `most_ms`; empty: nothing.
  std::string find_last(const LeaseRead& read, int64_t most_ms);

  NearLinks& links() { return links_; }
  NearTouches& touches() { return touches_; }

 private:
  template <class Target>
  class Asker;
  struct SessionTarget;
  struct ElementTarget;
  struct AgainTarget;

  void look_ahead(std::string_view bytes) const;
  bool may_be_served(const Session& session) const;
  policy::NearPlace place_of(const policy::NearRead& read, Fill::Where& where);
  const policy::Rule* rule_of(std::string_view key) const;
  template <class Target>
  policy::NearCache::Answer ask(Target& target, const policy::Rule& rule, const resp::CommandSpec& spec,
                                const policy::NearRead& read, std::string_view frame, uint8_t tries = 0);
  void send_plainly(Request request, policy::NearTouched touched, std::unique_ptr<LeaseRead> read,
                    std::string_view frame);
  RuleCounters& counters_of(const policy::Rule& rule);
  void count_hit(const policy::Rule& rule, const resp::CommandSpec* answered) {
    if (hits_.rule != &rule || hits_.answered != answered) [[unlikely]]
      begin_hits(rule, answered);
    ++hits_.count;
  }
  void begin_hits(const policy::Rule& rule, const resp::CommandSpec* answered);
  void count_hits();
  void count_miss(const policy::Rule& rule, policy::NearCache::Answer answer);
  void count_passed(const policy::Rule& rule, uint64_t hash);
  void count_looked(const policy::Rule& rule, uint32_t reads, bool found);
  void judge_locality();
  uint32_t era_of(const policy::Rule& rule) const;
  policy::NearRead read_of(const Session& session, const resp::CommandSpec& spec, std::string_view key,
                           std::string_view args, uint32_t era = 0) const;
  Way read(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  bool pass(Session& session, const policy::Rule& rule, std::string_view key, uint32_t era);
  Way tell_ttl(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  // near_mget.cc
  Way read_many(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  bool any_near(const resp::Command& command) const;
  Way glance_at_all(Session& session, const resp::Command& command, uint32_t era, std::vector<std::string>& elements);
  bool ask_for_one(const Request& whole, SplitTask& task, uint32_t place, std::string_view key, uint32_t era,
                   NearTouch& touch);

  Worker& worker_;
  policy::NearCache& cache_;
  bool on_ = false;
  bool all_may_pass_ = false;  // under whatever rule
  /// Hits that came one after the other and are counted alike, at once. `answered`: the command that each was all of;
  /// null: it was a part of one.
  struct HitRun {
    const policy::Rule* rule = nullptr;
    const resp::CommandSpec* answered = nullptr;
    uint32_t count = 0;
  };
  HitRun hits_;
  policy::FillBudget budget_;
  uint32_t era_ = 0;  // of the cache, in which the following were counted
  policy::LocalityCounts locality_;
  policy::Repeats repeats_;
  std::map<std::string, RuleCounters> counters_;  // those of rules that are no more stay
  std::vector<RuleCounters*> counters_by_rule_;   // by the rule's place
  NearLinks links_;
  NearTouches touches_;
};

}  // namespace corral::core

// Leases as a worker's clients meet them: what a read of a key under a `stampede` rule has found is judged here before
// its client is told (policy/lease_table.h), and so is each write of such a key.
//
//   read's reply --> deliver() --> LeaseTable --> told at once: what was found, nil (perhaps with the lease), ...
//                                      |
//                                      +--------> parked: until a SET's value comes, the lease does, or time is over
//
// A reader that waits is a number of this worker's (Parked); whoever wakes it finds worker and number in the table, and
// tells the worker through its inbox. What does not wait any more when it is woken is left alone; a lease that was to
// be its then goes to the next.
//
// Deadlocks (section 6 of the design): a client waits only if it has no lease itself and the read is the only command
// that it waits for; once more bytes come behind it, it waits no longer than `wait_shared`.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/lease_table.h"
#include "policy/rule_book.h"
#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;
class Worker;

/// A read of one key that is to be judged; leases are granted to reads of strings (GET, an element of MGET).
struct LeaseRead {
  Request request;                          // holds a reference to its session; without a touch
  const resp::CommandSpec* spec = nullptr;  // GET for an element of MGET
  std::string key;
  std::string args;  // those behind the key, as they came
  uint64_t hash = 0;
  uint16_t database = 0;
  uint32_t mark = 0;  // LeaseTable::mark() when it was sent
  uint64_t sent_ms = 0;
  uint64_t deadline_ms = 0;     // when the value goes, as far as known; 0: it is not
  uint64_t chance = 0;          // a random number for its early refresh; 0: none was drawn
  uint8_t tries = 0;            // how often it has been made again
  uint64_t wait_until_ms = 0;   // it has waited, and waits no longer than so; 0: it has not
  uint64_t waited_ms = 0;       // so far
  bool alone = true;            // its client waited for nothing else when it came
  bool gives_up_early = false;  // if no node can be asked, there is another answer

  policy::LeaseKey lease_key() const { return {key, hash, database}; }
};

/// The writes of one request.
struct LeaseWrites {
  struct One {
    std::string key;
    uint64_t hash;
    policy::LeaseTable::Write write;
  };
  enum class Done : uint8_t {
    kTold,    // its reply tells whether it has been done
    kAlways,  // it has, unless the reply is an error
    kInExec,  // as part of a transaction: likewise, or null
  };
  uint16_t database = 0;
  Done done = Done::kTold;
  std::vector<One> writes;
};

/// What a session has to do with leases; most have nothing.
struct SessionLeases {
  struct Held {
    std::string key;
    uint64_t hash;
    uint16_t database;
    uint64_t serial;
  };
  std::vector<Held> held;     // or was: those that are over are taken out now and then
  size_t prune_at = 16;       // when there are so many
  std::set<uint64_t> parked;  // numbers of its reads that wait
};

class Leases {
 public:
  Leases(Worker& worker, policy::LeaseTable& table);
  ~Leases();

  policy::LeaseTable& table() { return table_; }
  /// Reads that wait.
  size_t waiting() const { return parked_.size(); }

  /// Whether what is known is not simply to be given to who reads it.
  bool is_to_be_judged(const policy::StampedeRule& rule, size_t reply_size, uint64_t deadline_ms);
  /// That was drawn for this, if one was.
  uint64_t take_chance() { return std::exchange(chance_, 0); }
  static bool wants_deadlines(const policy::StampedeRule& rule) {
    return rule.stale_ms > 0 || rule.early_refresh > 0 || rule.for_all_proxies;
  }
  /// What a read has found: answers it, now or later.
  void deliver(std::unique_ptr<LeaseRead> read, std::string_view reply);
  /// More has come from a client whose reads wait.
  void on_more(Session& session);
  /// A client whose reads wait is about to do more with keys: if these may be the same, the reads are told what they
  /// have found.
  void before_keys(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  void on_closed(Session& session);

  /// A command is about to be sent that writes a key under a rule with `stampede`, and makes it `value` if that is
  /// known. `alone`: not in a transaction. It joins `writes`.
  void begin_write(LeaseWrites& writes, const resp::CommandSpec& spec, std::string_view key,
                   std::optional<std::string_view> value, const policy::Rule& rule, bool alone);
  /// They have been answered, and the client not been told yet.
  void end_writes(const LeaseWrites& writes, std::string_view reply);
  void end_write_of_all();
  /// A node says that a key has changed.
  void on_invalidated(std::string_view key, uint64_t hash, uint16_t database);

  /// Another proxy has given its lease of this key up.
  void on_released_elsewhere(std::string_view key, uint64_t hash, uint16_t database);
  /// The node has said what becomes of a lease that was asked for (lease_fleet.cc). The read had `found`
  /// something before; `reply`: what it finds now.
  void on_asked(std::unique_ptr<LeaseRead> read, const std::string& found, std::string_view reply, uint64_t serial,
                policy::KeyLease::Asked asked);

  /// Whether the client is to overwrite what is there, since it was told that there is nothing; `deadline_ms`: of what
  /// is known to be there still.
  bool may_overwrite(const Session& session, const policy::LeaseKey& key, uint64_t deadline_ms) const;

  /// By rule, of this worker's clients.
  struct RuleCounters {
    uint64_t granted = 0, filled = 0, lapsed = 0, waits = 0, waits_filled = 0, waits_timed_out = 0, stale_served = 0,
             early_refreshes = 0;
    static constexpr size_t kBuckets = 18;        // of times to compute: less than 1 ms, 2 ms, 4 ms ... 65 s, more
    std::array<uint64_t, kBuckets> compute_ms{};  // how many
    double mean_compute_ms = 0;                   // moving

    /// Counts, but no mean.
    void add(const RuleCounters& other);
  };
  const std::map<std::string, RuleCounters>& counters() const { return counters_; }

 private:
  struct Parked {
    std::unique_ptr<LeaseRead> read;
    uint64_t place = 0;  // in the table
    uint64_t since_ms = 0;
    bool hurried = false;  // more has come behind it
    std::multimap<uint64_t, uint64_t>::iterator due;
  };
  using Told = policy::Told;
  using Wakes = policy::LeaseWakes;

  const policy::Rule* rule_of(std::string_view key) const;
  RuleCounters& counters_of(std::string_view key);
  static bool asks_too_much(const LeaseRead& read);
  policy::Finding judge_reply(const policy::Rule& rule, const LeaseRead& read, std::string_view reply) const;
  policy::LeaseReader reader_of(const policy::StampedeRule& rule, const LeaseRead& read);
  void act(const policy::Rule& rule, std::unique_ptr<LeaseRead> read, std::string_view reply, const Told& told,
           const policy::LeaseReader& reader);
  void ask(std::unique_ptr<LeaseRead> read, std::string_view reply, uint64_t serial);
  void release_at_node(const policy::LeaseKey& key, uint64_t serial);
  void note_computed(std::string_view key, uint64_t took_ms);
  void answer(const LeaseRead& read, std::string_view reply);
  void answer_nil(const LeaseRead& read) { answer(read, nil_for(read)); }
  static std::string_view nil_for(const LeaseRead& read);
  void hold(const LeaseRead& read, uint64_t serial);
  uint64_t lease_end_ms(const policy::Rule* rule) const;
  void watch_end(const policy::LeaseKey& key, uint64_t end_ms);
  bool holds_any(Session& session);
  bool is_held(const SessionLeases::Held& held) const;
  void prune(SessionLeases& leases);
  void park(std::unique_ptr<LeaseRead> read, const policy::LeaseReader& reader, uint64_t place);
  std::unique_ptr<LeaseRead> unpark(uint64_t number);
  void set_due(uint64_t number, Parked& parked, uint64_t due_ms);
  void arm();
  void check_due();
  void give_up(uint64_t number);
  void read_again(std::unique_ptr<LeaseRead> read);
  void release_all(Session& session);

  // Who is woken, of all workers.
  void wake(const policy::LeaseKey& key, Wakes wakes);
  void on_worker(uint32_t worker, std::function<void(Leases&)> work);
  void wake_filled(uint64_t number, const policy::LeaseValue& value);
  void wake_again(uint64_t number, const policy::LeaseValue&);
  void wake_nil(uint64_t number, const policy::LeaseValue&);
  void wake_promoted(uint64_t number, const SessionLeases::Held& lease, bool ask_first);

  Worker& worker_;
  policy::LeaseTable& table_;
  std::map<std::string, RuleCounters> counters_;
  std::unordered_map<uint64_t, Parked> parked_;  // by number
  std::multimap<uint64_t, uint64_t> due_;        // when to look at which
  uint64_t armed_ms_ = 0;                        // when that is done next; 0: never
  uint64_t next_number_ = 1;
  uint64_t chance_ = 0;
};

}  // namespace corral::core

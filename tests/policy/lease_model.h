// A model of what leases live in, by which their promises are checked after each event: a node (lease_model_node.h),
// two proxies with a table each, clients that read and write through them, and writers past them. A read is executed at
// another time than it is judged, a client is woken later than it is decided, timers are late, clocks differ: a seed
// decides of all this. What a table says is compared with a ledger (lease_model_ledger.h).
//
// Checked of what clients are told:
// - each read is answered once, and who waits within its time;
// - after a write through the proxy was acknowledged, no read that was sent later sees what was before, nor is who
// waits
//   given that;
// - nothing is told that has expired when it was read, and nothing that no node could take but by its lease's end;
// - nobody is told nil with a lease that is not its own, and no two proxies have one of all proxies at once.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "lease_model_ledger.h"
#include "lease_model_node.h"
#include "policy/lease_table.h"

namespace corral::policy::lease_model {

struct Config {
  StampedeRule rule;
  size_t most_keys = LeaseTable::kMostKeys;
  bool feeds = false;     // of the rule: no node is a miss
  bool deadlines = true;  // a read tells how long the value has left
  size_t clients = 8;
  size_t writes = 5, past = 5, leaves = 3, fails = 3, unpushed = 10;  // percent
  bool goes_down = false;                                             // the node, at times
  uint64_t think_ms = 20, delay_ms = 5, late_ms = 5, lag_ms = 0, ttl_ms = 300;
};

class Model {
 public:
  Model(uint64_t seed, const Config& config, bool trace = false);

  /// So many events, unless something is wrong before.
  void run(uint64_t events);
  /// Everything that is under way comes to its end, and nothing may be left behind.
  void settle();
  const std::string& violation() const { return violation_; }
  const std::deque<std::string>& trace() const { return lines_; }

  struct Counts {
    uint64_t events = 0, found = 0, nil = 0, leases = 0, waits = 0, filled = 0, again = 0, promoted = 0, given_back = 0,
             timed_out = 0, old = 0, early = 0, fed = 0, asked = 0, elsewhere = 0, lapsed = 0, barred = 0,
             overlapped = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Held {
    int key;
    uint64_t serial;
  };
  struct Client {
    uint64_t id = 0;  // of its connection
    int proxy = 0;
    uint32_t worker = 0;
    size_t under_way = 0;
    std::vector<Held> held{};
  };
  struct Read {
    uint64_t number = 0, client_id = 0;
    size_t client = 0;
    int proxy = 0, key = 0;
    int64_t may_wait_ms = 0;
    // As it was sent last:
    uint32_t mark = 0;
    uint64_t sent_ms = 0, sent_clock_ms = 0;
    uint64_t least = 0;  // the version that it must see
    int tries = 0;
    // While it waits:
    bool parked = false, woken = false;
    uint64_t place = 0, sets = 0;  // how many had been acknowledged
  };
  struct Write {
    size_t client;
    uint64_t client_id;
    int proxy, key;
    LeaseTable::Write write;
    uint64_t token = 0, number = 0;
    LeaseOutcome outcome = LeaseOutcome::kDone;
    uint64_t version = 0;  // if executed
  };
  struct Token {
    int key = 0;
    uint64_t version = 0;           // 0: it was not executed
    std::optional<uint64_t> fed{};  // how many writes had been acknowledged when it was
  };
  struct Proxy {
    std::unique_ptr<LeaseTable> table;
    std::unique_ptr<Ledger> ledger;
    std::array<uint64_t, kKeys> least{};                    // the version that an acknowledged write has made
    std::array<uint64_t, kKeys> sets{}, writes{};           // that were acknowledged
    std::array<std::map<uint64_t, bool>, kKeys> under_way;  // writes, and whether each is alone
    std::array<uint64_t, kKeys> node_until_ms{};            // of the lease at the node
    uint64_t link_free_ms = 0;                              // the node gets what it is asked of leases in its order
    int of_all = 0;                                         // writes of unknown keys under way
  };
  // --- time and chance ---
  uint64_t below(uint64_t bound) { return random_() % bound; }
  bool chance(uint64_t percent) { return below(100) < percent; }
  uint64_t delay() { return chance(2) ? below(20 * config_.delay_ms + 1) : below(config_.delay_ms + 1); }
  uint64_t clock() { return now_ms_ - (config_.lag_ms > 0 ? below(config_.lag_ms + 1) : 0); }
  void after(uint64_t ms, std::function<void()> work) { at(now_ms_ + ms, std::move(work)); }
  void at(uint64_t ms, std::function<void()> work) { queue_[{ms, ++queued_}] = std::move(work); }
  LeaseMoment moment() { return {.now_ms = clock(), .serial = 0, .random = random_(), .guess_ms = 5}; }
  uint64_t longest_ms() const { return 20 * config_.delay_ms + config_.late_ms; }
  void step();
  void check();
  void check_barred(int proxy);
  void check_leases_of_all();

  // --- what goes on ---
  void turn(size_t number);
  void connect(size_t number);
  void disconnect(size_t number);
  void hurry(size_t number);
  void write_past();
  void go_down();
  void sweep(int proxy);
  void push_changes();

  // --- reads ---
  void read(size_t number, int key);
  void send(Read& read);
  Found look(const Read& read);
  void on_found(uint64_t number, const Found& found);
  void act(Read& read, const Found& found, const Told& told, const LeaseReader& reader);
  void park(Read& read, uint64_t place);
  void on_timer(uint64_t number);
  void give_up(Read& read);
  void ask(Read& read, uint64_t serial);
  void on_asked(uint64_t number, int proxy, int key, uint64_t serial, const KeyLease::Asked& asked, const Found& found);
  void hold(Read& read, uint64_t serial);
  void give_back(int proxy, int key, uint64_t serial);
  void release(int proxy, int key, uint64_t serial);
  LeaseReader reader_of(const Read& read) const;

  // --- wakes ---
  void wake(int proxy, int key, const LeaseWakes& wakes);
  void check_filled(int proxy, int key, const LeaseWakes& wakes);
  Read* find_parked(uint64_t number);
  void note_woken(uint64_t number, bool is_told_nil);
  void wake_promoted(uint64_t number, int proxy, int key, uint64_t serial, bool ask_first);

  // --- answers ---
  void answer(Read& read);
  void answer_value(Read& read, uint64_t version);
  void check_nil(const Read& read, const Found& found);
  void check_nil_of_waiter(const Read& read);
  void check_fed(int proxy, int key, uint64_t token);

  // --- writes ---
  void write(size_t number, int key, LeaseWrite what);
  void execute(Write& write);
  void apply(Write& write);
  void end_write(const Write& write);
  void write_all(int proxy);
  void end_write_of_all(int proxy, const std::vector<std::pair<int, uint64_t>>& written);
  uint64_t new_token(int key);
  Node::State random_state(uint64_t token);

  void expect(bool is_so, const char* what) {
    if (!is_so && violation_.empty()) violation_ = what;
  }
  template <class... Words>
  void say(const Words&... words) {
    if (!trace_) return;
    std::ostringstream line;
    line << now_ms_ << ": ";
    (line << ... << words);
    lines_.push_back(line.str());
    if (lines_.size() > 500) lines_.pop_front();
  }

  std::mt19937_64 random_;
  const Config config_;
  const bool trace_;
  uint64_t now_ms_ = 1'000'000;
  uint64_t queued_ = 0, numbers_ = 0, ids_ = 0;
  bool calm_ = false;
  Node node_;
  std::array<Proxy, kProxies> proxies_;
  std::vector<Client> clients_;
  std::map<uint64_t, Read> reads_;  // that are not answered
  std::vector<Token> tokens_;
  std::map<std::pair<uint64_t, uint64_t>, std::function<void()>> queue_;  // by time
  std::string violation_;
  std::deque<std::string> lines_;
  Counts counts_;
};

}  // namespace corral::policy::lease_model

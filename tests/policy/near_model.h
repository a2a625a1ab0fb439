// A model of what the near cache lives in, by which its promises are checked for every read: workers and their clients,
// who pipeline; ordinary connections; connections that vouch (near_model_nodes.h); and writers past the proxy. Whatever
// travels waits in a queue of its own, and a seed decides whose turn it is. At points where other threads could come
// in between, they do.
//
// Checked are, when a client gets an answer:
// - G1, G2: no read that began after another command on the key had been answered sees it older than that command did;
// - order: nor does a later command on the same connection;
// and when a reply is served or joined:
// - G3: it was replaced at the node less than the bound ago, and its key's TTL has not passed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "near_model_nodes.h"
#include "policy/near_cache.h"

namespace corral::policy::model {

struct Client;

struct Op {
  enum Kind : uint8_t { kRead, kTtl, kMany, kWrite, kWriteMany, kWriteAny, kPast } kind = kRead;
  uint16_t command = 0;
  int count = 1;
  int left = 0;  // parts that are not answered
  bool done = false;
  std::array<int, 3> keys{};
  std::array<uint64_t, 3> least{}, seen{};  // versions
  bool touches = false, writes = false, of_all = false;
  bool alone = false;  // it has passed by its only key
  std::vector<NearTouched> touched{};
};

struct Client {
  int number = 0, worker = 0;
  uint8_t resp = 2;
  struct Marks {  // as KeyMarks
    int requests = 0;
    uint32_t keys = 0;
    bool may_be(int key) const { return (keys >> key & 1) != 0; }
    void mark(int key) { keys |= 1u << key; }
    bool end() {
      if (--requests == 0) keys = 0;
      return requests == 0;
    }
  };
  Marks fills{}, reads{};  // as Session::near_fills, near_reads
  int passed = 0;          // as Session::near_passed
  uint32_t fill = 0;
  bool waits = false, new_op = false;
  std::deque<Op> ops{};  // in order; the last one is still to be asked for if new_op
  std::array<uint64_t, kKeys> seen{};
};

struct Part {
  Client* client;
  Op* op;
  int place;
  bool own_touch = false;
};

struct Fill final : NearFill {
  struct Waiter {
    Part part;
    uint64_t joined;
  };
  int key = 0;
  uint16_t command = 0;
  Tracked* link = nullptr;
  uint64_t hash = 0, sent = 0, version = 0;
  uint8_t asked_resp = 0;  // bit 0: in RESP2, bit 1: in RESP3
  bool answered = false, refused = false, failed = false;
  std::vector<Waiter> waiters{};
};

struct Config {
  size_t admit = 100, writes = 10, past = 5, faults = 5, stalls = 0;  // percent
  size_t turns = 0;                                                   // to narrow or to widen; of 1000 steps
  size_t depth = 4, clients = 6;
  uint64_t staleness = 600;  // steps
  bool large = true, padded = false, watch_shared = true;
};

class Model {
 public:
  static constexpr uint64_t kKept = 5000;  // steps

  Model(uint64_t seed, const Config& config, bool trace = false);
  ~Model();

  void run(int steps);
  /// Everything that is under way comes to its end, and nothing may be left behind.
  void settle();
  const std::string& violation() const { return violation_; }
  const std::deque<std::string>& trace() const { return lines_; }
  struct Counts {
    uint64_t served = 0, joined = 0, fills = 0, plain = 0, waits = 0, glances = 0, ttls = 0, failed = 0, passed = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  class Asker;
  struct Post {
    std::function<void()> work;
  };
  struct Plain {  // an ordinary connection, both ends
    std::deque<Part> asked;
    std::deque<std::pair<Part, uint64_t>> said;
    uint64_t stalled_until = 0;
  };
  struct Outcome;

  // --- time ---
  // In what the cache is told, the low bits of a deadline say which version has it.
  static constexpr int kVersionBits = 20;
  uint64_t time() const { return now_ << kVersionBits; }
  static uint64_t at(uint64_t step) { return step << kVersionBits; }
  bool chance(size_t percent) { return below(100) < percent; }
  size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }
  void step();
  void interleave(int worker);
  bool is_busy(int worker) const { return (busy_ >> worker & 1) != 0; }

  // --- clients ---
  void client_turn();
  void new_op(Client& client);
  bool ask(Client& client, Op& op);
  bool read(Client& client, Op& op);
  bool read_ttl(Client& client, Op& op);
  bool read_many(Client& client, Op& op);
  bool touch(Client& client, Op& op, bool write);
  NearRead read_of(const Client& client, int key, uint16_t command, uint32_t era) const;
  void pass(Client& client, Op& op, const NearRead& read, int key);
  void end_touches(Client& client, Op& op);
  void send_plain(const Part& part);
  void answer(const Part& part, uint64_t version);
  void finish(Client& client, Op& op);
  void end_read(Client& client);
  void end_fill(Client& client);
  void deliver(Client& client);
  void check_answer(Client& client, const Op& op);
  void check_age(const char* what, int key, uint64_t version, uint64_t when);
  uint64_t parse(const KeyReply& reply, const Client& client, int key, uint16_t command);
  std::string text(char form, int key, uint16_t command, uint64_t version) const;

  // --- fills ---
  NearPlace place(int worker, int key, Tracked*& link);
  void start(Fill& fill, int worker);
  void send(Fill& fill);
  void on_said(Tracked& link);
  void land(Fill& fill, const Said& last);
  void fail(Fill& fill, bool too_large);
  void hand_out(Fill& fill, const Outcome& outcome);
  void give(const std::vector<Fill::Waiter>& waiters, const Outcome& outcome);

  // --- the world ---
  void turn_of_posts();
  void turn_of_plain();
  void turn_of_tracked();
  void execute_plain(Plain& plain);
  Version random_version();
  void post(int from, int to, std::function<void()> work) { posts_[from * kWorkers + to].push_back({std::move(work)}); }
  void beat(Tracked& link);
  void raise(Tracked& link);
  void lose(Tracked& link);
  void update_map(int worker);
  void fault();
  void stall();
  bool is_quiet() const;
  void repair();
  void check_nothing_left(int key);
  bool is_large(uint64_t version) const { return config_.large && version % 16 == 3; }
  bool is_over_limit(uint64_t version) const { return config_.large && version % 16 == 7; }

  void violate(const std::string& what);
  template <class... Words>
  void say(const Words&... words) {
    if (!trace_) return;
    std::ostringstream line;
    line << now_ << ": ";
    (line << ... << words);
    lines_.push_back(line.str());
    if (lines_.size() > 700) lines_.pop_front();
  }

  std::mt19937_64 random_;
  const Config config_;
  const bool trace_;
  NearCache cache_;
  uint64_t now_ = 1000;
  uint32_t busy_ = 0;  // workers in the midst of something
  bool calm_ = false;
  Nodes nodes_;
  std::array<std::string, kKeys> keys_;
  std::array<std::array<int, kSlots>, kWorkers> maps_{};
  std::array<std::array<Plain, 2>, kWorkers> plains_;
  std::array<std::deque<Post>, size_t{kWorkers} * kWorkers> posts_;
  std::deque<Client> clients_;
  std::array<uint64_t, kKeys> least_{};  // that an answer has told
  std::string scratch_;
  std::string violation_;
  std::deque<std::string> lines_;
  Counts counts_;
};

}  // namespace corral::policy::model

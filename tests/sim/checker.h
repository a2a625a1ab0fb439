// What must hold of every run. Nodes tell it what they execute, clients what they ask and are answered.
//
// Who wrote what can be told from the data: a value names its key, the client and the number of the request
// ("s{a}:1|7|42|"). Of keys that are only set and read there is a log of their versions. A counter's replies are all
// different. Keys that are deleted too belong to one client, which knows what may be in them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "key_log.h"
#include "lease_checks.h"
#include "sim_loop.h"

namespace corral::sim {

enum class OpKind : uint8_t { kGet, kSet, kMget, kMset, kIncr, kDel, kExists, kEcho };

/// A request of a client and what became of it.
struct Op {
  OpKind kind;
  std::vector<std::string> keys;
  uint32_t padding = 0;  // bytes, of values
  bool answered = false;
  uint32_t process = 0;
  int64_t asked_us = 0;
  int64_t ttl_ms = 0;              // of SET; 0: none
  std::vector<KeyLog::Sent> sent;  // by key, where they are logged
  uint32_t asked_by_then = 0;      // requests that the connection had sent when this one was answered
  std::string reply;               // whole
  /// Its keys are of a rule with near_cache: what is told of them is checked against the nodes' log.
  bool is_logged() const { return !keys.empty() && keys[0][0] == 'n'; }
  bool is_write() const {
    return kind == OpKind::kSet || kind == OpKind::kMset || kind == OpKind::kIncr || kind == OpKind::kDel;
  }
};

/// The requests of one connection; a request's number is its place.
using History = std::vector<Op>;

/// Who wrote a value, and where it belongs: false if it is none of ours.
bool parse_value(std::string_view value, std::string_view& key, Writer& writer);
std::string make_value(std::string_view key, uint32_t client, uint32_t number, uint32_t padding);

/// Which error replies a run may have.
struct Allowed {
  bool indoubt = false;    // connections are lost
  bool refusals = false;   // nodes are down for longer than a request waits
  bool overtaken = false;  // -TRYAGAIN, since a command on the same key that was sent behind it has run
};

class Checker {
 public:
  Checker(SimLoop& loop, const Allowed& allowed) : loop_(loop), allowed_(allowed) {}

  // --- from the nodes ---
  /// A key has another value; null: it is gone.
  void on_written(const std::string& key, const std::string* value, int64_t at_us);
  void on_pushed(const std::string& list, const std::string& item);
  void on_popped(const std::string& list, const std::string& item);

  // --- from the clients ---
  /// Its keys are logged, and it is sent now.
  void on_sent(Op& op);
  KeyLog& log() { return log_; }
  LeaseChecks& leases() { return leases_; }
  /// An error reply to something else than an Op. `in_doubt`: it may have been done.
  void on_error(const std::string& who, std::string_view reply, bool writes, bool* in_doubt = nullptr);
  /// A reply came to request `number` of `client`: is it of the right kind, and is it this request's?
  void on_reply(uint32_t client, uint32_t number, const Op& op);
  void fail(std::string text);

  /// Of queues: an element has been received.
  void on_taken(uint32_t client, const std::string& list, const std::string& item);
  bool was_pushed(const std::string& list, const std::string& item) const;
  /// Somebody who may have been given one has not got it.
  void on_takers_loss() { ++takers_losses_; }
  void on_published(const Writer& message, int64_t sent_us) { published_[message] = sent_us; }
  const std::map<Writer, int64_t>& published() const { return published_; }

  // --- at the end ---
  void check_lists();
  void check_history(uint32_t client, const History& history);
  /// `values`: of all counters, as the cluster has them.
  void check_counters(const std::map<std::string, int64_t>& values);

  bool failed() const { return !failures_.empty(); }
  const std::vector<std::string>& failures() const { return failures_; }
  uint64_t errors() const { return errors_; }
  /// From now on no error reply is allowed at all.
  void allow_nothing() { allowed_ = {}; }

 private:
  struct Version {
    uint32_t client, number;
  };
  struct Counter {
    std::map<int64_t, uint32_t> replies;  // and how many times
    int64_t acknowledged = 0, in_doubt = 0;
  };
  struct Private {  // a key that may be deleted
    bool may_be_absent = true, may_be_present = false;
    bool may_be_set_late = false, may_be_deleted_late = false;
  };

  void check_value(uint32_t client, uint32_t number, std::string_view key, std::string_view element);
  void check_error(uint32_t client, uint32_t number, const Op& op);
  void check_logged(uint32_t client, uint32_t number, const Op& op);
  void check_overtaken(uint32_t client, uint32_t number, const History& history);
  void check_read(uint32_t client, uint32_t number, const std::string& key, std::string_view element, int64_t& floor);
  void check_write(uint32_t client, uint32_t number, const std::string& key, const Op& op, int64_t& floor);
  void check_counter(uint32_t client, uint32_t number, const Op& op, int64_t& last);
  void check_private(uint32_t client, uint32_t number, const Op& op, std::map<std::string, Private>& keys);
  int64_t place_of(const std::string& key, uint32_t client, uint32_t number, int& times) const;

  struct List {
    std::vector<std::string> pushed;
    std::map<std::string, size_t> places;
    size_t popped = 0;
    std::map<std::string, uint32_t> taken;   // by whom
    std::map<uint32_t, size_t> last_places;  // by client
  };

  SimLoop& loop_;
  Allowed allowed_;
  KeyLog log_;
  LeaseChecks leases_;
  std::map<std::string, List> lists_;
  uint64_t takers_losses_ = 0;
  std::map<Writer, int64_t> published_;  // messages, and when they were sent
  std::map<std::string, std::vector<Version>> versions_;
  std::map<std::string, std::map<std::pair<uint32_t, uint32_t>, std::vector<int64_t>>> places_;
  std::map<std::string, Counter> counters_;
  std::vector<std::string> failures_;
  uint64_t errors_ = 0;
};

}  // namespace corral::sim

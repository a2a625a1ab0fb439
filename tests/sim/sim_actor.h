// Clients that do one thing in rounds, each round a few requests whose replies tell what comes next: the ways in which
// Redis is used besides plain commands.
//
//   CacheAside    reads, computes what is missing and sets it (cache_aside.cc)
//   Transactor    MULTI and EXEC over two keys that are to be the same always; a counter under WATCH
//   Producer, Consumer    a queue: RPUSH and BLPOP
//   Publisher, Subscriber
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim_peer.h"

namespace corral::sim {

struct ActorPlan {
  uint32_t rounds = 20;
  int64_t think_us = 10'000;  // between rounds, on average
  bool vanishes = false;      // goes away midway, perhaps
  bool tracked = false;       // nodes tell of writes past the proxies to those who wait
  bool calm = false;          // nothing goes wrong: what takes time may be measured
  std::vector<std::string> tags;
  // Of cache-aside.
  int64_t compute_us = 20'000;  // on average
  int64_t ttl_ms = 200;
  uint32_t keys = 2;                   // for each tag
  uint32_t together_percent = 0;       // of rounds: asks for all keys of a tag at once
  uint32_t astray_percent = 10;        // of those told nil: forget it, delete the key
  bool may_be_told_nil_early = false;  // soft TTL, early refresh
};

class Actor : public SimPeer {
 public:
  Actor(SimLoop& loop, Checker& checker, uint32_t process, uint32_t number, const ActorPlan& plan);

  void start(SimTransport& transport) override;
  void once_more() override;
  bool done() const override { return closed() || (rounds_ >= wanted_ && idle_ && expected_.empty()); }
  std::string state() const override;

 protected:
  using Handler = std::function<void(const std::string& reply)>;
  virtual void round() = 0;
  void round_over();
  void ask(std::initializer_list<std::string_view> args, Handler handler);
  /// False if it is an error, which is then checked.
  bool is_fine(const std::string& reply, bool writes, bool* in_doubt = nullptr);
  /// What came unasked. True: it was that.
  virtual bool take_push(const std::string&) { return false; }
  void on_reply(std::string_view reply) override;
  void on_lost() override;
  bool waits() const { return !expected_.empty(); }
  std::string pick_tag() { return plan_.tags[random().below(plan_.tags.size())]; }

  const ActorPlan plan_;
  uint32_t rounds_ = 0;

 private:
  void begin_round();

  std::deque<Handler> expected_;
  uint32_t wanted_;
  uint32_t leaves_at_ = UINT32_MAX;
  bool idle_ = true;
};

class CacheAside final : public Actor {
 public:
  using Actor::Actor;

 private:
  void round() override;
  void on_leaving() override;
  void on_value(const std::string& key, const KeyLog::Sent& sent, const std::string& reply);
  void on_nil(const std::string& key, const KeyLog::Sent& sent);
  void keep_lease();
  void ask_for_all(const std::string& tag);
  void on_one_of_many(const std::string& key, const KeyLog::Sent& sent, const std::string& reply);
  void check_value(const std::string& key, const KeyLog::Sent& sent, const std::string& reply);
  void set(const std::string& key);
  void remove(const std::string& key);
  void check(const std::string& key, const std::string& wrong);

  uint32_t values_ = 0;
  std::vector<std::string> writing_;  // keys
  std::vector<std::string> missing_;  // of those that were asked for at once
  int64_t holds_until_us_ = 0;        // a lease that it has forgotten, or whose SET has failed
};

class Transactor final : public Actor {
 public:
  using Actor::Actor;
  uint64_t increments() const { return increments_; }
  uint64_t in_doubt() const { return in_doubt_; }

 private:
  void round() override;
  void on_leaving() override { in_doubt_ += waits(); }
  void write_pair(const std::string& tag);
  void read_pair(const std::string& tag);
  void increment();

  uint32_t values_ = 0;
  uint64_t increments_ = 0, in_doubt_ = 0;
};

class Producer final : public Actor {
 public:
  using Actor::Actor;

 private:
  void round() override;
  uint32_t items_ = 0;
};

class Consumer final : public Actor {
 public:
  using Actor::Actor;

 private:
  void round() override;
  void on_leaving() override {
    if (waits()) checker_.on_takers_loss();
  }
};

class Publisher final : public Actor {
 public:
  using Actor::Actor;

 private:
  void round() override;
  uint32_t messages_ = 0;
};

/// Hears channels for as long as it lives; its rounds are subscriptions and their ends.
class Subscriber final : public Actor {
 public:
  using Actor::Actor;
  /// At the end: all that was published while it certainly listened has come.
  void check_complete();

 private:
  void round() override;
  bool take_push(const std::string& reply) override;

  std::optional<int64_t> listens_since_us_;
  int64_t listens_until_us_ = INT64_MAX;
  std::map<uint32_t, std::set<uint32_t>> heard_;  // by publisher
  uint32_t changes_ = 0;                          // SUBSCRIBE and UNSUBSCRIBE without an answer
};

inline const char* const kChannel = "channel";

}  // namespace corral::sim

// A fill of the near cache: one read under way for all who ask the same, over a connection that vouches for its reply.
//
// It is sent as CLIENT CACHING YES, the read and PTTL, in one piece (section 6 of the design), by the worker at home
// for its key, and answers clients of any worker. If it fails, or the node refuses it (the slot has moved), all who
// wait for it read for themselves, over their ordinary connections and with all that happens there.
//
// Made under the lock of the key's shard; then it belongs to itself and is gone when its clients have been told and its
// replies have come.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/near_cache.h"
#include "policy/rule_book.h"
#include "proxy/core/leases.h"
#include "proxy/core/link_kind.h"
#include "proxy/core/request.h"

namespace corral::core {

class Session;
class Worker;

class Fill final : public Piece, public policy::NearFill {
 public:
  struct Where {
    uint32_t home;  // the worker that sends it
    NodeId node;
    uint16_t link;  // that vouches
    uint16_t slot;
    uint16_t database;
  };
  /// `frame`: `read`, as it is sent. `judged`: what it finds is judged before clients are told.
  Fill(const Where& where, const policy::NearRule& rule, std::string frame, LeaseRead read, bool judged);

  /// A client that gets the reply: under the lock. `alone`: LeaseRead::alone. The request holds a reference to its
  /// session, which counts it in near_fills.
  void add(Worker& worker, const Request& request, bool alone);
  /// On its way; from any worker.
  void start(Worker& maker);

  void begin() override;
  bool take(std::string_view reply) override;
  std::string_view verdict() override { return reply_; }
  void on_reply(uint32_t part, std::string_view reply) override;
  bool drops_large_replies() const override { return true; }
  void on_dropping() override;

 private:
  struct Waiter {
    uint32_t worker;
    Request request;
    bool alone;
  };
  struct Outcome;

  void send(Worker& home);
  void fail(Worker& home, const policy::NearCache::Landing* landing = nullptr);
  void land(Worker& home);
  void hand_out(Worker& home, const Outcome& outcome);
  static void give(Worker& worker, const std::vector<Waiter>& waiters, const Outcome& outcome);
  policy::NearCache::Landing weigh(std::string_view resp2) const;

  Worker* home_worker_ = nullptr;
  const Where where_;
  const policy::NearRule rule_;
  const std::string frame_;
  LeaseRead read_;  // without a request
  const bool judged_;
  std::vector<Waiter> waiters_;         // under the lock
  std::atomic<uint8_t> asked_resp_{0};  // bit 0: a RESP2 client waits, bit 1: a RESP3 one
  uint64_t sent_ms_ = 0;
  uint32_t taken_ = 0;
  bool may_keep_ = false;  // the node tracks the key
  bool failed_ = false;    // those who waited have been told
  std::string reply_;      // of the read
  int64_t pttl_ms_ = -2;
};

}  // namespace corral::core

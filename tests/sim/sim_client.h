// A simulated client: one connection that pipelines random requests, and knows what it asked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim_peer.h"

namespace corral::sim {

enum class Ending : uint8_t {
  kStay,       // until it is told to close
  kHalfClose,  // sends all it has to send and an end, reads all replies
  kMidway,     // goes away at random, replies unread
};

struct ClientPlan {
  uint32_t requests = 50;
  uint32_t window = 16;         // requests without a reply
  int64_t think_us = 5000;      // between two bursts, on average
  uint32_t padding = 0;         // bytes, at most, in values
  bool one_key_a_slot = false;  // in each command
  bool slow_reader = false;
  int64_t patience_us = 0;  // no reply takes longer, unless the client reads slowly
  bool held_back = false;   // its commands may have to wait for those before them; their time begins then
  uint32_t near_percent = 0;  // of commands: on keys of a rule with near_cache, some of them with a TTL
  int64_t near_ttl_ms = 300;  // at most
  Ending ending = Ending::kStay;
  std::vector<std::string> tags;  // of the keys: one slot each
};

class SimClient final : public SimPeer {
 public:
  SimClient(SimLoop& loop, Checker& checker, uint32_t process, uint32_t number, ClientPlan plan);

  void start(SimTransport& transport) override;
  void once_more() override;
  bool done() const override {
    return closed() ||
           (plan_.ending != Ending::kHalfClose && history_.size() >= plan_.requests && answered_ == history_.size());
  }
  std::string state() const override;
  const History& history() const { return history_; }

 private:
  void on_reply(std::string_view reply) override;
  void after_replies() override { go_on(); }
  void on_lost() override;
  void go_on();
  void send_some();
  void doze();
  Op make_op();
  void pick_keys(Op& op);
  std::string pick_key(char kind, const std::string& tag);
  std::string encode(const Op& op) const;

  ClientPlan plan_;
  History history_;
  uint32_t answered_ = 0;
  int64_t answered_us_ = 0;  // when the last one was
  uint32_t leaves_at_ = UINT32_MAX;  // after so many requests
  bool ended_ = false;               // has sent its end
  bool scheduled_ = false;           // go_on() is
};

}  // namespace corral::sim

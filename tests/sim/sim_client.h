// A simulated client: one connection that pipelines random requests, and knows what it asked.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "checker.h"
#include "resp/reply_scanner.h"
#include "sim_transport.h"

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
  Ending ending = Ending::kStay;
  std::vector<std::string> tags;  // of the keys: one slot each
};

class SimClient final : public Peer {
 public:
  SimClient(SimLoop& loop, Checker& checker, uint32_t number, ClientPlan plan);

  void start(SimTransport& transport);
  /// One request more, for the end of a run.
  void ask_once_more();
  void close();

  bool closed() const { return closed_; }
  /// Has sent all and got all replies, or is gone.
  bool done() const {
    return closed_ ||
           (plan_.ending != Ending::kHalfClose && history_.size() >= plan_.requests && answered_ == history_.size());
  }
  const History& history() const { return history_; }
  uint32_t number() const { return number_; }
  uint32_t answered() const { return answered_; }

  void on_bytes(Connection& connection, std::string_view bytes) override;
  void on_closed(Connection& connection) override;

 private:
  void go_on();
  void send_some();
  void doze();
  void go_away();
  void on_reply(std::string_view reply);
  Op make_op();
  void pick_keys(Op& op);
  std::string pick_key(char kind, const std::string& tag);
  std::string encode(const Op& op) const;

  SimLoop& loop_;
  Checker& checker_;
  const uint32_t number_;
  ClientPlan plan_;
  Connection* connection_ = nullptr;
  History history_;
  uint32_t answered_ = 0;
  uint32_t leaves_at_ = UINT32_MAX;  // after so many requests
  std::string input_;
  resp::ReplyScanner scanner_;
  bool closed_ = false;
  bool ended_ = false;      // has sent its end
  bool scheduled_ = false;  // go_on() is
};

}  // namespace corral::sim

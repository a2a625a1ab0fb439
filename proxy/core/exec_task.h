// The slow parts of a transaction: EXEC's piece with what Corral runs after it, and WATCH until it is confirmed.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/rules.h"
#include "proxy/core/transaction.h"
#include "proxy/core/ttl_piece.h"

namespace corral::core {

/// EXEC's reply when something watched has changed.
std::string_view null_exec(const Session& session);

class ExecTask final : public Piece {
 public:
  /// `link`: the pinned connection, or null.
  static void start(Session& session, std::vector<Transaction::Item> items, uint16_t slot, Link* link);

  void begin() override;
  bool take(std::string_view reply) override;
  std::string_view verdict() override { return verdict_; }
  void on_reply(uint32_t part, std::string_view reply) override;

 private:
  static constexpr uint32_t kPiecePart = 0xFFFFFFFF;  // other parts are places among the items

  ExecTask(Session& session, std::vector<Transaction::Item> items, uint16_t slot, Link* link);
  void send_piece();
  bool selects() const;
  void on_piece(std::string_view reply);
  void apply_rules();
  void count_follow_ups(const std::vector<resp::ReplyView>& elements, size_t from) const;
  std::string own_replies(std::string_view reply) const;
  std::string told(size_t item, std::string_view reply) const;
  void run_own();
  void run_item(uint32_t i);
  void done_one();
  void finish(std::string_view reply);

  Session& session_;
  const Request whole_;  // holds a reference to the session
  std::vector<Transaction::Item> items_;
  FollowUps follow_ups_;                // what rules add, before EXEC
  std::map<size_t, SoftTtl> soft_ttl_;  // by item, which is sent as it says
  Link* const link_;
  std::vector<std::string> replies_;  // by item
  bool any_own_ = false;              // an item is run by Corral
  uint32_t piece_replies_ = 0;        // there will be
  uint32_t taken_ = 0;                // of them
  std::string error_;                 // the first among them; a refusal rather than another
  std::string verdict_;
  uint32_t awaited_ = 0;
};

class WatchTask final : public Task {
 public:
  static void start(Session& session, std::string_view bytes, uint16_t slot);

  void on_reply(uint32_t, std::string_view reply) override;

 private:
  WatchTask(Session& session, std::string_view bytes, uint16_t slot);
  void attempt();
  void attempt_later();
  void finish(std::string_view reply);

  Session& session_;
  const Request whole_;  // holds a reference to the session
  const std::string bytes_;
  Link* link_ = nullptr;
  bool pinned_ = false;  // the link is the transaction's, which watches already
  uint32_t attempts_ = 0;
};

}  // namespace corral::core

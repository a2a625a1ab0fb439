// MULTI and WATCH of one client.
//
// After MULTI commands are checked and queued here; EXEC sends MULTI, the queued commands and EXEC to the owner of
// their slot in one piece, so that it needs no connection of its own and is refused or executed as a whole. What has no
// place at that node (PING, CLIENT ..., the other masters' part of FLUSHALL) is run by Corral once the piece has been
// executed, and its replies are put among the others.
//
// WATCH pins a connection of the client's own until EXEC, DISCARD or UNWATCH; on it go the client's commands on the
// watched slot, one at a time. If it is lost or redirected the watch is broken: EXEC answers null, as after a change.
// Source: https://redis.io/docs/interact/transactions; Redis 7.0, multi.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Link;
class Session;

class Transaction {
 public:
  explicit Transaction(Session& session) : session_(session) {}

  struct Item {
    std::string bytes;
    const resp::CommandSpec* spec;
    bool at_node;    // a part of the piece
    bool by_corral;  // run by Corral afterwards; if it is also at_node, at the other masters, or for the session
                     // (SELECT)
    std::string refusal = {};  // not run: this is its reply
  };

  void begin();
  /// The command is not to be queued, but has a meaning in MULTI (EXEC, QUIT ...): false. Otherwise it has been
  /// answered.
  bool queue(const resp::Command& command, const resp::CommandSpec& spec);
  /// A command was refused: EXEC will say EXECABORT.
  void abort() { aborted_ = true; }
  void exec();
  /// Ends both MULTI and WATCH. While a request is under way on the pinned connection, that request's task sees to it.
  void discard();

  void watch(const resp::Command& command, const resp::CommandSpec& spec);
  void unwatch();
  /// The session has selected another database: the pinned connection follows.
  void on_select(uint16_t database);
  /// A request of a watching client: true if it has been sent on the pinned connection.
  bool forward_watched(const Request& request, std::string_view bytes);

  /// What has been queued.
  const std::vector<Item>& items() const { return items_; }
  size_t bytes() const { return bytes_; }
  bool aborted() const { return aborted_; }
  bool broken() const { return broken_; }
  /// Executed at once, also after MULTI.
  static bool passes_queue(const resp::CommandSpec& spec);

  // --- for the tasks of exec_task.h ---
  /// The keys are watched on this connection.
  void watched(Link* link);
  /// A WATCH has been answered. If it failed, and nothing was watched before, the keys of what follows are free.
  void watch_over();
  Link* link() const { return link_; }
  void break_watch() { broken_ = true; }
  /// The pinned connection is given back, or closed if its state is not known.
  void release_link(bool clean);

 private:
  void end_queueing();
  void ask_again();
  bool wants_look(const std::vector<Item>& items) const;
  void exec_looked(std::vector<Item> items, uint16_t slot, const Link* watching, std::string_view error);
  bool is_usable(const Link& link) const;
  bool join_slot(const resp::Command& command, const resp::CommandSpec& spec);

  Session& session_;
  std::vector<Item> items_;
  size_t bytes_ = 0;         // of them
  uint16_t slot_ = kNoSlot;  // of the keys queued or watched
  bool aborted_ = false;
  bool broken_ = false;
  Link* link_ = nullptr;  // pinned, of the worker's own_links()
  bool moved_ = false;    // the pinned connection has selected another database than its kind says
};

}  // namespace corral::core

// WAIT: how many replicas have what this client wrote.
//
// The client's writes went over connections that it shares with others, so the question is asked on a connection of its
// own to each master that it wrote to (Session::written()): a node counts the replicas that have got as far as the
// last command of the connection that asks, and a new one, which has done nothing, would hear that all have. So a PING
// goes first; after it the connection's place is behind everything that the node has executed, this client's writes
// too. The reply is the least of the nodes' counts.
//
// A node that is lost, or is no master any more, counts 0: nobody can vouch for what the client wrote there. One that
// is no master any more is then forgotten, for the client has been told, and would otherwise hear 0 for ever. Who has
// written nothing asks any master, as with Redis.
// Source: Redis 7.0, replication.c, waitCommand; server.c, processCommand (woff).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"
#include "proxy/core/session.h"
#include "proxy/core/time_limit.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Link;

class WaitTask final : public Task, public BlockedCommand {
 public:
  static void start(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

  void on_reply(uint32_t part, std::string_view reply) override;
  void on_session_closed() override;
  void unblock(bool with_error, UnblockDone done) override;
  void check() override;

 private:
  struct Part {
    NodeId node;
    Link* link = nullptr;     // null: answered
    uint8_t gone_checks = 0;  // so often in a row the node was seen to be no master any more
  };

  WaitTask(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  void attempt();
  std::vector<NodeId> choose_nodes();
  void ask(uint32_t part);
  void release(Link* link);
  void settle(uint32_t part, int64_t count);
  void finish(std::string_view reply);

  Session& session_;
  const Request whole_;  // holds a reference to the session
  const std::string bytes_;
  const TimeLimit limit_;
  std::vector<Part> parts_;
  uint32_t awaited_ = 0;
  bool timer_ = false;  // runs, and refers to this
  bool ended_ = false;
  bool unblocking_ = false;  // nobody else may wait on these connections
  int64_t least_ = INT64_MAX;
};

}  // namespace corral::core

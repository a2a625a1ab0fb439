// A command that waits at a node for what others do (BLPOP ...), on a connection of its own.
//
//   at node   it is under way on a link that only it uses;
//   pausing   it was refused or lost, or there is no reachable owner: a timer will try again;
//   ended     answered; the timer, which still refers to it, will free it.
//
// What may be done when a node does not answer:
// - A refusal (MOVED, ASK, CLUSTERDOWN, READONLY ..., UNBLOCKED because the node is no master any more) says that the
//   command was not executed: it blocks again, on the owner of now, with the time that is left.
// - If the connection is lost, the command may have been executed and its answer been on the way. What only reads
// blocks
//   again. What pops answers with what it took and changes nothing else: if the answer was lost, the element is gone
//   whatever is done now, and to block again delivers another one, never the same one twice. So a pop that was waiting
//   blocks again, as any client would have it do that reconnects; one that was lost as soon as it was sent has most
//   likely taken an element that was there, and is in doubt like every write. A command that moves elements, or that
//   notes who got them (BLMOVE, XREADGROUP), is always in doubt: run twice, it leaves behind an element that nobody was
//   told of.
// - A master that is stopped or cut off says nothing at all. When its slot has had a new owner for two seconds, it has
//   failed over: a live one would have told its clients so itself, since Redis looks at blocked clients once a second
//   (timeout.c, clientsCronHandleTimeout). Its connection is then treated as lost. What it may still do is lost with
//   the failover, for the cluster does not keep it; and its answer has nowhere to go.
// A connection that was lost is made anew by the same Link if it goes to the same node, so that the node's end of the
// old one is closed before the command waits there a second time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/core/request.h"
#include "proxy/core/session.h"
#include "proxy/core/time_limit.h"
#include "proxy/core/ttl_piece.h"
#include "resp/command.h"
#include "resp/command_table.h"
#include "resp/refusal.h"

namespace corral::core {

class Link;

class BlockingTask final : public Task, public BlockedCommand {
 public:
  static void start(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t slot);

  void on_reply(uint32_t part, std::string_view reply) override;
  void on_session_closed() override;
  void unblock(bool with_error, UnblockDone done) override;
  void check() override;

 private:
  enum class State : uint8_t { kAtNode, kPausing, kEnded };

  BlockingTask(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t slot);
  void attempt();
  Link* link_to(NodeId node);
  void send();
  void send_follow_ups();
  bool was_waiting() const;
  void begin_trouble();
  void on_refused(const resp::Refusal& refusal, std::string_view reply);
  void on_lost(std::string_view reply);
  void wait_out(std::string_view reply);
  void attempt_later(std::string_view reason, uint64_t within_ms = 500);
  void release_link();
  void drop_link();
  void fail(std::string_view reason);
  std::string_view null_reply() const;
  void finish(std::string_view reply);

  Session& session_;
  const resp::CommandSpec& spec_;
  const Request whole_;  // holds a reference to the session
  const std::string bytes_;
  FollowUps follow_ups_;  // sent right behind it, in the same write
  TimeLimit limit_;
  State state_ = State::kPausing;
  bool timer_ = false;       // runs, and refers to this
  bool asking_ = false;      // target_ is to be asked after an ASKING
  bool in_trouble_ = false;  // since trouble_since_ms_
  bool unblocking_ = false;  // the node has been asked to unblock this connection: nobody else may wait on it
  uint8_t attempts_ = 0;     // in this trouble
  uint8_t owner_gone_checks_ = 0, overdue_checks_ = 0;  // in a row
  uint16_t slot_;
  NodeId target_ = kNoNode;  // MOVED, ASK: where to; else to the slot's owner
  uint32_t try_ = 0;         // the number of the one under way; earlier ones' replies are of no use
  Link* link_ = nullptr;     // at node: where; pausing: lost, and to be used again for the same node
  uint64_t sent_ms_ = 0;
  uint64_t trouble_since_ms_ = 0;
  std::string doubt_;  // the answer if it cannot be sent again: a try may have been executed
};

/// So many checks in a row, in two seconds, an old owner has to say itself that a slot has gone.
inline constexpr uint8_t kSilentChecks = 20;
/// "-UNBLOCKED ..." of a node that stopped being a master; another one is the client's.
bool is_forced_unblock(std::string_view reply);
/// CLIENT UNBLOCK at the link's node for the link's connection; `done` hears whether it was blocked.
void unblock_at_node(Worker& worker, Link& link, bool with_error, BlockedCommand::UnblockDone done);

}  // namespace corral::core

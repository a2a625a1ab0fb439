// BLPOP, WAIT and kin: commands that may wait for what others do.
#include <vector>

#include "proxy/core/blocking_task.h"
#include "proxy/core/handlers.h"
#include "proxy/core/session.h"
#include "proxy/core/wait_task.h"
#include "proxy/core/worker.h"

namespace corral::core {

void handle_blocking(Session& session, const resp::Command& command, const resp::CommandSpec& spec) {
  // A client that has gone is not told once more while it is not read from; nothing is taken for it.
  if (session.hung_up()) return session.close_after_replies();
  if (spec.action == resp::Action::kWait) return WaitTask::start(session, command, spec);
  uint16_t slot;
  if (!find_slot(session, command, spec, slot)) return session.reply_error(kCrossSlot);
  BlockingTask::start(session, command, spec, slot);
}

void check_blocked(Worker& worker) {
  std::vector<Session*> blocked;  // a copy: sessions go when their commands end
  for (const auto& [id, session] : worker.sessions()) {
    if (session->blocked()) blocked.push_back(session.get());
  }
  for (Session* session : blocked) {
    if (BlockedCommand* command = session->blocked()) command->check();
  }
}

void Session::set_blocked(BlockedCommand* command) {
  worker_.count_blocked((command ? 1 : 0) - (blocked_command_ ? 1 : 0));
  blocked_command_ = command;
}

}  // namespace corral::core

// MULTI, EXEC, DISCARD, WATCH and UNWATCH. What they do is in transaction.h.
#include "proxy/core/handlers.h"
#include "proxy/core/session.h"
#include "proxy/core/transaction.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Action;

void handle_transaction(Session& session, const resp::Command& command, const resp::CommandSpec& spec) {
  switch (spec.action) {
    case Action::kMulti:
      return session.transaction().begin();
    case Action::kExec:
      return session.transaction().exec();
    case Action::kWatch:
      return session.transaction().watch(command, spec);
    case Action::kDiscard:
      if (!(session.modes() & Session::kQueueing)) return session.reply_error("ERR DISCARD without MULTI");
      session.transaction().discard();
      return session.reply(resp::kOk);
    default:  // UNWATCH
      if (session.modes() & Session::kWatching) session.transaction().unwatch();
      return session.reply(resp::kOk);
  }
}

}  // namespace corral::core

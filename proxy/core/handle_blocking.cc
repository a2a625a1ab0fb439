// BLPOP and kin.
#include "proxy/core/handlers.h"
#include "proxy/core/session.h"

namespace corral::core {

void handle_blocking(Session& session, const resp::Command&, const resp::CommandSpec& spec) {
  session.reply_error("ERR the command '" + std::string(spec.name) + "' is not served by this version of Corral");
}

}  // namespace corral::core

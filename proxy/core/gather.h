// Asks every master the same and has all their replies at once: for answers that Corral makes of the masters' own.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"

namespace corral::core {

class Session;
class Worker;

using Replies = std::vector<std::string>;

/// `done` has to see to it that `whole` is answered; it holds a reference to the session. There are as many replies as
/// masters (none as long as no topology is known), some of which may be errors. `bytes` only reads.
void ask_masters(Session& session, std::string_view bytes, std::function<void(const Request& whole, Replies)> done);

/// Likewise; `merge` makes the answer of the replies that are no errors. If all are, the first is the answer.
void ask_and_merge(Session& session, std::string_view bytes,
                   std::function<std::string(const Session&, const Replies&)> merge);

/// For nobody's client, over the connections that the topology is asked for on. Replies that are errors are left out.
void ask_masters(Worker& worker, std::string_view bytes, std::function<void(Replies)> done);

}  // namespace corral::core

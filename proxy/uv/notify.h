// What the service manager is told of this process: sd_notify(3), by hand, so that nothing has to be linked for it. One
// datagram of lines goes to the unix socket that $NOTIFY_SOCKET names. Without that variable nobody has asked, and
// nothing is sent.
//
// All are called on the main thread, return at once, and cannot fail for the caller: who is not heard goes on serving.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace corral::uv {

/// Sends `state`, lines of NAME=VALUE. False if nobody has asked, or the socket cannot be reached.
bool notify_service_manager(std::string_view state);

/// It serves, and it is the service's main process: also after a takeover, when another one was that.
void notify_ready(const std::string& status);
/// It reads its settings again; to be followed by notify_reloaded, whatever comes of that.
void notify_reloading();
/// Who is the main process does not change: it may be a successor of this one.
void notify_reloaded(const std::string& status);
/// It ends, and may take so long for it.
void notify_stopping(uint64_t longest_ms);

}  // namespace corral::uv

// SIGUSR2: a new process, of the program's file as it is now, that takes over from this one (takeover.h). It is a child
// of this one, so that a service manager finds it in the same service and with the same restrictions. What does not
// start, or ends before it is ready, changes nothing.
#pragma once

#include <uv.h>

#include <string>
#include <vector>

namespace corral::uv {

class Successor {
 public:
  /// `loop` is the main thread's; it closes the handle. `command`: the arguments of this process.
  Successor(uv_loop_t& loop, std::vector<std::string> command);
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  /// On the main thread. Once at a time; what goes wrong is logged.
  void start();

 private:
  void on_exit(int64_t status, int signal);
  void forget();

  uv_loop_t& loop_;
  std::string executable_;  // its path at the start: later it is another file's, or none's
  std::vector<std::string> command_;
  uv_process_t process_;
  bool running_ = false;
};

}  // namespace corral::uv

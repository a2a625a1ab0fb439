// Puts the settings in force again while the process runs: SIGHUP and CORRAL RELOAD.
//
// The file is read on the main thread, which serves no client. What comes of it is one immutable whole (policies.h)
// that goes to each worker's inbox, so that a request is judged by the old one or by the new one; certificates are for
// connections that come after (tls_context.h). A file that is wrong changes nothing.
#pragma once

#include <uv.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "config/result.h"
#include "config/settings.h"
#include "proxy/core/process.h"
#include "proxy/uv/tls_context.h"
#include "proxy/uv/uv_transport.h"

namespace corral::uv {

/// The settings as they are to be now, or one line that says why not.
using LoadSettings = std::function<config::Result<config::Settings>()>;

class Reloader {
 public:
  /// `loop` is the main thread's; it closes the handle. `post` hands work to a worker.
  Reloader(uv_loop_t& loop, core::Process& process, Tls& tls, LoadSettings load, UvTransport::Post post);
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  /// On the main thread; what is wrong is logged.
  void on_signal();
  /// From any thread. `done` is called on the worker, when all workers have what was loaded.
  void request(uint32_t worker, core::Transport::ReloadDone done);

 private:
  struct Waiting {
    uint32_t worker;
    core::Transport::ReloadDone done;
  };

  void run_requests();
  void reload(std::vector<Waiting> waiting);
  void tell(bool bad, std::string text);
  void answer(const std::vector<Waiting>& waiting, const std::string& error) const;

  core::Process& process_;
  Tls& tls_;
  const LoadSettings load_;
  const UvTransport::Post post_;
  uv_async_t wake_;
  std::mutex mutex_;
  std::vector<Waiting> requests_;
};

}  // namespace corral::uv

// The process as a whole: the main thread accepts connections and gives each to the least loaded worker, handles
// signals and a successor, and tells the service manager how it is; each worker runs on a thread of its own.
//
//   starting -> serving -> draining (SIGTERM, SIGINT, or a successor is ready) -> stopped
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/settings.h"
#include "proxy/admin/admin.h"
#include "proxy/core/process.h"
#include "proxy/core/worker.h"
#include "proxy/uv/listener.h"
#include "proxy/uv/reloader.h"
#include "proxy/uv/successor.h"
#include "proxy/uv/takeover.h"
#include "proxy/uv/tls_context.h"
#include "proxy/uv/uv_transport.h"

namespace corral::uv {

class Server {
 public:
  /// `load`: for a reload; on the main thread. `command`: the arguments of the process, for its successor.
  Server(const config::Settings& settings, LoadSettings load, std::vector<std::string> command);
  ~Server();

  /// Serves until it is told to stop. The exit status: 0, or 1 if it could not start (it has logged why).
  int run(bool takeover);

 private:
  struct WorkerThread;

  bool open_listeners(bool takeover);
  void find_predecessor(std::vector<int>& passed);
  config::Result<ListenSocket> open_listener(const config::Address& address, std::vector<int>& passed, bool takeover);
  bool open_admin();
  void start_workers();
  struct Watch;
  void watch(int fd, void (Server::*on_readable)(Watch&));
  static void start(Watch& watch);
  void end(Watch& watch);
  void watch_signals();
  void on_signal(int number);
  void on_connection(Watch& listener);
  int accept_all(int listen_fd);
  void rest(Watch& listener, int error);
  void end_rest();
  void give_to_worker(int fd, bool tls);
  void on_successor(Watch& takeover);
  void on_successor_ready(Watch& successor);
  void keep_takeover_socket();
  void drain(const std::string& why);
  void on_drain_timer();
  void stop_watching();

  struct Watch {
    uv_poll_t poll;
    Server* server;
    void (Server::*on_readable)(Watch&);
    int fd;
  };

  const config::Settings settings_;
  core::Process process_;
  Tls tls_;
  uv_loop_t loop_;
  std::unique_ptr<Reloader> reloader_;
  Successor successor_;
  uv_signal_t signals_[4];
  uv_timer_t timer_;       // retries the takeover socket; later, drains
  uv_timer_t rest_timer_;  // until connections are accepted again
  uint64_t accept_told_ms_ = 0;
  std::vector<ListenSocket> listeners_;
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<admin::Admin> admin_;  // null: there is none
  Predecessor predecessor_;
  int takeover_fd_ = -1;
  bool draining_ = false;
  uint64_t drain_deadline_ms_ = 0;
};

}  // namespace corral::uv

// The core's transport with libuv: the sockets of one worker, its inbox and its turns.
//
// Sockets are polled and read with plain recv() into one buffer a loop, so that an idle connection owns none. A turn is
// one round of the loop: everything that is readable is handled, then Worker::end_turn() writes.
//
// What concerns sockets that speak TLS is in uv_tls.cc.
#pragma once

#include <uv.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/core/transport.h"

namespace corral::uv {

class Tls;
struct SocketAddress;
struct TlsBuffers;
struct UvSocket;

class UvTransport final : public core::Transport {
 public:
  /// `post`: hands work to another worker, from any thread.
  using Post = std::function<void(uint32_t worker, std::function<void(core::Worker&)> work)>;

  using Reload = std::function<void(ReloadDone done)>;

  /// `tls` outlives it.
  UvTransport(Post post, Reload reload, const Tls& tls);
  ~UvTransport() override;
  UvTransport(const UvTransport&) = delete;
  UvTransport& operator=(const UvTransport&) = delete;

  /// The worker that is driven; set before run().
  void set_worker(core::Worker* worker) { worker_ = worker; }
  uint64_t now_ms() const { return uv_now(&loop_); }
  /// Runs turns until stop(). On the worker's thread.
  void run();
  /// From the worker's thread.
  void stop() { uv_stop(&loop_); }
  /// Work for this worker, from any thread.
  void deliver(std::function<void(core::Worker&)> work);
  /// Makes an accepted connection a socket; it has no endpoint and is not read from until start_reading().
  UvSocket* adopt(int fd, bool tls);
  void start_reading(UvSocket* socket);
  static core::Socket* as_core(UvSocket* socket);
  /// Sockets that are closed but for bytes that have to be sent yet; from any thread.
  uint32_t lingering() const { return lingering_.load(std::memory_order_relaxed); }

  core::Socket* connect(const config::Address& address, core::Endpoint* endpoint) override;
  size_t write(core::Socket* socket, const iovec* parts, int count) override;
  void set_reading(core::Socket* socket, bool reading) override;
  void close(core::Socket* socket) override;
  void post(uint32_t worker, std::function<void(core::Worker&)> work) override { post_(worker, std::move(work)); }
  void reload(ReloadDone done) override { reload_(std::move(done)); }
  uint64_t random() override { return random_(); }
  uint64_t secret_random() override;
  uint64_t clock_ms() override { return uv_hrtime() / 1'000'000; }
  uint64_t clock_us() override { return uv_hrtime() / 1'000; }
  int64_t wall_clock_us() override;
  core::CpuTimes cpu_times() override;
  void log(core::LogLevel level, std::string_view text) override;

 private:
  struct Resolve;

  void begin_turn();
  void end_turn();
  void run_inbox();
  void report_failures();
  void update_events(UvSocket* socket);
  void fail_later(UvSocket* socket, std::string reason);
  void start_connect(UvSocket* socket, const config::Address& address);
  void open_and_connect(UvSocket* socket, const SocketAddress& address);
  void on_event(UvSocket* socket, int status, int events);
  void finish_connect(UvSocket* socket);
  void read(UvSocket* socket);
  void end_input(UvSocket* socket);
  void note_unconnected(UvSocket* socket);
  void release(UvSocket* socket);

  // uv_tls.cc
  TlsBuffers& tls_buffers();
  void add_server_tls(UvSocket* socket);
  void add_upstream_tls(UvSocket* socket, const std::string& host);
  void start_tls(UvSocket* socket);
  void receive_tls(UvSocket* socket, size_t size);
  void on_tls_open(UvSocket* socket);
  void fail_tls(UvSocket* socket);
  size_t write_tls(UvSocket* socket, const iovec* parts, int count, size_t given);
  bool send_tls(UvSocket* socket);
  bool finish_tls(UvSocket* socket);
  void linger(UvSocket* socket);
  void end_linger(UvSocket* socket);
  void release_lingering();
  void set_deadline(UvSocket* socket, uint64_t deadline_ms);
  uint32_t close_overdue();
  void note_refused(UvSocket* socket, const std::string& reason);
  static bool has_unsent(const UvSocket& socket);

  Post post_;
  Reload reload_;
  const Tls& tls_;
  core::Worker* worker_ = nullptr;
  uv_loop_t loop_;
  uv_check_t check_;
  uv_timer_t timer_;
  uv_async_t wake_;
  std::mutex inbox_mutex_;
  std::vector<std::function<void(core::Worker&)>> inbox_;
  struct Failure {
    UvSocket* socket;
    std::string reason;
  };
  std::map<std::string, uint32_t> choices_;  // by a host's name: which of its addresses to connect to
  std::vector<Failure> failures_;            // to be reported at the end of the turn
  std::unique_ptr<char[]> buffer_;
  std::mt19937_64 random_;
  std::unique_ptr<TlsBuffers> tls_buffers_;                 // once there is a connection that speaks TLS
  std::set<std::pair<uint64_t, UvSocket*>> tls_deadlines_;  // of handshakes and of lingering
  std::atomic<uint32_t> lingering_{0};
  uint32_t refused_ = 0;  // clients since the last line of the log about them
  uint64_t refused_logged_ms_ = 0;
};

}  // namespace corral::uv

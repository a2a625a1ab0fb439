// The core's transport with libuv: the sockets of one worker, its inbox and its turns.
//
// Sockets are polled and read with plain recv() into one buffer a loop, so that an idle connection owns none. A turn is
// one round of the loop: everything that is readable is handled, then Worker::end_turn() writes.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "proxy/core/transport.h"

namespace corral::uv {

struct SocketAddress;
struct UvSocket;

class UvTransport final : public core::Transport {
 public:
  /// `post`: hands work to another worker, from any thread.
  using Post = std::function<void(uint32_t worker, std::function<void(core::Worker&)> work)>;

  using Reload = std::function<void(ReloadDone done)>;

  UvTransport(Post post, Reload reload);
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
  UvSocket* adopt(int fd);
  void start_reading(UvSocket* socket);
  static core::Socket* as_core(UvSocket* socket);

  core::Socket* connect(const config::Address& address, core::Endpoint* endpoint) override;
  size_t write(core::Socket* socket, const iovec* parts, int count) override;
  void set_reading(core::Socket* socket, bool reading) override;
  void close(core::Socket* socket) override;
  void post(uint32_t worker, std::function<void(core::Worker&)> work) override { post_(worker, std::move(work)); }
  void reload(ReloadDone done) override { reload_(std::move(done)); }
  uint64_t random() override { return random_(); }
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
  void release(UvSocket* socket);

  Post post_;
  Reload reload_;
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
  std::vector<Failure> failures_;  // to be reported at the end of the turn
  std::unique_ptr<char[]> buffer_;
  std::mt19937_64 random_;
};

}  // namespace corral::uv

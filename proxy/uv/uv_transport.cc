#include "proxy/uv/uv_transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "proxy/core/worker.h"
#include "proxy/uv/address.h"
#include "proxy/uv/uv_socket.h"

namespace corral::uv {

using core::LogLevel;

namespace {

constexpr size_t kReadBytes = TlsBuffers::kReceived;
constexpr int kKeepAliveSeconds = 300;
constexpr int kUpstreamIdleSeconds = 10, kUpstreamIntervalSeconds = 2;
constexpr timespec kRest{0, 75'000};
constexpr unsigned long kTimerSlackNs = 5'000;  // a rest is not to be longer than it says

void set_tcp_options(int fd) {
  const int on = 1, idle = kKeepAliveSeconds, interval = kKeepAliveSeconds / 3;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
}

// A node whose host is gone answers nothing, not even that it is: the system finds out, by what it does not acknowledge
// or, where nothing is under way (a client that blocks for ever), by keep-alive (tcp(7), TCP_USER_TIMEOUT).
void set_upstream_options(int fd, int64_t timeout_ms) {
  const auto timeout = static_cast<unsigned int>(std::clamp<int64_t>(timeout_ms, 1000, 600'000));
  const int idle = kUpstreamIdleSeconds, interval = kUpstreamIntervalSeconds;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

/// One of those that a name was resolved to.
SocketAddress choose_address(const addrinfo* found, uint32_t choice) {
  uint32_t count = 0;
  for (const addrinfo* one = found; one; one = one->ai_next) ++count;
  for (choice %= count; choice > 0; --choice) found = found->ai_next;
  SocketAddress address{};
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  return address;
}

}  // namespace

UvTransport::UvTransport(Post post, Reload reload, const Tls& tls)
    : post_(std::move(post)), reload_(std::move(reload)), tls_(tls), buffer_(new char[kReadBytes]) {
  std::random_device seed;
  random_.seed(uint64_t{seed()} << 32 | seed());
  uv_loop_init(&loop_);
  uv_check_init(&loop_, &check_);
  uv_timer_init(&loop_, &timer_);
  uv_async_init(&loop_, &wake_, [](uv_async_t* handle) {
    auto* self = static_cast<UvTransport*>(handle->data);
    self->begin_turn();
    self->run_inbox();
  });
  check_.data = timer_.data = wake_.data = this;
}

UvTransport::~UvTransport() {
  for (auto* handle : {reinterpret_cast<uv_handle_t*>(&check_), reinterpret_cast<uv_handle_t*>(&timer_),
                       reinterpret_cast<uv_handle_t*>(&wake_)}) {
    uv_close(handle, nullptr);
  }
  release_lingering();
  uv_run(&loop_, UV_RUN_DEFAULT);  // lets sockets and look-ups finish closing
  uv_loop_close(&loop_);
}

void UvTransport::run() {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  uv_check_start(&check_, [](uv_check_t* handle) {
    auto* self = static_cast<UvTransport*>(handle->data);
    self->end_turn();
    if (self->worker_->wants_rest()) nanosleep(&kRest, nullptr);
  });
  end_turn();
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void UvTransport::begin_turn() { worker_->begin_turn(uv_now(&loop_)); }

// Ends the turn and sees to it that the next one comes in time, events or not.
void UvTransport::end_turn() {
  begin_turn();
  const uint32_t tls_wait_ms = close_overdue();
  report_failures();
  const uint32_t wait_ms = std::min(worker_->end_turn(), tls_wait_ms);
  uv_timer_start(
      &timer_, [](uv_timer_t* handle) { static_cast<UvTransport*>(handle->data)->end_turn(); }, wait_ms, 0);
}

void UvTransport::deliver(std::function<void(core::Worker&)> work) {
  bool first;
  {
    const std::lock_guard lock(inbox_mutex_);
    first = inbox_.empty();
    inbox_.push_back(std::move(work));
  }
  if (first) uv_async_send(&wake_);
}

void UvTransport::run_inbox() {
  std::vector<std::function<void(core::Worker&)>> work;
  {
    const std::lock_guard lock(inbox_mutex_);
    work.swap(inbox_);
  }
  for (auto& item : work) item(*worker_);
}

UvSocket* UvTransport::adopt(int fd, bool tls) {
  auto* socket = new UvSocket;
  socket->transport = this;
  socket->fd = fd;
  socket->reading = false;
  set_tcp_options(fd);
  uv_poll_init(&loop_, &socket->poll, fd);
  socket->poll.data = socket;
  socket->polled = true;
  if (tls) add_server_tls(socket);
  return socket;
}

core::Socket* UvTransport::as_core(UvSocket* socket) { return socket; }

void UvTransport::start_reading(UvSocket* socket) { set_reading(socket, true); }

core::Socket* UvTransport::connect(const config::Address& address, core::Endpoint* endpoint) {
  auto* socket = new UvSocket;
  socket->transport = this;
  socket->endpoint = endpoint;
  socket->connecting = true;
  add_upstream_tls(socket, address.host);
  if (const auto numeric = to_socket_address(address)) {
    open_and_connect(socket, *numeric);
  } else {
    start_connect(socket, address);
  }
  return socket;
}

// A host's name is looked up on libuv's own threads, and anew for each connection: its address may have changed.
struct UvTransport::Resolve {
  uv_getaddrinfo_t request;
  UvSocket* socket;
};

void UvTransport::start_connect(UvSocket* socket, const config::Address& address) {
  auto* resolve = new Resolve{{}, socket};
  socket->choice = &choices_[address.host];
  resolve->request.data = resolve;
  socket->resolving = true;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  const std::string port = std::to_string(address.port);
  const int started = uv_getaddrinfo(
      &loop_, &resolve->request,
      [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
        std::unique_ptr<Resolve> done(static_cast<Resolve*>(request->data));
        UvSocket* target = done->socket;
        UvTransport* self = target->transport;
        target->resolving = false;
        if (target->closed) {
          self->release(target);
        } else if (status != 0) {
          self->fail_later(target, std::string("cannot resolve the host's name: ") + uv_strerror(status));
        } else {
          self->open_and_connect(target, choose_address(found, *target->choice));
        }
        if (found) uv_freeaddrinfo(found);
      },
      address.host.c_str(), port.c_str(), &hints);
  if (started == 0) return;
  delete resolve;
  socket->resolving = false;
  fail_later(socket, "cannot resolve the host's name");
}

void UvTransport::open_and_connect(UvSocket* socket, const SocketAddress& address) {
  socket->fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket->fd < 0) return fail_later(socket, std::strerror(errno));
  if (address.storage.ss_family != AF_UNIX) {
    set_tcp_options(socket->fd);
    set_upstream_options(socket->fd, worker_->settings().upstream.request_timeout_ms);
  }
  if (::connect(socket->fd, address.get(), address.length) != 0 && errno != EINPROGRESS) {
    return fail_later(socket, std::strerror(errno));
  }
  uv_poll_init(&loop_, &socket->poll, socket->fd);
  socket->poll.data = socket;
  socket->polled = true;
  update_events(socket);
}

void UvTransport::update_events(UvSocket* socket) {
  int wanted = 0;
  if (socket->connecting || socket->write_blocked || has_unsent(*socket)) wanted |= UV_WRITABLE;
  if (socket->reading && !socket->connecting) wanted |= UV_READABLE;
  if (!socket->reading && !socket->hung_up) wanted |= UV_DISCONNECT;
  if (!socket->polled || wanted == socket->events || socket->closed) return;
  socket->events = wanted;
  if (wanted == 0) {
    uv_poll_stop(&socket->poll);
    return;
  }
  uv_poll_start(&socket->poll, wanted, [](uv_poll_t* handle, int status, int events) {
    auto* polled = static_cast<UvSocket*>(handle->data);
    polled->transport->on_event(polled, status, events);
  });
}

void UvTransport::on_event(UvSocket* socket, int status, int events) {
  begin_turn();
  if (socket->closed || socket->failing) return;
  if (socket->connecting) return finish_connect(socket);
  if (status < 0) {
    // libuv tells of any error of the socket as EBADF (uv__poll_io).
    const int error = socket->take_error();
    return fail_later(socket, error != 0 ? std::strerror(error) : uv_strerror(status));
  }
  if (events & UV_READABLE) read(socket);
  if (!socket->closed && (events & UV_DISCONNECT) && !socket->hung_up && !socket->reading) {
    socket->hung_up = true;
    update_events(socket);
    socket->endpoint->on_hang_up();
  }
  if (!socket->closed && (events & UV_WRITABLE) && socket->tls && !(send_tls(socket) && !has_unsent(*socket))) return;
  if (!socket->closed && (events & UV_WRITABLE) && socket->write_blocked) {
    socket->write_blocked = false;
    socket->endpoint->on_writable();
    if (!socket->closed) update_events(socket);
  }
}

void UvTransport::finish_connect(UvSocket* socket) {
  if (const int error = socket->take_error(); error != 0) return fail_later(socket, std::strerror(error));
  socket->connecting = false;
  if (socket->tls) return start_tls(socket);
  update_events(socket);
  socket->endpoint->on_connected();
}

void UvTransport::read(UvSocket* socket) {
  const ssize_t size = recv(socket->fd, buffer_.get(), kReadBytes, 0);
  if (size > 0 && socket->tls) [[unlikely]]
    return receive_tls(socket, static_cast<size_t>(size));
  if (size > 0) return socket->endpoint->on_bytes(buffer_.get(), static_cast<size_t>(size));
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return fail_later(socket, std::strerror(errno));
  }
  end_input(socket);
}

void UvTransport::end_input(UvSocket* socket) {
  socket->reading = false;
  update_events(socket);
  socket->endpoint->on_end();
}

size_t UvTransport::write(core::Socket* base, const iovec* parts, int count) {
  auto* socket = static_cast<UvSocket*>(base);
  size_t given = 0;
  for (int i = 0; i < count; ++i) given += parts[i].iov_len;
  if (socket->failing) return given;
  if (socket->tls) [[unlikely]]
    return write_tls(socket, parts, count, given);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  ssize_t taken;
  do {
    taken = count == 1 ? send(socket->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                       : sendmsg(socket->fd, &message, MSG_NOSIGNAL);
  } while (taken < 0 && errno == EINTR);
  if (taken < 0 && errno != EAGAIN) {
    fail_later(socket, std::strerror(errno));
    return given;
  }
  if (static_cast<size_t>(std::max<ssize_t>(taken, 0)) < given) {
    socket->write_blocked = true;
    update_events(socket);
  }
  return static_cast<size_t>(std::max<ssize_t>(taken, 0));
}

void UvTransport::set_reading(core::Socket* base, bool reading) {
  auto* socket = static_cast<UvSocket*>(base);
  if (socket->reading == reading) return;
  socket->reading = reading;
  update_events(socket);
}

void UvTransport::note_unconnected(UvSocket* socket) {
  if (socket->connecting && socket->choice) ++*socket->choice;
}

// Endpoints are not called from within their own calls: the failure is told at the end of the turn.
void UvTransport::fail_later(UvSocket* socket, std::string reason) {
  if (socket->failing) return;
  note_unconnected(socket);
  socket->failing = true;
  failures_.push_back({socket, std::move(reason)});
  if (socket->polled) uv_poll_stop(&socket->poll);
  uv_timer_start(
      &timer_, [](uv_timer_t* handle) { static_cast<UvTransport*>(handle->data)->end_turn(); }, 0, 0);
}

void UvTransport::report_failures() {
  for (const Failure& failure : std::exchange(failures_, {})) {
    if (!failure.socket->closed) {
      failure.socket->closed = true;
      failure.socket->endpoint->on_failed(failure.reason);
    }
    failure.socket->failing = false;
    release(failure.socket);
  }
}

void UvTransport::close(core::Socket* base) {
  auto* socket = static_cast<UvSocket*>(base);
  if (!socket->resolving && !socket->failing) note_unconnected(socket);
  socket->closed = true;
  if (socket->failing || socket->resolving) return;
  if (socket->tls && !finish_tls(socket)) return;  // it lingers
  release(socket);
}

// The socket's end, when nothing refers to it any more but libuv.
void UvTransport::release(UvSocket* socket) {
  set_deadline(socket, 0);
  if (!socket->polled) {
    if (socket->fd >= 0) ::close(socket->fd);
    delete socket;
    return;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&socket->poll), [](uv_handle_t* handle) {
    auto* closed = static_cast<UvSocket*>(handle->data);
    ::close(closed->fd);
    delete closed;
  });
}

// The kernel gives up to 256 bytes at once, always.
uint64_t UvTransport::secret_random() {
  uint64_t value = 0;
  if (getrandom(&value, sizeof(value), 0) != sizeof(value)) std::abort();
  return value;
}

core::CpuTimes UvTransport::cpu_times() {
  const auto microseconds = [](const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; };
  rusage all{}, thread{};
  getrusage(RUSAGE_SELF, &all);
  getrusage(RUSAGE_THREAD, &thread);
  return {microseconds(all.ru_utime), microseconds(all.ru_stime), microseconds(thread.ru_utime),
          microseconds(thread.ru_stime)};
}

int64_t UvTransport::wall_clock_us() {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

void UvTransport::log(LogLevel level, std::string_view text) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  spdlog::log(kLevels[static_cast<size_t>(level)], "{}", text);
}

}  // namespace corral::uv

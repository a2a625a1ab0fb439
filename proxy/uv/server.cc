#include "proxy/uv/server.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <random>

#include "config/units.h"
#include "proxy/uv/address.h"
#include "proxy/uv/notify.h"
#include "proxy/uv/open_files.h"

namespace corral::uv {

namespace {

constexpr uint64_t kTakeoverRetryMs = 100;
constexpr int kTakeoverTries = 20;
constexpr uint64_t kDrainCheckMs = 20;
constexpr uint64_t kAcceptRestMs = 100, kAcceptToldMs = 1000;

int64_t wall_clock_us() {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

// 40 hex digits, as Redis makes them for a run.
std::string new_run_id() {
  std::random_device random;
  std::string id;
  while (id.size() < 40) id += "0123456789abcdef"[random() % 16];
  return id;
}

uint32_t worker_count(const config::Settings& settings) {
  return settings.server.workers > 0 ? settings.server.workers : std::max(1u, std::thread::hardware_concurrency());
}

core::SystemFacts system_facts() {
  core::SystemFacts facts;
  utsname system{};
  uname(&system);
  facts.os = std::string(system.sysname) + ' ' + system.release + ' ' + system.machine;
  facts.process_id = getpid();
  std::error_code error;
  facts.executable = std::filesystem::read_symlink("/proc/self/exe", error).string();
  return facts;
}

}  // namespace

/// A worker and its thread. `clients` counts those given to it, also while they are on their way.
struct Server::WorkerThread {
  WorkerThread(core::Process& process, uint32_t index, UvTransport::Post post, UvTransport::Reload reload,
               const Tls& tls)
      : transport(std::move(post), std::move(reload), tls), worker(process, transport, index, transport.now_ms()) {
    transport.set_worker(&worker);
  }
  UvTransport transport;
  core::Worker worker;
  std::atomic<uint32_t> on_their_way{0};
  std::atomic<bool> drained{false};
  std::thread thread;
};

Server::Server(const config::Settings& settings, LoadSettings load, std::vector<std::string> command)
    : settings_(with_files(settings)),
      process_(settings_, worker_count(settings_), wall_clock_us(), new_run_id()),
      successor_(loop_, std::move(command)) {
  process_.set_system(system_facts());
  uv_loop_init(&loop_);
  uv_timer_init(&loop_, &timer_);
  uv_timer_init(&loop_, &rest_timer_);
  timer_.data = rest_timer_.data = this;
  const auto post = [this](uint32_t worker, std::function<void(core::Worker&)> work) {
    workers_[worker]->transport.deliver(std::move(work));
  };
  reloader_ = std::make_unique<Reloader>(loop_, process_, tls_, std::move(load), post);
}

Server::~Server() {
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
}

int Server::run(bool takeover) {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGHUP, SIGUSR2}) std::signal(number, SIG_IGN);  // must not end it before it can obey
  if (const auto error = tls_.load(settings_)) {
    spdlog::error("{}", *error);
    return 1;
  }
  if (!open_listeners(takeover) || !open_admin()) return 1;
  start_workers();
  if (admin_) admin_->serve();
  for (const ListenSocket& listener : listeners_) watch(listener.fd, &Server::on_connection);
  watch_signals();
  notify_ready("serving");  // before the predecessor ends: the service never lacks its main process
  tell_ready(predecessor_);
  keep_takeover_socket();
  for (const ListenSocket& listener : listeners_) {
    spdlog::info("listening on {}, {} workers", config::format_address(listener.address), process_.workers());
  }
  if (admin_) spdlog::info("the page is at http://{0}/, metrics are at http://{0}/metrics", settings_.server.admin);
  uv_run(&loop_, UV_RUN_DEFAULT);
  const bool admin_ended = !admin_ || admin_->stop();
  for (auto& thread : workers_) thread->thread.join();
  spdlog::info("stopped");
  if (admin_ended) return 0;
  spdlog::shutdown();
  _exit(0);  // somebody sends the page's server a request that does not end, and holds one of its threads
}

void Server::watch_signals() {
  constexpr std::array<int, 4> kSignals = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
  for (size_t i = 0; i < kSignals.size(); ++i) {
    uv_signal_init(&loop_, &signals_[i]);
    signals_[i].data = this;
    uv_signal_start(
        &signals_[i], [](uv_signal_t* handle, int number) { static_cast<Server*>(handle->data)->on_signal(number); },
        kSignals[i]);
  }
}

void Server::on_signal(int number) {
  if (number == SIGHUP && draining_) return spdlog::info("the settings are not loaded again: draining");
  if (number == SIGHUP) return reloader_->on_signal();
  if (number == SIGUSR2) return successor_.start();
  drain(number == SIGTERM ? "SIGTERM" : "SIGINT");
}

bool Server::open_listeners(bool takeover) {
  std::vector<int> passed = sockets_from_service_manager();
  if (takeover) find_predecessor(passed);
  for (const config::Address& address : settings_.server.listen) {
    const auto opened = open_listener(address, passed, takeover);
    if (!opened) {
      spdlog::error("{}", opened.error);
      return false;
    }
    listeners_.push_back(*opened);
  }
  if (takeover && predecessor_.connection < 0) {
    spdlog::warn("--takeover: no running corral answers; starting afresh");
  }
  for (const int fd : passed) close(fd);  // no longer in the settings
  return true;
}

void Server::find_predecessor(std::vector<int>& passed) {
  predecessor_ = ask_predecessor(settings_.server.listen[0]);
  passed.insert(passed.end(), predecessor_.fds.begin(), predecessor_.fds.end());
}

// A corral that has itself just taken over listens, but can be asked only a moment after its own predecessor has let go
// of the name (keep_takeover_socket): so who wants an address that is taken asks again.
config::Result<ListenSocket> Server::open_listener(const config::Address& address, std::vector<int>& passed,
                                                   bool takeover) {
  for (int tries = 0;; ++tries) {
    if (const int fd = take_matching(passed, address); fd >= 0) return config::Result<ListenSocket>::of({address, fd});
    auto opened = listen_on(address);
    if (opened || !takeover || predecessor_.connection >= 0 || tries == kTakeoverTries) return opened;
    std::this_thread::sleep_for(std::chrono::milliseconds(kTakeoverRetryMs));
    find_predecessor(passed);
  }
}

// A running corral that is taken over still has the address; it gives it up as soon as this one is ready.
bool Server::open_admin() {
  if (settings_.server.admin.empty()) return true;
  admin_ = std::make_unique<admin::Admin>(process_, [this](uint32_t worker, std::function<void(core::Worker&)> work) {
    workers_[worker]->transport.deliver(std::move(work));
  });
  const std::string error = admin_->open(predecessor_.connection >= 0);
  if (!error.empty()) spdlog::error("{}", error);
  return error.empty();
}

void Server::start_workers() {
  const auto post = [this](uint32_t worker, std::function<void(core::Worker&)> work) {
    workers_[worker]->transport.deliver(std::move(work));
  };
  for (uint32_t i = 0; i < process_.workers(); ++i) {
    const auto reload = [this, i](core::Transport::ReloadDone done) { reloader_->request(i, std::move(done)); };
    workers_.push_back(std::make_unique<WorkerThread>(process_, i, post, reload, tls_));
  }
  for (auto& thread : workers_) {
    thread->thread = std::thread([&thread = *thread] {
      thread.worker.start();
      thread.transport.run();
      thread.worker.stop();
    });
  }
}

void Server::watch(int fd, void (Server::*on_readable)(Watch&)) {
  watches_.push_back(std::make_unique<Watch>(Watch{{}, this, on_readable, fd}));
  Watch& watch = *watches_.back();
  const int error = uv_poll_init(&loop_, &watch.poll, fd);
  if (error != 0) {
    spdlog::error("a file cannot be watched: {}", uv_strerror(error));
    watches_.pop_back();
    close(fd);
    return;
  }
  watch.poll.data = &watch;
  start(watch);
}

void Server::start(Watch& watch) {
  uv_poll_start(&watch.poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto* ready = static_cast<Watch*>(handle->data);
    (ready->server->*ready->on_readable)(*ready);
  });
}

// It is gone some time later; its file is closed now.
void Server::end(Watch& watch) {
  uv_close(reinterpret_cast<uv_handle_t*>(&watch.poll), [](uv_handle_t* handle) {
    const auto* ended = static_cast<Watch*>(handle->data);
    std::erase_if(ended->server->watches_, [ended](const auto& one) { return one.get() == ended; });
  });
  close(watch.fd);
}

void Server::on_connection(Watch& listener) {
  if (const int error = accept_all(listener.fd); error != EAGAIN) rest(listener, error);
}

// Why it has ended: EAGAIN if there are no more.
int Server::accept_all(int listen_fd) {
  const auto is_it = [listen_fd](const ListenSocket& listener) { return listener.fd == listen_fd; };
  const bool tls = std::find_if(listeners_.begin(), listeners_.end(), is_it)->address.tls;
  for (;;) {
    const int fd = accept4(listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      give_to_worker(fd, tls);
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return errno;
    }
  }
}

// There are no files left, or no memory: who waits would be tried again at once, and for ever.
void Server::rest(Watch& listener, int error) {
  const uint64_t now_ms = uv_now(&loop_);
  if (now_ms >= accept_told_ms_) {
    spdlog::error("accept: {}", std::strerror(error));
    accept_told_ms_ = now_ms + kAcceptToldMs;
  }
  uv_poll_stop(&listener.poll);
  uv_timer_start(
      &rest_timer_, [](uv_timer_t* handle) { static_cast<Server*>(handle->data)->end_rest(); }, kAcceptRestMs, 0);
}

void Server::end_rest() {
  for (const auto& watch : watches_) {
    if (!draining_ && watch->on_readable == &Server::on_connection) start(*watch);
  }
}

void Server::give_to_worker(int fd, bool tls) {
  const auto load = [this](size_t i) { return process_.board(i).clients + workers_[i]->on_their_way; };
  size_t least = 0;
  for (size_t i = 1; i < workers_.size(); ++i) {
    if (load(i) < load(least)) least = i;
  }
  WorkerThread& chosen = *workers_[least];
  ++chosen.on_their_way;
  chosen.transport.deliver([&chosen, fd, tls](core::Worker& worker) {
    --chosen.on_their_way;
    UvSocket* socket = chosen.transport.adopt(fd, tls);
    core::Socket* as_core = chosen.transport.as_core(socket);
    core::Session* session = worker.accept(as_core, {peer_text(fd), local_text(fd), fd, is_local(fd)});
    if (!session) return chosen.transport.close(as_core);
    as_core->endpoint = session;
    chosen.transport.start_reading(socket);
  });
}

// --- a successor ---

// Listens for a successor as soon as the name is free: after a takeover, when the old process has let go of it.
void Server::keep_takeover_socket() {
  takeover_fd_ = open_takeover_socket(settings_.server.listen[0]);
  if (takeover_fd_ >= 0) return watch(takeover_fd_, &Server::on_successor);
  uv_timer_start(
      &timer_, [](uv_timer_t* handle) { static_cast<Server*>(handle->data)->keep_takeover_socket(); }, kTakeoverRetryMs,
      0);
}

void Server::on_successor(Watch& takeover) {
  const int connection = accept4(takeover.fd, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection < 0) return;
  std::vector<int> fds;
  for (const ListenSocket& listener : listeners_) fds.push_back(listener.fd);
  if (!send_sockets(connection, fds)) {
    close(connection);
    return;
  }
  spdlog::info("a new process takes over the listening sockets");
  watch(connection, &Server::on_successor_ready);
}

void Server::on_successor_ready(Watch& successor) {
  char byte;
  const bool ready = read(successor.fd, &byte, 1) == 1;
  end(successor);
  if (ready) {
    drain("taken over");
  } else {
    spdlog::warn("the new process went away before it was ready; going on");
  }
}

// --- the end ---

void Server::drain(const std::string& why) {
  if (draining_) {  // asked twice: at once
    drain_deadline_ms_ = 0;
    return;
  }
  draining_ = true;
  spdlog::info("draining: {}", why);
  const bool taken_over = why == "taken over";
  if (!taken_over) notify_stopping(static_cast<uint64_t>(settings_.server.drain_timeout_ms));
  if (admin_) taken_over ? admin_->release() : admin_->drain();
  for (const ListenSocket& listener : listeners_) {
    // Who is in the queue has connected: they are served, unless the successor does it.
    if (!taken_over) accept_all(listener.fd);
  }
  stop_watching();
  for (const ListenSocket& listener : listeners_) {
    close(listener.fd);
    if (listener.address.is_unix() && !taken_over) unlink(listener.address.host.c_str());
  }
  if (takeover_fd_ >= 0) close(takeover_fd_);
  for (auto& thread : workers_) {
    thread->transport.deliver([](core::Worker& worker) { worker.drain(); });
  }
  drain_deadline_ms_ = uv_now(&loop_) + static_cast<uint64_t>(settings_.server.drain_timeout_ms);
  uv_timer_start(
      &timer_, [](uv_timer_t* handle) { static_cast<Server*>(handle->data)->on_drain_timer(); }, kDrainCheckMs,
      kDrainCheckMs);
}

void Server::stop_watching() {
  for (auto& watch : watches_) {
    if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(&watch->poll))) uv_poll_stop(&watch->poll);
  }
}

// Stops the workers once no client is left, or time is up.
void Server::on_drain_timer() {
  const bool late = uv_now(&loop_) >= drain_deadline_ms_;
  uint32_t left = process_.clients();
  for (const auto& thread : workers_) left += thread->on_their_way + thread->transport.lingering();
  if (left > 0 && !late) return;
  if (left > 0) spdlog::warn("{} clients were still connected", left);
  uv_timer_stop(&timer_);
  for (auto& thread : workers_) {
    UvTransport& transport = thread->transport;
    transport.deliver([&transport](core::Worker&) { transport.stop(); });
  }
  uv_stop(&loop_);
}

}  // namespace corral::uv

#include "proxy/admin/admin.h"

#include <httplib.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <utility>

#include "config/units.h"
#include "proxy/admin/actions.h"
#include "proxy/admin/metrics.h"
#include "proxy/admin/page_files.h"
#include "proxy/admin/process_facts.h"
#include "proxy/admin/readiness.h"

namespace corral::admin {

namespace {

// Who watches the page keeps a thread.
constexpr size_t kThreads = 8 + LiveFeed::kMostViewers;
constexpr std::chrono::milliseconds kTryAgain{50};  // for the address
constexpr std::chrono::seconds kStopTime{3};        // for who is being answered
constexpr int kTellAfter = 100;                     // tries
constexpr size_t kMostWaiting = 64;                 // connections, for a thread
// Who does not take what it is sent within two seconds is let go: a page asks again by itself.
constexpr time_t kKeepAliveSeconds = 1, kReadSeconds = 5, kWriteSeconds = 2;
constexpr int kSendBufferBytes = 256 * 1024;  // what the system keeps at most for who does not read
constexpr size_t kMostBodyBytes = 64 * 1024;
constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kJson = "application/json";
constexpr const char* kEventStream = "text/event-stream";
// Nothing but what comes from here, no script or style in the page's text, and in nobody's frame. Trusted Types keep
// the scripts from making HTML of what they are told.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
constexpr const char* kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

// The next connection is not accepted before there is room: httplib's own pool would take any number of them.
class BoundedPool final : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return waiting_ < kMostWaiting; });
    ++waiting_;
    lock.unlock();
    pool_.enqueue([this, task = std::move(task)] {
      {
        const std::lock_guard begun(mutex_);
        --waiting_;
      }
      room_.notify_one();
      task();
    });
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  std::mutex mutex_;
  std::condition_variable room_;
  size_t waiting_ = 0;
  httplib::ThreadPool pool_{kThreads};
};

void set_text(httplib::Response& response, int status, const std::string& text) {
  response.status = status;
  response.set_content(text + '\n', kText);
}

Asked asked_by(const httplib::Request& request, std::string (&headers)[5]) {
  static constexpr const char* kNames[] = {"Host", "Origin", "Sec-Fetch-Site", "Authorization", kActionHeader};
  for (size_t i = 0; i < std::size(kNames); ++i) headers[i] = request.get_header_value(kNames[i]);
  return {request.method, request.path, headers[0], headers[1], headers[2], headers[3], headers[4]};
}

}  // namespace

Admin::Admin(core::Process& process, Post post)
    : process_(process),
      post_(std::move(post)),
      collector_(process, post_),
      feed_(process, collector_),
      address_(config::parse_address(process.settings().server.admin).value()),
      access_(process.settings().server.admin_token, address_.host),
      server_(std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [] { return new BoundedPool; };
  // One request a connection: of one that is refused the body is not read, and would be taken for the next request.
  server_->set_keep_alive_max_count(1);
  server_->set_keep_alive_timeout(kKeepAliveSeconds);  // for its first byte
  server_->set_read_timeout(kReadSeconds);
  server_->set_write_timeout(kWriteSeconds);
  server_->set_payload_max_length(kMostBodyBytes);
  server_->set_tcp_nodelay(true);
  // By default it would let several processes share the address, and a second Corral not notice that it is taken.
  server_->set_socket_options([](int socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(kSendBufferBytes));
  });
  add_routes();
}

Admin::~Admin() { stop(); }

std::string Admin::open(bool patient) {
  bound_ = bind();
  if (bound_ || (patient && errno == EADDRINUSE)) return {};
  const std::string why = errno == 0 ? "the host's name cannot be resolved" : std::strerror(errno);
  return "cannot listen on " + config::format_address(address_) + " for metrics and health: " + why +
         "; --admin HOST:PORT is another address, --admin \"\" is none";
}

bool Admin::bind() {
  errno = 0;
  return server_->bind_to_port(address_.host, address_.port);
}

void Admin::serve() {
  feed_.start();
  thread_ = std::thread([this] { run(); });
}

void Admin::run() {
  std::unique_lock lock(mutex_);
  int tries = 0;
  while (!stopping_ && !bound_) {
    stopped_.wait_for(lock, kTryAgain);
    bound_ = !stopping_ && bind();
    if (++tries == kTellAfter)
      spdlog::error("the page's address {} is still taken; it is tried for", process_.settings().server.admin);
  }
  const bool wanted = !stopping_;
  lock.unlock();
  if (wanted) server_->listen_after_bind();
  ended_ = true;
}

void Admin::release() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true) || !thread_.joinable()) return;
  }
  stopped_.notify_all();
  feed_.end();
  // Between being bound and running it would not notice.
  while (!ended_ && !server_->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  server_->stop();
}

bool Admin::stop() {
  release();
  const auto end = std::chrono::steady_clock::now() + kStopTime;
  while (thread_.joinable() && !ended_) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (thread_.joinable()) thread_.join();
  feed_.stop();
  return true;
}

void Admin::add_routes() {
  server_->set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    return may(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                  : httplib::Server::HandlerResponse::Handled;
  });
  server_->Get("/healthz", [](const httplib::Request&, httplib::Response& response) { set_text(response, 200, "ok"); });
  server_->Get("/readyz", [this](const httplib::Request&, httplib::Response& response) { tell_ready(response); });
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics_text(process_, collector_.collect(kMetricsWish), process_facts()), kMetricsText);
  });
  server_->Get("/events", [this](const httplib::Request&, httplib::Response& response) { stream(response); });
  add_page();
  add_actions();
}

void Admin::add_page() {
  for (const PageFile& file : page_files()) {
    const std::string path = file.name == "index.html" ? "/" : "/page/" + std::string(file.name);
    server_->Get(path, [&file](const httplib::Request&, httplib::Response& response) {
      response.set_header("Content-Security-Policy", kContentSecurityPolicy);
      response.set_header("Cross-Origin-Opener-Policy", "same-origin");
      response.set_header("Cross-Origin-Resource-Policy", "same-origin");
      response.set_header("Referrer-Policy", "no-referrer");
      response.set_content(file.content.data(), file.content.size(), std::string(file.type));
    });
  }
}

void Admin::add_actions() {
  const auto tell = [](const Outcome& outcome, httplib::Response& response) {
    response.status = outcome.status;
    response.set_content(outcome.text, kJson);
  };
  server_->Post("/purge", [this, tell](const httplib::Request& request, httplib::Response& response) {
    tell(purge(post_, request.body), response);
  });
  server_->Post("/reload",
                [this, tell](const httplib::Request&, httplib::Response& response) { tell(reload(post_), response); });
}

void Admin::stream(httplib::Response& response) {
  const auto viewer = feed_.let_in();
  if (!viewer) return set_text(response, 503, std::to_string(LiveFeed::kMostViewers) + " pages are open already");
  response.set_header("X-Accel-Buffering", "no");  // a proxy in between is to pass each event on at once
  response.set_chunked_content_provider(kEventStream, [viewer](size_t, httplib::DataSink& sink) {
    const LiveFeed::Text event = viewer->next();
    return event && sink.write(event->data(), event->size());
  });
}

bool Admin::may(const httplib::Request& request, httplib::Response& response) const {
  if (!request.ranges.empty()) {  // of small texts nobody needs parts; of a thousand ranges there would be large ones
    response.status = 416;
    return false;
  }
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Cache-Control", "no-store");
  std::string headers[5];
  switch (access_.judge(asked_by(request, headers))) {
    case Verdict::kYes:
      return true;
    case Verdict::kWantsToken:
      response.set_header("WWW-Authenticate", "Bearer");
      set_text(response, 401, "this needs the header Authorization: Bearer TOKEN, with server.admin_token");
      return false;
    case Verdict::kWrongName:
      set_text(response, 403,
               "nothing is told under this name; ask for an address or localhost, or set server.admin_token");
      return false;
    case Verdict::kFromElsewhere:
      break;
  }
  set_text(response, 403, std::string("this needs the header ") + kActionHeader + ", and not from another site's page");
  return false;
}

void Admin::tell_ready(httplib::Response& response) {
  const std::string why_not = draining_ ? "draining" : why_not_ready(process_, collector_.collect({}));
  set_text(response, why_not.empty() ? 200 : 503, why_not.empty() ? "ready" : why_not);
}

}  // namespace corral::admin

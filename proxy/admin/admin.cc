#include "proxy/admin/admin.h"

#include <httplib.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "config/units.h"
#include "proxy/admin/metrics.h"
#include "proxy/admin/process_facts.h"
#include "proxy/admin/readiness.h"

namespace corral::admin {

namespace {

constexpr size_t kThreads = 8;
constexpr std::chrono::milliseconds kTryAgain{50};  // for the address
constexpr time_t kKeepAliveSeconds = 1, kPatienceSeconds = 5;
constexpr size_t kMostBodyBytes = 64 * 1024;
constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

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
      collector_(process, std::move(post)),
      address_(config::parse_address(process.settings().server.admin).value()),
      access_(process.settings().server.admin_token, address_.host),
      server_(std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server_->set_keep_alive_timeout(kKeepAliveSeconds);
  server_->set_read_timeout(kPatienceSeconds);
  server_->set_write_timeout(kPatienceSeconds);
  server_->set_payload_max_length(kMostBodyBytes);
  server_->set_tcp_nodelay(true);
  // By default it would let several processes share the address, and a second Corral not notice that it is taken.
  server_->set_socket_options([](int socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
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
  thread_ = std::thread([this] { run(); });
}

void Admin::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !bound_) {
    stopped_.wait_for(lock, kTryAgain);
    bound_ = !stopping_ && bind();
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
  // Between being bound and running it would not notice.
  while (!ended_ && !server_->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  server_->stop();
}

void Admin::stop() {
  release();
  if (thread_.joinable()) thread_.join();
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
}

bool Admin::may(const httplib::Request& request, httplib::Response& response) const {
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

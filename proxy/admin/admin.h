// The admin port: metrics, health and the live page over HTTP, on threads that serve no client.
//
//   GET  /          the page; what it consists of is under /page/
//   GET  /events    what it shows, once a second (live_feed.h)
//   POST /purge     the body is a glob; drops the keys that match from the near cache
//   POST /reload    loads the settings again
//   GET  /metrics   for Prometheus
//   GET  /healthz   200 as long as the process lives
//   GET  /readyz    200 if every slot has an owner that can be reached, else 503 and why
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "proxy/admin/access.h"
#include "proxy/admin/collector.h"
#include "proxy/admin/live_feed.h"
#include "proxy/core/process.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace corral::admin {

class Admin {
 public:
  /// `process` and what `post` leads to must live until stop() has returned. The settings name an address.
  Admin(core::Process& process, Post post);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  /// Listens. The error is one line for people. `patient`: another process is about to give the address up, and this
  /// one waits for it later, if need be, without an error.
  std::string open(bool patient);
  /// Serves, when `post` leads somewhere.
  void serve();
  /// From now on it is not ready: new clients are not served any more.
  void drain() { draining_ = true; }
  /// Gives the address up at once.
  void release();
  /// Likewise, and waits until what is under way has ended, a second or so. False: that does not end within seconds;
  /// then this must not be destroyed.
  bool stop();

 private:
  void add_routes();
  void add_page();
  void add_actions();
  void stream(httplib::Response& response);
  bool may(const httplib::Request& request, httplib::Response& response) const;
  bool bind();
  void run();
  void tell_ready(httplib::Response& response);

  core::Process& process_;
  const Post post_;
  Collector collector_;
  LiveFeed feed_;
  const config::Address address_;
  const Access access_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  bool bound_ = false;
  std::atomic<bool> draining_ = false, ended_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable stopped_;
  bool stopping_ = false;
};

}  // namespace corral::admin

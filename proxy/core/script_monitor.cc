#include "proxy/core/script_monitor.h"

#include <memory>
#include <utility>

#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr std::string_view kMonitorFrame = "*1\r\n$7\r\nMONITOR\r\n";

// "+1339518083.107412 [0 lua] ...": the first bracket, since arguments may hold anything.
bool is_of_script(std::string_view line) {
  const size_t bracket = line.find('[');
  const size_t end = line.find(']');
  return bracket < end && end != std::string_view::npos && line.substr(0, end).ends_with(" lua");
}

}  // namespace

// A request that is answered by a reply for each command that the master runs, and never by a last one.
class ScriptMonitor::Watch final : public Piece {
 public:
  Watch(ScriptMonitor& monitor, NodeId node, std::shared_ptr<std::function<void()>> ready)
      : monitor_(&monitor), worker_(monitor.worker_), node_(node), ready_(std::move(ready)) {}

  void start() {
    link_ = worker_.own_links().take(node_, LinkKind());
    Request request;
    request.task = this;
    request.flags = kPiece | kNodeBound | kReadOnly | kMayWait;
    link_->send(request, kMonitorFrame);
  }
  /// on_reply() follows.
  void stop() {
    monitor_ = nullptr;
    worker_.own_links().drop(link_);
  }

  void begin() override {}
  bool take(std::string_view reply) override {
    ready_.reset();  // the first is +OK or an error
    if (monitor_ && is_of_script(reply)) monitor_->show_(reply);
    return false;
  }
  std::string_view verdict() override { return {}; }

  // The connection is lost, or has been dropped.
  void on_reply(uint32_t, std::string_view) override {
    if (monitor_) {
      monitor_->watches_.erase(node_);
      worker_.own_links().drop(link_);
    }
    delete this;
  }

 private:
  ScriptMonitor* monitor_;  // null: stopped
  Worker& worker_;
  const NodeId node_;
  Link* link_ = nullptr;
  std::shared_ptr<std::function<void()>> ready_;
};

// Each watch holds `ready` until it is; the last one to let go of it calls it, or else the timer.
void ScriptMonitor::watch_masters(std::function<void()> ready) {
  const std::shared_ptr<std::function<void()>> shared(new std::function<void()>(std::move(ready)),
                                                      [](std::function<void()>* last) {
                                                        if (*last) (*last)();
                                                        delete last;
                                                      });
  for (const auto& master : worker_.map().masters) {
    if (watches_.contains(master.id) || worker_.stopping()) continue;
    auto* watch = watches_[master.id] = new Watch(*this, master.id, shared);
    watch->start();
  }
  if (shared.use_count() == 1) return;
  const auto timeout_ms = static_cast<uint32_t>(worker_.settings().upstream.request_timeout_ms);
  worker_.after(timeout_ms, [waits = std::weak_ptr(shared)] {
    const auto late = waits.lock();
    if (!late) return;
    if (const auto is_ready = std::exchange(*late, nullptr)) is_ready();
  });
}

void ScriptMonitor::stop() {
  for (const auto& [node, watch] : std::exchange(watches_, {})) watch->stop();
}

}  // namespace corral::core

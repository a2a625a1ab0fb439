#include "proxy/uv/reloader.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

#include "proxy/core/policies.h"
#include "proxy/core/worker.h"
#include "proxy/uv/notify.h"

namespace corral::uv {

Reloader::Reloader(uv_loop_t& loop, core::Process& process, Tls& tls, LoadSettings load, UvTransport::Post post)
    : process_(process), tls_(tls), load_(std::move(load)), post_(std::move(post)) {
  uv_async_init(&loop, &wake_, [](uv_async_t* handle) { static_cast<Reloader*>(handle->data)->run_requests(); });
  wake_.data = this;
}

void Reloader::on_signal() { reload({}); }

void Reloader::request(uint32_t worker, core::Transport::ReloadDone done) {
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back({worker, std::move(done)});
  }
  uv_async_send(&wake_);
}

// Those that came together are served by one load, which began after each of them.
void Reloader::run_requests() {
  std::vector<Waiting> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(requests_);
  }
  if (!waiting.empty()) reload(std::move(waiting));
}

void Reloader::reload(std::vector<Waiting> waiting) {
  notify_reloading();
  const auto settings = load_();
  const std::string error = settings ? tls_.load(*settings).value_or("") : settings.error;
  if (!error.empty()) {
    spdlog::error("the settings are not loaded again, nothing has changed: {}", error);
    notify_reloaded("serving; the settings were not loaded again: " + error);
    tell(true, "the settings were not loaded again: " + error);
    return answer(waiting, error);
  }
  const policy::PoliciesPtr policies = core::make_policies(*settings);
  process_.set_policies(policies);
  spdlog::set_level(spdlog::level::from_str(settings->log_level));
  process_.slow_requests().set_least_ms(settings->slow_request_ms);
  spdlog::info("the settings have been loaded again: {} rules", policies->rules.rules().size());
  notify_reloaded("serving");
  tell(false, "the settings have been loaded again: " + std::to_string(policies->rules.rules().size()) + " rules");
  const auto missing = std::make_shared<std::atomic<uint32_t>>(process_.workers());
  const auto shared = std::make_shared<const std::vector<Waiting>>(std::move(waiting));
  for (uint32_t i = 0; i < process_.workers(); ++i) {
    post_(i, [this, policies, missing, shared](core::Worker& worker) {
      worker.set_policies(policies);
      if (missing->fetch_sub(1) == 1) answer(*shared, {});
    });
  }
}

void Reloader::tell(bool bad, std::string text) {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  const int64_t now_us = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  process_.events().add(now_us, core::EventKind::kSettings, bad, std::move(text));
}

void Reloader::answer(const std::vector<Waiting>& waiting, const std::string& error) const {
  for (const Waiting& one : waiting) {
    post_(one.worker, [done = one.done, error](core::Worker&) { done(error); });
  }
}

}  // namespace corral::uv

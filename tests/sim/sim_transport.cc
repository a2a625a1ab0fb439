#include "sim_transport.h"

#include <algorithm>
#include <string>
#include <utility>

namespace corral::sim {

namespace {

constexpr int64_t kGatherUs = 60;  // how long events wait for others at most
constexpr int64_t kPostUs = 400;   // likewise what is posted to another worker

Connection* connection(core::Socket* socket) { return static_cast<Connection*>(socket); }

}  // namespace

void SimTransport::start(core::Worker* worker) {
  worker_ = worker;
  worker->start();
  wake_after(0);
}

void SimTransport::wake_after(int64_t delay_us) {
  const int64_t at = loop().now_us() + delay_us;
  if (halted_ || (wake_us_ >= 0 && wake_us_ <= at)) return;
  wake_us_ = at;
  loop().after(delay_us, [this, number = ++wake_number_] {
    if (number == wake_number_ && !halted_) take_turn();
  });
}

void SimTransport::take_turn() {
  wake_us_ = -1;
  worker_->begin_turn(start_ms_ + static_cast<uint64_t>(loop().now_us() / 1000));
  while (!inbox_.empty() && inbox_.front().arrives_us <= loop().now_us()) {
    const auto work = std::move(inbox_.front().work);
    inbox_.pop_front();
    work(*worker_);
  }
  for (const auto& action : std::exchange(ready_, {})) action();
  const uint32_t wait_ms = worker_->end_turn();
  // A turn at once is one a little later: time must go on.
  wake_after(wait_ms == 0 ? 1 : int64_t{wait_ms} * 1000);
  if (!inbox_.empty()) wake_after(inbox_.front().arrives_us - loop().now_us());
  if (!ready_.empty()) wake_after(loop().random().between(1, kGatherUs));
}

void SimTransport::ready(std::function<void()> action) {
  ready_.push_back(std::move(action));
  wake_after(loop().random().between(0, kGatherUs));
}

Connection& SimTransport::accept(Peer* client) {
  Connection& made = network_.make(*this);
  made.attach(client);
  ready([this, &made] {
    const std::string peer = "192.168.0.1:" + std::to_string(10000 + made.id());
    core::Session* session = worker_->accept(&made, {peer, "192.168.0.2:6380", -1, true});
    made.endpoint = session;
    if (!session) made.close();
  });
  return made;
}

core::Socket* SimTransport::connect(const config::Address& address, core::Endpoint* endpoint) {
  Connection& made = network_.make(*this);
  loop().trace([&] { return "core connects #" + std::to_string(made.id()) + " to " + address.host; });
  made.connect(network_.find(address), endpoint);
  return &made;
}

size_t SimTransport::write(core::Socket* socket, const iovec* parts, int count) {
  return connection(socket)->write(parts, count);
}

void SimTransport::set_reading(core::Socket* socket, bool reading) { connection(socket)->set_reading(reading); }

void SimTransport::close(core::Socket* socket) { connection(socket)->close(); }

void SimTransport::post(uint32_t worker, std::function<void(core::Worker&)> work) {
  // Another worker is in the middle of something, and looks there when that is done.
  SimTransport& other = *transports_[worker];
  int64_t arrives_us = loop().now_us() + loop().random().between(1, kPostUs);
  if (!other.inbox_.empty()) arrives_us = std::max(arrives_us, other.inbox_.back().arrives_us);
  other.inbox_.push_back({arrives_us, std::move(work)});
  other.wake_after(arrives_us - loop().now_us());
}

uint64_t SimTransport::clock_ms() { return start_ms_ + static_cast<uint64_t>(loop().now_us() / 1000); }

int64_t SimTransport::wall_clock_us() { return kWallClockUs + loop().now_us(); }

void SimTransport::log(core::LogLevel, std::string_view text) {
  loop().trace([&] { return "core logs: " + std::string(text); });
}

}  // namespace corral::sim

// core::Transport in virtual time, for one worker: what is due for it gathers and is delivered in turns.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/core/worker.h"
#include "sim_network.h"

namespace corral::sim {

class SimTransport final : public core::Transport {
 public:
  static constexpr int64_t kWallClockUs = 1'700'000'000'000'000;  // when virtual time begins

  /// `start_ms`: what the worker's clock shows at the beginning. `transports`: of all workers, for post().
  SimTransport(SimNetwork& network, const std::vector<std::unique_ptr<SimTransport>>& transports, uint64_t seed,
               uint64_t start_ms)
      : network_(network), transports_(transports), random_(seed), start_ms_(start_ms) {}

  void start(core::Worker* worker);
  SimLoop& loop() { return network_.loop(); }
  core::Worker& worker() { return *worker_; }
  /// Does `action` in a turn soon; what is ready at about the same time shares a turn.
  void ready(std::function<void()> action);
  /// A client connects: the core's end of a new connection.
  Connection& accept(Peer* client);
  /// No more turns.
  void halt() { halted_ = true; }

  core::Socket* connect(const config::Address& address, core::Endpoint* endpoint) override;
  size_t write(core::Socket* socket, const iovec* parts, int count) override;
  void set_reading(core::Socket* socket, bool reading) override;
  void close(core::Socket* socket) override;
  void post(uint32_t worker, std::function<void(core::Worker&)> work) override;
  uint64_t random() override { return random_.next(); }
  uint64_t clock_ms() override;
  int64_t wall_clock_us() override;
  void log(core::LogLevel level, std::string_view text) override;

 private:
  void take_turn();
  void wake_after(int64_t delay_us);

  SimNetwork& network_;
  const std::vector<std::unique_ptr<SimTransport>>& transports_;
  core::Worker* worker_ = nullptr;
  Random random_;
  const uint64_t start_ms_;
  std::vector<std::function<void()>> ready_;
  struct Mail {
    int64_t arrives_us;
    std::function<void(core::Worker&)> work;
  };
  std::deque<Mail> inbox_;
  int64_t wake_us_ = -1;  // of the turn that is due next; -1: none
  uint64_t wake_number_ = 0;
  bool halted_ = false;
};

}  // namespace corral::sim

// How often passwords may be tried from one address: after each that was wrong, the next is only looked at after a
// delay that doubles up to a bound; a minute without a wrong one forgets them all. Meanwhile nobody from there is let
// in, also with the right password, since who tries does not know which one that is.
//
// One for the process. Deterministic: the time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace corral::core {

class AuthThrottle {
 public:
  static constexpr uint32_t kFirstDelayMs = 50, kLongestDelayMs = 2000, kForgottenAfterMs = 60'000;
  static constexpr size_t kMostAddresses = 10'000;

  /// How long until the next attempt from there may be looked at; 0: now. `peer`: address and port of a client.
  uint32_t wait_ms(std::string_view peer, uint64_t now_ms);
  void on_failure(std::string_view peer, uint64_t now_ms);
  size_t size() const;

 private:
  struct Record {
    uint32_t failures = 0;
    uint64_t failed_ms = 0;  // the last time
  };
  static uint32_t delay_ms(const Record& record);
  void make_room(uint64_t now_ms);

  mutable std::mutex mutex_;
  std::map<std::string, Record, std::less<>> records_;  // by network_of()
};

/// What counts as one address: an IPv4 address, the half of an IPv6 address that names a network, a unix socket.
std::string network_of(std::string_view peer);

}  // namespace corral::core

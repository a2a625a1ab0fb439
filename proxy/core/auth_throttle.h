// How often passwords of a user may be tried from one address: after each that was wrong, the next is only looked at
// after a delay that doubles up to a bound; a minute without a wrong one forgets them all. Meanwhile nobody from there
// becomes that user, also with the right password, since who tries must not learn from the time which one that is.
// Other users go on: a program that has an old password keeps none but its own kind waiting.
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
  static constexpr size_t kMostRecords = 10'000;
  /// Users of one address are told apart by this many numbers, whether they exist or not, so that names that are made
  /// up neither fill the table nor show by their time that they are.
  static constexpr size_t kUserGroups = 64;

  /// How long until the next attempt from there may be looked at; 0: now. `peer`: address and port of a client.
  uint32_t wait_ms(std::string_view peer, std::string_view user, uint64_t now_ms);
  void on_failure(std::string_view peer, std::string_view user, uint64_t now_ms);
  size_t size() const;

 private:
  struct Record {
    uint32_t failures = 0;
    uint64_t failed_ms = 0;  // the last time
  };
  static uint32_t delay_ms(const Record& record);
  static std::string key_of(std::string_view peer, std::string_view user);
  void make_room(uint64_t now_ms);

  mutable std::mutex mutex_;
  std::map<std::string, Record, std::less<>> records_;  // by key_of()
};

/// What counts as one address: an IPv4 address, the half of an IPv6 address that names a network, a unix socket.
std::string network_of(std::string_view peer);

}  // namespace corral::core

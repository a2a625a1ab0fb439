#include "proxy/core/auth_throttle.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <functional>

namespace corral::core {

namespace {

constexpr size_t kNetworkBytes = 8;  // of the 16 of an IPv6 address

}  // namespace

std::string network_of(std::string_view peer) {
  const std::string_view host = peer.substr(0, peer.rfind(':'));
  if (!host.starts_with('[')) return std::string(host);
  const std::string text(host.substr(1, host.size() - 2));
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  constexpr std::array<unsigned char, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) return text.substr(text.rfind(':') + 1);
  return std::string(reinterpret_cast<const char*>(bytes.data()), kNetworkBytes);
}

std::string AuthThrottle::key_of(std::string_view peer, std::string_view user) {
  return network_of(peer) + '\0' + static_cast<char>(std::hash<std::string_view>()(user) % kUserGroups);
}

uint32_t AuthThrottle::delay_ms(const Record& record) {
  const uint32_t doublings = std::min(record.failures - 1, 16u);
  return std::min(kFirstDelayMs << doublings, kLongestDelayMs);
}

uint32_t AuthThrottle::wait_ms(std::string_view peer, std::string_view user, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (records_.empty()) return 0;
  const auto it = records_.find(key_of(peer, user));
  if (it == records_.end()) return 0;
  const uint64_t until_ms = it->second.failed_ms + delay_ms(it->second);
  return until_ms > now_ms ? static_cast<uint32_t>(until_ms - now_ms) : 0;
}

void AuthThrottle::on_failure(std::string_view peer, std::string_view user, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  std::string key = key_of(peer, user);
  auto it = records_.find(key);
  if (it == records_.end()) {
    if (records_.size() >= kMostRecords) make_room(now_ms);
    it = records_.emplace(std::move(key), Record{}).first;
  }
  Record& record = it->second;
  if (record.failed_ms + kForgottenAfterMs <= now_ms) record.failures = 0;
  ++record.failures;
  record.failed_ms = now_ms;
}

void AuthThrottle::make_room(uint64_t now_ms) {
  std::erase_if(records_, [&](const auto& entry) { return entry.second.failed_ms + kForgottenAfterMs <= now_ms; });
  if (records_.size() < kMostRecords) return;
  const auto earlier = [](const auto& a, const auto& b) { return a.second.failed_ms < b.second.failed_ms; };
  records_.erase(std::min_element(records_.begin(), records_.end(), earlier));
}

size_t AuthThrottle::size() const {
  const std::lock_guard lock(mutex_);
  return records_.size();
}

}  // namespace corral::core

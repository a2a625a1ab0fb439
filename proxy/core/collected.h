// What a task keeps of the replies of which it makes one: it counts as its client's, and stays within what that may
// have.
#pragma once

#include <string_view>
#include <utility>

#include "proxy/core/session.h"

namespace corral::core {

/// Instead of what is not kept.
inline constexpr std::string_view kClientGone = "-ERR the client is gone\r\n";

class Collected {
 public:
  /// The session lives as long as this, or until forget().
  explicit Collected(Session& session) : session_(session) {}
  Collected(const Collected&) = delete;
  Collected& operator=(const Collected&) = delete;
  ~Collected() { forget(); }

  /// False: this is not to be kept, its client is gone.
  bool add(size_t size) {
    if (!session_.collect(size, bytes_)) return false;
    bytes_ += size;
    return true;
  }
  void forget() { session_.forget_collected(std::exchange(bytes_, 0)); }

 private:
  Session& session_;
  size_t bytes_ = 0;
};

}  // namespace corral::core

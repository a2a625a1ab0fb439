// What one client has subscribed to.
#pragma once

namespace corral::core {

class Subscriptions {
 public:
  /// The client is gone or has said RESET.
  void leave_all() {}
};

}  // namespace corral::core

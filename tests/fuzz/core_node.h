// A node that answers like a Redis without data: of the right kind for each command, or, as the input wants it,
// otherwise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace corral::fuzz {

inline const config::Address kNodeA{"10.0.0.1", 7001};  // slots 0 to 8191
inline const config::Address kNodeB{"10.0.0.2", 7002};  // the rest

/// The node's end of one connection.
class NodeState {
 public:
  using Words = std::vector<std::string_view>;

  NodeState() = default;
  /// `tells_topology`: where it does not, nobody has to go over all slots for each input.
  NodeState(bool is_b, bool tells_topology) : is_b_(is_b), tells_topology_(tells_topology) {}

  /// The whole requests in `written` are taken out of it, and answered. A byte of `flavours` for each says how: 0, or
  /// none left, as it should be; see flavoured() for others.
  std::string answer(std::string& written, std::string_view flavours);

 private:
  std::string proper(const Words& words);
  std::string in_transaction(const Words& words);
  std::string plain(const Words& words);
  std::string handshake(const Words& words);
  std::string subscription(const Words& words, std::string_view name);
  std::string cluster(const Words& words) const;
  std::string flavoured(const Words& words, uint8_t flavour);

  bool is_b_ = false, tells_topology_ = false;
  bool resp3_ = false;
  bool queueing_ = false;
  size_t subscriptions_ = 0;
  std::vector<std::string> queued_;  // their replies
};

}  // namespace corral::fuzz

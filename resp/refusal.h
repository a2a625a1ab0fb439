// Errors by which a node says that it did not execute a command and that it may be sent again, elsewhere or later.
// Source: Redis Cluster specification, "MOVED Redirection", "ASK redirection"; cluster.c clusterRedirectClient.
#pragma once

#include <cstdint>
#include <string_view>

namespace corral::resp {

enum class RefusalKind : uint8_t { kNone, kMoved, kAsk, kTryAgain, kClusterDown, kLoading, kReadOnly, kMasterDown };

struct Refusal {
  RefusalKind kind = RefusalKind::kNone;
  uint16_t slot = 0;      // of MOVED and ASK
  std::string_view host;  // of MOVED and ASK; empty: the host of the node that answered. IPv6 without brackets.
  uint16_t port = 0;
};

/// Reads an error reply ("-MOVED 3999 127.0.0.1:6381\r\n"). kNone for any other error, and for one that is malformed.
Refusal parse_refusal(std::string_view reply);

}  // namespace corral::resp

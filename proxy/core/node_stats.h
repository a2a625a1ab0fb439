// What one worker counts of one node. Only its own thread adds.
#pragma once

#include "proxy/core/latency.h"

namespace corral::core {

struct NodeStats {
  LatencyHistogram times;  // from the turn that handed a request to a connection to the one that read its reply
  Counter failures;        // of connections
  Counter moved, asked;    // redirections that it answered
};

}  // namespace corral::core

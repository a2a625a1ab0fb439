// What has changed from one map of the cluster to the next, in words.
#pragma once

#include <functional>
#include <string>

#include "proxy/core/event_log.h"
#include "proxy/core/slot_map.h"

namespace corral::core {

/// Adds what is worth telling to `events`. `name` tells a node to people.
void tell_changes(const SlotMap& before, const SlotMap& after, const std::function<std::string(NodeId)>& name,
                  int64_t now_us, EventLog& events);

}  // namespace corral::core

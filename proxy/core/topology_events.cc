#include "proxy/core/topology_events.h"

#include <algorithm>
#include <map>
#include <utility>

namespace corral::core {

namespace {

bool has_slots(const SlotMap& map, NodeId node) {
  return std::find(map.owner.begin(), map.owner.end(), node) != map.owner.end();
}

std::string slots_text(uint32_t count) { return std::to_string(count) + (count == 1 ? " slot" : " slots"); }

// Another node has taken the place of a master: it had no slots, and who had them has none any more.
bool is_failover(const SlotMap& before, const SlotMap& after, NodeId from, NodeId to) {
  return !has_slots(before, to) && !has_slots(after, from);
}

}  // namespace

void tell_changes(const SlotMap& before, const SlotMap& after, const std::function<std::string(NodeId)>& name,
                  int64_t now_us, EventLog& events) {
  if (before.version == 0) {
    events.add(now_us, EventKind::kTopology, false,
               "the topology is known: " + std::to_string(after.masters.size()) + " masters with slots");
    return;
  }
  std::map<std::pair<NodeId, NodeId>, uint32_t> moved;
  for (size_t slot = 0; slot < resp::kSlots; ++slot) {
    if (before.owner[slot] != after.owner[slot]) ++moved[{before.owner[slot], after.owner[slot]}];
  }
  for (const auto& [pair, count] : moved) {
    const auto [from, to] = pair;
    if (to == kNoNode) {
      events.add(now_us, EventKind::kTopology, true, slots_text(count) + " of " + name(from) + " have no owner now");
    } else if (from == kNoNode) {
      events.add(now_us, EventKind::kTopology, false, slots_text(count) + " without an owner are now at " + name(to));
    } else if (is_failover(before, after, from, to)) {
      events.add(now_us, EventKind::kFailover, false,
                 name(to) + " is the master in place of " + name(from) + " (" + slots_text(count) + ")");
    } else {
      events.add(now_us, EventKind::kTopology, false,
                 slots_text(count) + " moved from " + name(from) + " to " + name(to));
    }
  }
  for (const NodeId node : before.sound) {
    const bool known = std::find(after.failed.begin(), after.failed.end(), node) != after.failed.end();
    if (known) events.add(now_us, EventKind::kTopology, true, name(node) + " has failed, says the cluster");
  }
  for (const NodeId node : after.sound) {
    const bool failed = std::find(before.failed.begin(), before.failed.end(), node) != before.failed.end();
    if (failed) events.add(now_us, EventKind::kTopology, false, name(node) + " is back, says the cluster");
  }
}

}  // namespace corral::core

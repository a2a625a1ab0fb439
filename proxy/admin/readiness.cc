#include "proxy/admin/readiness.h"

#include <algorithm>

#include "config/units.h"

namespace corral::admin {

std::string why_not_ready(const core::Process& process, const core::WorkerSnapshot& snapshot) {
  const core::SlotMapPtr map = process.slot_map();
  if (map->version == 0) return "the topology of the upstream is not known";
  if (const auto unowned = std::count(map->owner.begin(), map->owner.end(), core::kNoNode); unowned > 0) {
    return std::to_string(unowned) + " slots have no owner";
  }
  for (const auto& master : map->masters) {
    const auto node = snapshot.nodes.find(master.id);
    if (node == snapshot.nodes.end() || node->second.reachable()) continue;
    return config::format_address(process.node_address(master.id)) + " cannot be reached; it owns " +
           std::to_string(master.slots) + " slots";
  }
  return {};
}

}  // namespace corral::admin

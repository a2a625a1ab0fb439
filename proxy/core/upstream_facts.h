// What the upstream says of itself: its version, and whether it is of the kind that the settings call it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "proxy/core/slot_map.h"

namespace corral::core {

class Worker;

/// Asks a master, over the control connection, and tells the process. `failed` is called if it did not answer.
void ask_upstream_facts(Worker& worker, NodeId master, std::function<void()> failed);

/// The value of `name`, colon included, in the text of INFO.
std::string info_field(std::string_view text, std::string_view name);

}  // namespace corral::core

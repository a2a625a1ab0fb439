// Whether clients can be served: every slot has an owner that can be reached.
#pragma once

#include <string>

#include "proxy/core/process.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

/// Empty if so, else one line that says why not.
std::string why_not_ready(const core::Process& process, const core::WorkerSnapshot& snapshot);

}  // namespace corral::admin

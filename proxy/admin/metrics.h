// The metrics, in Prometheus' text form.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats, https://prometheus.io/docs/practices/naming
#pragma once

#include <string>

#include "proxy/admin/process_facts.h"
#include "proxy/core/process.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

/// `snapshot`: of all workers.
std::string metrics_text(core::Process& process, const core::WorkerSnapshot& snapshot, const ProcessFacts& facts);

}  // namespace corral::admin

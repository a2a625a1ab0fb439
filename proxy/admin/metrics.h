// The metrics, in Prometheus' text form.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats, https://prometheus.io/docs/practices/naming
#pragma once

#include <string>

#include "proxy/admin/process_facts.h"
#include "proxy/core/process.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

/// What of each worker the metrics are made of. A key that is hot everywhere may be among the first ten of none.
inline constexpr core::SnapshotWish kMetricsWish{.clients = 0, .hot_keys = 100, .big_keys = 100};

/// `snapshot`: of all workers.
std::string metrics_text(core::Process& process, const core::WorkerSnapshot& snapshot, const ProcessFacts& facts);

}  // namespace corral::admin

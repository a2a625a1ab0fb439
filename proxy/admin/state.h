// All that the live page shows, as JSON.
#pragma once

#include <string>
#include <vector>

#include "proxy/admin/history.h"
#include "proxy/admin/process_facts.h"
#include "proxy/core/process.h"
#include "proxy/core/slow_log.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

struct View {
  core::Process& process;
  const core::WorkerSnapshot& snapshot;
  const History& history;
  const std::vector<core::SlowEntry>& slow_log;
  const ProcessFacts& facts;
  bool draining = false;
};

/// `whole`: with all points of the history, else with the latest.
std::string state_json(const View& view, bool whole);

}  // namespace corral::admin

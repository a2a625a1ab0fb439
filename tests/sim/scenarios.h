// The scenarios that tests/sim runs by default.
#pragma once

#include "simulation.h"

namespace corral::sim {

/// Nothing goes wrong: not a single error.
Scenario steady_state();
/// Slots move back and forth all the time: not a single error, and every counter exact.
Scenario resharding_storm();
/// Keys of a slot are on two nodes for long, and requests for several of them come: they wait it out, or are cut up.
Scenario tryagain_windows();
/// Slots begin to move and stay after all.
Scenario cancelled_migrations();
/// Replicas take over from masters that die or step down.
Scenario failover();
/// Connections to the nodes break, before or after what was on its way has run; nodes refuse connections or service.
Scenario breaking_connections();
/// Connections to the nodes become half open, and what was on its way arrives late, if it can.
Scenario half_open_connections();
/// Clients that do not read, within small limits, and clients that go away.
Scenario slow_clients();
/// Two workers: slots move, connections break, clients go away.
Scenario two_workers();
/// All of it at once.
Scenario everything();

}  // namespace corral::sim

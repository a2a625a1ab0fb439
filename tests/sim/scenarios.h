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
/// Keys with TTLs are read and written through the near cache, and past it.
Scenario near_cache();
/// Likewise through two processes of two workers.
Scenario near_two_proxies();
/// Likewise while the caches are narrowed and widened.
Scenario near_narrowed();
/// Likewise while slots move, connections break, and nodes forget what they track.
Scenario near_moving();
/// Likewise with half-open connections, failovers, and slots that are given away.
Scenario near_blind();
/// Cache-aside clients and leases.
Scenario leases();
/// Likewise, and what is past its soft TTL is served while one computes, or one computes before.
Scenario leases_soft();
/// Leases that hold for two proxies.
Scenario leases_of_a_fleet();
/// Leases while connections break, slots move and clients vanish.
Scenario leases_breaking();
/// Transactions, queues and channels.
Scenario sessions();
/// Likewise while slots move, connections break, replicas take over and clients vanish.
Scenario sessions_breaking();

const std::vector<Scenario>& all_scenarios();

}  // namespace corral::sim

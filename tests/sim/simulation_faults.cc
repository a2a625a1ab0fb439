// What goes wrong in a run, and what others do to the cluster past the proxies.
#include "resp/slot.h"
#include "simulation.h"

namespace corral::sim {

void Simulation::repeat(int64_t every_us, std::function<void()> action) {
  if (every_us == 0) return;
  loop_.after(random().between(0, 2 * every_us), [this, every_us, action] {
    if (loop_.now_us() > scenario_.faults_us) return;
    action();
    repeat(every_us, action);
  });
}

void Simulation::start_faults() {
  repeat(scenario_.migration_every_us, [this] { start_migration(); });
  repeat(scenario_.failover_every_us, [this] { start_failover(); });
  repeat(scenario_.break_every_us, [this] { break_some(false); });
  repeat(scenario_.hang_every_us, [this] { break_some(true); });
  repeat(scenario_.refuse_every_us, [this] { refuse_for_a_while(); });
  repeat(scenario_.down_every_us, [this] { refuse_everything_for_a_while(); });
  repeat(scenario_.direct_every_us, [this] { write_directly(); });
  repeat(scenario_.give_away_every_us, [this] { give_away(); });
  repeat(scenario_.near_turn_every_us, [this] { turn_near_cache(); });
}

void Simulation::start_migration() {
  const auto masters = cluster_.masters();
  if (masters.empty()) return;
  const std::string& tag = tags_[random().below(tags_.size())];
  const int to = masters[random().below(masters.size())];
  cluster_.migrate(resp::key_slot(tag), to, scenario_.migration_pace_us,
                   scenario_.migrations_cancel && random().chance(30));
}

void Simulation::give_away() {
  const auto masters = cluster_.masters();
  if (masters.empty()) return;
  const std::string& tag = tags_[random().below(tags_.size())];
  cluster_.give_away(resp::key_slot(tag), masters[random().below(masters.size())]);
}

void Simulation::turn_near_cache() {
  policy::NearCache& cache = *proxies_[random().below(proxies_.size())]->process->near_cache();
  cache.turn(!policy::NearCache::is_narrow(cache.era()));
}

// A lease may end by that, some time after.
void Simulation::write_directly() {
  const std::string& tag = tags_[random().below(tags_.size())];
  const bool is_aside = scenario_.cache_asides > 0 && random().chance(50);
  const uint64_t keys = is_aside ? scenario_.actors.keys : 4;
  const std::string key = (is_aside ? "a{" : "n{") + tag + "}:" + std::to_string(random().below(keys));
  const std::string value = make_value(key, kDirectWriter, ++direct_values_, 0);
  const std::string ttl = std::to_string(random().between(1, 300));
  const uint64_t dice = random().below(4);
  if (is_aside) checker_.leases().on_write_sent(key);
  if (dice == 0) cluster_.run_directly({"DEL", key});
  if (dice == 1) cluster_.run_directly({"SET", key, value, "PX", ttl});
  if (dice == 2) cluster_.run_directly({"SET", key, value});
  if (dice == 3) cluster_.run_directly({"PEXPIRE", key, ttl});
  if (!is_aside) return;
  loop_.after(checker_.log().bound_us, [this, key] { checker_.leases().on_write_over(key, false, loop_.now_us()); });
}

void Simulation::start_failover() {
  const auto masters = cluster_.masters();
  if (masters.empty()) return;
  const bool crash = random().chance(60);
  cluster_.fail_over(masters[random().below(masters.size())], crash, crash && random().chance(40));
}

void Simulation::break_some(bool hang) {
  std::vector<Connection*> candidates;
  for (const auto& each : network_.connections()) {
    if (each->serves_node()) candidates.push_back(each.get());
  }
  if (candidates.empty()) return;
  Connection& chosen = *candidates[random().below(candidates.size())];
  if (!hang) return chosen.break_off(random().chance(50));
  chosen.hang(random().between(1000, 3 * scenario_.request_timeout_ms * 1000), random().chance(70));
}

void Simulation::refuse_for_a_while() {
  SimNode& node = cluster_.node(static_cast<int>(random().below(static_cast<uint64_t>(cluster_.size()))));
  node.refusing = true;
  loop_.after(random().between(0, 100'000), [&node] { node.refusing = false; });
}

void Simulation::refuse_everything_for_a_while() {
  SimNode& node = cluster_.node(static_cast<int>(random().below(static_cast<uint64_t>(cluster_.size()))));
  bool& refusal = random().chance(50) ? node.upset_down : node.upset_loading;
  refusal = true;
  loop_.after(random().between(0, 50'000), [&refusal] { refusal = false; });
}

}  // namespace corral::sim

#include "proxy/core/topology_keeper.h"

#include <algorithm>
#include <string>

#include "proxy/core/upstream_facts.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr uint32_t kLeastGapMs = 100;
constexpr uint32_t kRoundMs = 1000;  // after this the answers that came must do

std::unique_ptr<TopologySource> make_source(Worker& worker, TopologyKeeper& keeper) {
  const std::string& mode = worker.settings().upstream.mode;
  if (mode == "standalone") return make_standalone_source(worker);
  if (mode == "sentinel") return make_sentinel_source(worker, [&keeper] { keeper.request_refresh(); });
  return make_cluster_source(worker);
}

}  // namespace

TopologyKeeper::TopologyKeeper(Worker& worker) : worker_(worker), source_(make_source(worker, *this)) {}

void TopologyKeeper::request_refresh() {
  if (worker_.stopping()) return;
  if (asking_) {
    again_ = true;
    return;
  }
  if (scheduled_) return;
  scheduled_ = true;
  const uint32_t gap = std::min(source_->pace().most_gap_ms, kLeastGapMs << std::min(failures_, 5u));
  const uint32_t since = worker_.now_ms() - started_ms_;
  worker_.after(since >= gap ? 0 : gap - since, [this] {
    scheduled_ = false;
    if (!asking_ && !worker_.stopping()) start_round();
  });
}

void TopologyKeeper::start_round() {
  started_ms_ = worker_.now_ms();
  again_ = false;
  asking_ = true;
  if (!limited_) conclude_after(kRoundMs);
  source_->ask([this](const std::optional<ClusterView>& view) { finish_round(view); });
}

void TopologyKeeper::finish_round(const std::optional<ClusterView>& view) {
  asking_ = false;
  if (!view) {
    ++failures_;
    return request_refresh();
  }
  failures_ = 0;
  if (SlotMapPtr map = worker_.process().publish(*view, worker_.transport().wall_clock_us())) {
    worker_.transport().log(LogLevel::kInfo, "topology " + std::to_string(map->version) + ": " +
                                                 std::to_string(map->masters.size()) + " masters with slots");
    worker_.share_map(map);
  }
  ask_facts();
  if (again_) return request_refresh();
  if (!timed_) refresh_after(source_->pace().interval_ms);
}

// As below, there is one timer for all rounds.
void TopologyKeeper::conclude_after(uint32_t delay_ms) {
  limited_ = true;
  worker_.after(delay_ms, [this] {
    limited_ = false;
    if (!asking_ || worker_.stopping()) return;
    const uint32_t since = worker_.now_ms() - started_ms_;
    since >= kRoundMs ? source_->conclude() : conclude_after(kRoundMs - since);
  });
}

// There is one timer, however many rounds there are for other reasons.
void TopologyKeeper::refresh_after(uint32_t delay_ms) {
  timed_ = true;
  worker_.after(delay_ms, [this] {
    timed_ = false;
    if (worker_.stopping()) return;
    const uint32_t interval = source_->pace().interval_ms, since = worker_.now_ms() - started_ms_;
    since >= interval ? request_refresh() : refresh_after(interval - since);
  });
}

// Asks a master what it is: as soon as one is known, and again from time to time, since it may be replaced by another
// version.
void TopologyKeeper::ask_facts() {
  const auto& masters = worker_.map().masters;
  if (masters.empty()) return;
  const int64_t age_ms = worker_.now_ms() - facts_asked_ms_;
  if (facts_from_ == masters[0].id && age_ms < worker_.settings().upstream.refresh_interval_ms) return;
  facts_from_ = masters[0].id;
  facts_asked_ms_ = worker_.now_ms();
  ask_upstream_facts(worker_, facts_from_, [this] { facts_from_ = kNoNode; });
}

}  // namespace corral::core

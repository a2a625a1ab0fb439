#include "proxy/core/topology_keeper.h"

#include <algorithm>

#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::ReplyView;

namespace {

constexpr size_t kAskedAtOnce = 5;
constexpr uint32_t kLeastGapMs = 100;
constexpr uint32_t kMostGapMs = 2000;
constexpr uint32_t kRoundMs = 1000;  // after this the answers that came must do

// The value of "name:" in a reply of INFO.
std::string info_field(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return {};
  const size_t from = at + name.size();
  return std::string(text.substr(from, text.find_first_of("\r\n", from) - from));
}

class VersionTask final : public Task {
 public:
  explicit VersionTask(Worker& worker) : worker_(worker) {}
  void on_reply(uint32_t, std::string_view bytes) override {
    std::string version = info_field(ReplyView(bytes).text(), "redis_version:");
    if (!version.empty()) worker_.process().set_upstream_version(std::move(version));
    delete this;
  }

 private:
  Worker& worker_;
};

}  // namespace

/// The nodes that are asked at once. Lives until each has answered; what comes after finish() is of no use any more.
class TopologyKeeper::Round final : public Task {
 public:
  Round(TopologyKeeper& keeper, std::vector<NodeId> nodes) : keeper_(keeper), nodes_(std::move(nodes)) {}

  // The reply may come before send_to_node() returns, so the round is done only when all are asked.
  void start() {
    awaited_ = static_cast<uint32_t>(nodes_.size()) + 1;
    for (uint32_t i = 0; i < nodes_.size(); ++i) ask(i, "SHARDS");
    done_one();
  }

  void on_reply(uint32_t part, std::string_view bytes) override {
    const uint32_t index = part % kSlotsPart;
    const ReplyView reply(bytes);
    const bool by_slots = part >= kSlotsPart;
    if (!by_slots && reply.text().starts_with("ERR ")) {
      return ask(index + kSlotsPart, "SLOTS");
    }
    const config::Address source = keeper_.worker_.process().node_address(nodes_[index]);
    auto view = by_slots ? parse_cluster_slots(reply, source) : parse_cluster_shards(reply, source);
    if (view && !view->nodes.empty()) views_.push_back(*std::move(view));
    done_one();
  }

  void finish() {
    if (finished_) return;
    finished_ = true;
    keeper_.finish_round(views_);
  }

  bool has_views() const { return !views_.empty(); }

 private:
  static constexpr uint32_t kSlotsPart = 1u << 16;  // added to a part's number: it was asked for SLOTS

  void ask(uint32_t part, std::string_view what) {
    std::string bytes;
    resp::append_command(bytes, {"CLUSTER", what});
    Request request;
    request.task = this;
    request.ticket = part;
    request.flags = kReadOnly;
    keeper_.worker_.send_to_node(request, nodes_[part % kSlotsPart], bytes, true);
  }

  void done_one() {
    if (--awaited_ > 0) return;
    finish();
    delete this;
  }

  TopologyKeeper& keeper_;
  const std::vector<NodeId> nodes_;
  uint32_t awaited_ = 0;
  bool finished_ = false;
  std::vector<ClusterView> views_;
};

void TopologyKeeper::start() {
  known_ = worker_.settings().upstream.seeds;
  start_round();
}

void TopologyKeeper::request_refresh() {
  if (worker_.stopping()) return;
  if (round_) {
    again_ = true;
    return;
  }
  if (scheduled_) return;
  scheduled_ = true;
  const uint32_t gap = std::min(kMostGapMs, kLeastGapMs << std::min(failures_, 5u));
  const uint32_t since = worker_.now_ms() - started_ms_;
  worker_.after(since >= gap ? 0 : gap - since, [this] {
    scheduled_ = false;
    if (!round_ && !worker_.stopping()) start_round();
  });
}

void TopologyKeeper::start_round() {
  started_ms_ = worker_.now_ms();
  again_ = false;
  auto* round = new Round(*this, choose_nodes());
  round_ = round;
  const uint32_t started = started_ms_;
  worker_.after(kRoundMs, [this, round, started] {
    if (round_ == round && started_ms_ == started) round->finish();
  });
  round->start();
}

void TopologyKeeper::finish_round(const std::vector<ClusterView>& views) {
  round_ = nullptr;
  if (views.empty()) {
    ++failures_;
    return request_refresh();
  }
  failures_ = 0;
  const ClusterView view = majority(views);
  learn(view);
  if (SlotMapPtr map = worker_.process().publish(view, worker_.transport().wall_clock_us())) {
    worker_.transport().log(LogLevel::kInfo, "topology " + std::to_string(map->version) + ": " +
                                                 std::to_string(map->masters.size()) + " masters with slots");
    worker_.share_map(map);
  }
  if (!version_known_) ask_version();
  if (again_) return request_refresh();
  const uint32_t number = ++timer_;
  const auto interval = static_cast<uint32_t>(worker_.settings().upstream.refresh_interval_ms);
  worker_.after(interval, [this, number] {
    if (number == timer_) request_refresh();
  });
}

// Masters first, in random order; then, further on each time that nobody answered, all addresses known.
std::vector<NodeId> TopologyKeeper::choose_nodes() {
  std::vector<NodeId> nodes;
  Process& process = worker_.process();
  if (failures_ == 0) {
    for (const auto& master : worker_.map().masters) nodes.push_back(master.id);
    for (size_t i = nodes.size(); i > 1; --i) std::swap(nodes[i - 1], nodes[worker_.transport().random() % i]);
  }
  if (nodes.size() > kAskedAtOnce) nodes.resize(kAskedAtOnce);
  const bool masters_known = !nodes.empty();
  for (size_t i = 0; !masters_known && i < known_.size() && nodes.size() < kAskedAtOnce; ++i) {
    const NodeId id = process.node_id(known_[(next_known_ + i) % known_.size()]);
    if (std::find(nodes.begin(), nodes.end(), id) == nodes.end()) nodes.push_back(id);
  }
  if (failures_ > 0) next_known_ = (next_known_ + kAskedAtOnce) % known_.size();
  return nodes;
}

void TopologyKeeper::learn(const ClusterView& view) {
  for (const auto& node : view.nodes) {
    if (std::find(known_.begin(), known_.end(), node.address) == known_.end()) known_.push_back(node.address);
  }
}

void TopologyKeeper::ask_version() {
  const auto& masters = worker_.map().masters;
  if (masters.empty()) return;
  version_known_ = true;
  std::string bytes;
  resp::append_command(bytes, {"INFO", "server"});
  Request request;
  request.task = new VersionTask(worker_);
  request.flags = kReadOnly;
  worker_.send_to_node(request, masters[0].id, bytes, true);
}

}  // namespace corral::core

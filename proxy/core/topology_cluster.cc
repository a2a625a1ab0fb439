// The nodes of a Redis Cluster: what the majority of several of them says counts.
//
// Up to five nodes are asked at a time (masters that own slots first), with CLUSTER SHARDS or, where a node does not
// know that, CLUSTER SLOTS. If none answers, the next round asks others: the seeds, and every address that was learnt,
// but for those that have not been a node's for long.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/topology_source.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::ReplyView;

namespace {

constexpr size_t kAskedAtOnce = 5;
constexpr uint32_t kMostGapMs = 2000;
constexpr size_t kFormerNodes = 64;  // addresses remembered that are no node's any more

class ClusterSource final : public TopologySource {
 public:
  explicit ClusterSource(Worker& worker) : worker_(worker), known_(worker.settings().upstream.seeds) {}

  Pace pace() const override {
    return {static_cast<uint32_t>(worker_.settings().upstream.refresh_interval_ms), kMostGapMs};
  }
  void ask(Done done) override;
  void conclude() override;

 private:
  class Round;

  void finish(const Round& round);
  std::vector<NodeId> choose_nodes();
  void learn(const ClusterView& view);

  Worker& worker_;
  std::vector<config::Address> known_;  // seeds first, then as learnt
  size_t next_known_ = 0;               // where to go on when none answered
  bool answered_ = true;                // the last round
  Round* round_ = nullptr;              // the one under way
  Done done_;
};

/// The nodes that are asked at once. Lives until each has answered; what comes after finish() is of no use any more.
class ClusterSource::Round final : public Task {
 public:
  Round(ClusterSource& source, std::vector<NodeId> nodes) : source_(source), nodes_(std::move(nodes)) {}

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
    const config::Address source = source_.worker_.process().node_address(nodes_[index]);
    const bool tls = source_.worker_.settings().upstream.tls.has_value();
    auto view = by_slots ? parse_cluster_slots(reply, source) : parse_cluster_shards(reply, source, tls);
    if (view && !view->nodes.empty()) views_.push_back(*std::move(view));
    if (by_slots && reply.is_error()) {
      refusal_ = source.host + ':' + std::to_string(source.port) + ": " + std::string(reply.text());
    }
    done_one();
  }

  void finish() {
    if (!std::exchange(finished_, true)) source_.finish(*this);
  }

  const std::vector<ClusterView>& views() const { return views_; }
  const std::string& refusal() const { return refusal_; }

 private:
  static constexpr uint32_t kSlotsPart = 1u << 16;  // added to a part's number: it was asked for SLOTS

  void ask(uint32_t part, std::string_view what) {
    std::string bytes;
    resp::append_command(bytes, {"CLUSTER", what});
    Request request;
    request.task = this;
    request.ticket = part;
    request.flags = kReadOnly;
    source_.worker_.send_to_node(request, nodes_[part % kSlotsPart], bytes, true);
  }

  void done_one() {
    if (--awaited_ > 0) return;
    finish();
    delete this;
  }

  ClusterSource& source_;
  const std::vector<NodeId> nodes_;
  uint32_t awaited_ = 0;
  bool finished_ = false;
  std::vector<ClusterView> views_;
  std::string refusal_;  // what a node said that knows neither command
};

void ClusterSource::ask(Done done) {
  done_ = std::move(done);
  round_ = new Round(*this, choose_nodes());
  round_->start();
}

void ClusterSource::conclude() {
  if (round_) round_->finish();
}

void ClusterSource::finish(const Round& round) {
  round_ = nullptr;
  std::optional<ClusterView> view;
  if (!round.views().empty()) view = majority(round.views());
  if (view) learn(*view);
  if (!view && answered_ && !round.refusal().empty()) {
    worker_.transport().log(LogLevel::kError, "no topology of the cluster: " + round.refusal());
  }
  answered_ = view.has_value();
  std::exchange(done_, {})(view);
}

// Masters first, in random order; then, further on each time that nobody answered, all addresses known.
std::vector<NodeId> ClusterSource::choose_nodes() {
  std::vector<NodeId> nodes;
  Process& process = worker_.process();
  if (answered_) {
    for (const auto& master : worker_.map().masters) {
      if (!worker_.control_link_failing(master.id)) nodes.push_back(master.id);  // a round waits for all that it asks
    }
    for (size_t i = nodes.size(); i > 1; --i) std::swap(nodes[i - 1], nodes[worker_.transport().random() % i]);
  }
  // Those that answer may be the fewer ones of a cluster that has been divided.
  if (answered_ && !nodes.empty() && nodes.size() <= worker_.map().masters.size() / 2) {
    for (const auto& master : worker_.map().masters) {
      if (worker_.control_link_failing(master.id)) nodes.push_back(master.id);
    }
  }
  if (nodes.size() > kAskedAtOnce) nodes.resize(kAskedAtOnce);
  const bool masters_known = !nodes.empty();
  for (size_t i = 0; !masters_known && i < known_.size() && nodes.size() < kAskedAtOnce; ++i) {
    const NodeId id = process.node_id(known_[(next_known_ + i) % known_.size()]);
    if (std::find(nodes.begin(), nodes.end(), id) == nodes.end()) nodes.push_back(id);
  }
  if (!answered_) next_known_ = (next_known_ + kAskedAtOnce) % known_.size();
  return nodes;
}

// Seeds, the nodes that there are, and the last of those that there were.
void ClusterSource::learn(const ClusterView& view) {
  std::vector<config::Address> known = worker_.settings().upstream.seeds;
  const auto add = [&](const config::Address& address) {
    if (std::find(known.begin(), known.end(), address) == known.end()) known.push_back(address);
  };
  for (const auto& node : view.nodes) add(node.address);
  const size_t most = known.size() + kFormerNodes;
  for (const auto& address : known_) {
    if (known.size() < most) add(address);
  }
  known_ = std::move(known);
}

}  // namespace

std::unique_ptr<TopologySource> make_cluster_source(Worker& worker) { return std::make_unique<ClusterSource>(worker); }

}  // namespace corral::core

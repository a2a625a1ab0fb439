#include "proxy/core/health.h"

#include <algorithm>

#include "config/units.h"
#include "proxy/core/worker.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"
#include "resp/slot_tag.h"

namespace corral::core {

namespace {

constexpr uint32_t kProbeGapMs = 500;  // between probes of one node for the sake of silent connections
constexpr uint32_t kRefreshMs = 250;   // the topology is asked for so often while a node is given up

// It is there, but serves nobody.
bool serves_nobody(std::string_view reply) {
  using resp::RefusalKind;
  const RefusalKind kind = resp::parse_refusal(reply).kind;
  return kind == RefusalKind::kClusterDown || kind == RefusalKind::kLoading || kind == RefusalKind::kMasterDown;
}

}  // namespace

class Health::Probe final : public Task {
 public:
  Probe(Health& health, NodeId node) : health_(health), node_(node) {}
  void on_reply(uint32_t, std::string_view reply) override {
    health_.on_probe(node_, reply);
    delete this;
  }

 private:
  Health& health_;
  const NodeId node_;
};

Health::Node& Health::obtain(NodeId node) {
  if (nodes_.size() <= node) nodes_.resize(node + 1u);
  return nodes_[node];
}

std::string Health::refusal(NodeId node, uint16_t slot) const {
  const std::string& reason = nodes_[node].reason;
  if (serves_nobody(reason)) return reason;  // the node's own words
  const uint32_t seconds = (worker_.now_ms() - nodes_[node].breaker.since_ms()) / 1000;
  return "-CLUSTERDOWN no reachable owner of slot " + std::to_string(slot) + " (no answer for " +
         std::to_string(seconds) + " s: " + reason + ")\r\n";
}

void Health::on_failure(const Link& link, std::string_view reason) {
  const NodeId id = link.node();
  Node& node = obtain(id);
  node.reason = reason;
  if (!node.breaker.on_failure(worker_.now_ms(), worker_.settings().upstream.request_timeout_ms)) return;
  heard_since(id, node.breaker.since_ms()) ? node.breaker.on_answer() : open(id);
}

// Connections of one kind may fail, since the node does not speak that, while others serve.
bool Health::heard_since(NodeId node, uint32_t since_ms) {
  bool heard = false;
  const auto look = [&](const Link& link) {
    heard |= link.node() == node && link.ready() && static_cast<int32_t>(link.received_ms() - since_ms) > 0;
  };
  worker_.for_each_link(look);
  worker_.for_each_control_link(look);
  return heard;
}

void Health::open(NodeId node) {
  Node& state = obtain(node);
  const bool was_closed = state.breaker.closed();
  state.breaker.open(worker_.now_ms(), worker_.transport().random());
  if (!was_closed) return;
  worker_.stats().breakers_opened.add();
  log(LogLevel::kWarn, node, " does not answer: its requests get an error at once until it does");
  worker_.for_each_link([&](Link& link) {
    if (link.node() == node) link.on_node_given_up();
  });
}

void Health::on_answer(NodeId node) {
  if (node >= nodes_.size() || nodes_[node].breaker.failures() == 0) return;
  const bool was_closed = nodes_[node].breaker.closed();
  nodes_[node].breaker.on_answer();
  if (was_closed) return;
  log(LogLevel::kInfo, node, " answers again");
  worker_.for_each_link([&](Link& link) {
    if (link.node() == node) link.on_node_back();
  });
}

void Health::log(LogLevel level, NodeId node, std::string_view what) const {
  const config::Address address = worker_.process().node_address(node);
  const std::string text = "node " + config::format_address(address) + std::string(what);
  worker_.transport().log(level, text);
  worker_.process().events().add(worker_.transport().wall_clock_us(), EventKind::kLink, level != LogLevel::kInfo, text);
}

// --- probes ---

std::string Health::frame(NodeId node) const {
  const auto& masters = worker_.map().masters;
  const auto master = std::find_if(masters.begin(), masters.end(), [&](const auto& one) { return one.id == node; });
  std::string bytes;
  resp::append_command(bytes, {"EXISTS", resp::slot_tag(master == masters.end() ? 0 : master->first_slot)});
  return bytes;
}

void Health::probe(NodeId node) {
  Node& state = obtain(node);
  state.probing = true;
  state.probed_ms = worker_.now_ms();
  worker_.stats().probes.add();
  Request request;
  request.task = new Probe(*this, node);
  request.flags = kReadOnly;
  worker_.send_to_node(request, node, frame(node), true);  // may answer at once
}

// Whether the node or Corral itself has said so the connection tells: it does not outlive a failure.
void Health::on_probe(NodeId node, std::string_view reply) {
  Node& state = nodes_[node];
  state.probing = false;
  if (worker_.stopping()) return;
  const bool answered = worker_.control_link_ready(node);
  if (!state.breaker.closed()) {
    if (answered && !serves_nobody(reply)) return on_answer(node);
    if (answered) state.reason = reply;
    worker_.refresh_topology();
    return open(node);
  }
  if (!answered || reply.starts_with("-BUSY ")) return;
  if (serves_nobody(reply)) worker_.refresh_topology();
  const uint32_t probed_ms = state.probed_ms;
  worker_.for_each_link([&](Link& link) {
    if (link.node() == node) link.on_node_answered(probed_ms);
  });
}

void Health::suspect(const Link& link) {
  const Node& node = obtain(link.node());
  if (node.probing || !node.breaker.closed() || worker_.now_ms() - node.probed_ms < kProbeGapMs) return;
  probe(link.node());
}

void Health::probe_idle(Link& link) {
  worker_.stats().probes.add();
  Request request;
  request.flags = kDiscard | kNodeBound | kReadOnly;
  link.send(request, frame(link.node()));
}

// Another node may take over from one that was given up: that is not to be noticed late.
void Health::tick() {
  bool given_up = false;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].breaker.closed()) continue;
    const auto node = static_cast<NodeId>(i);
    if (!worker_.map().has(node)) {
      nodes_[i].breaker.on_answer();  // gone for good: if it comes back, then as if it were new
    } else if (!nodes_[i].probing && nodes_[i].breaker.begin_probe(worker_.now_ms())) {
      probe(node);
    }
    given_up |= !nodes_[i].breaker.closed();
  }
  if (!given_up || worker_.now_ms() - refreshed_ms_ < kRefreshMs) return;
  refreshed_ms_ = worker_.now_ms();
  worker_.refresh_topology();
}

}  // namespace corral::core

#include "proxy/core/tracking_targets.h"

#include <algorithm>
#include <string>

#include "proxy/core/tracking_clients.h"
#include "proxy/core/worker.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr std::string_view kPingFrame = "*1\r\n$4\r\nPING\r\n";
constexpr uint32_t kLogBlock = 256;

void tell(Worker& worker, NodeId node, LinkKind kind, std::string_view push) {
  const auto elements = resp::ReplyView(push).elements();
  std::vector<std::string_view> keys;
  for (const auto& key : elements[1].elements()) keys.push_back(key.text());
  worker.tracking().tell(node, kind, keys);
}

// What had been sent before it has been answered, or lost.
class Barrier final : public Task {
 public:
  Barrier(Worker& worker, const Link& link, std::string_view push)
      : worker_(worker), node_(link.node()), kind_(link.kind()), push_(push) {}

  void on_reply(uint32_t, std::string_view) override {
    tell(worker_, node_, kind_, push_);
    delete this;
  }

 private:
  Worker& worker_;
  const NodeId node_;
  const LinkKind kind_;
  const std::string push_;
};

}  // namespace

const TrackingTargets::Target* TrackingTargets::find(const Link& link) const {
  const auto it =
      std::find_if(targets_.begin(), targets_.end(), [&](const Target& target) { return target.link.get() == &link; });
  return it == targets_.end() ? nullptr : &*it;
}

Link& TrackingTargets::obtain(const Link& link) {
  for (const Target& target : targets_) {
    if (target.kind == link.kind() && target.link->node() == link.node()) return *target.link;
  }
  auto made = std::make_unique<Link>(worker_, link.node(), LinkKind(3, 0), link.address(), kLogBlock);
  targets_.push_back({link.kind(), std::move(made)});
  return *targets_.back().link;
}

std::string_view TrackingTargets::id_for(const Link& link) {
  Link& target = obtain(link);
  if (target.ready()) return target.id_at_node();
  if (!target.connected() && target.accepts()) {
    Request ping;
    ping.flags = kDiscard | kNodeBound | kReadOnly;
    target.send(ping, kPingFrame);
  }
  return {};
}

void TrackingTargets::for_each(const std::function<void(Link&)>& visit) {
  for (size_t i = 0; i < targets_.size(); ++i) visit(*targets_[i].link);
}

void TrackingTargets::forget_gone_nodes() {
  std::erase_if(targets_, [this](const Target& target) {
    const Link& link = *target.link;
    const Link* served = worker_.find_link(link.node(), target.kind);
    return !served && !worker_.map().has(link.node()) && link.unused_since(worker_.now_ms(), 0);
  });
}

void TrackingTargets::on_ready(const Link& target) {
  if (Link* link = worker_.find_link(target.node(), kind_of(target))) link->proceed();
}

void TrackingTargets::on_lost(const Link& target) {
  Link* link = worker_.find_link(target.node(), kind_of(target));
  if (link && link->begun()) link->fail("the connection for its invalidations was lost");
}

void TrackingTargets::on_push(const Link& target, std::string_view push) {
  Link* link = worker_.find_link(target.node(), kind_of(target));
  if (!link || !link->ready() || link->in_flight() == 0) return tell(worker_, target.node(), kind_of(target), push);
  Request request;
  request.task = new Barrier(worker_, *link, push);
  request.flags = kNodeBound | kReadOnly;
  link->send(request, kPingFrame);
}

}  // namespace corral::core

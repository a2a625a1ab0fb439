#include "proxy/core/slow_requests.h"

#include <algorithm>
#include <utility>

#include "config/units.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/slow_log.h"

namespace corral::core {

namespace {

// Of what was sent in one piece, the command that the client sent.
std::vector<std::string> shown_command(Worker& worker, std::string_view bytes) {
  std::vector<std::string> shown;
  while (!bytes.empty()) {
    const ParsedRequest parsed(worker, bytes);
    if (parsed.command().argc() == 0) break;
    bytes.remove_prefix(parsed.command().bytes().size());
    if (parsed.spec()) shown = shown_arguments(parsed.command(), *parsed.spec());
    if (parsed.spec() && parsed.spec()->handling != resp::Handling::kTransaction) break;
  }
  return shown;
}

}  // namespace

void SlowRequests::set_least_ms(int64_t least_ms) {
  const bool none = least_ms <= 0 || least_ms > UINT32_MAX;
  least_ms_.store(none ? UINT32_MAX : static_cast<uint32_t>(least_ms), std::memory_order_relaxed);
}

void SlowRequests::add(SlowRequest request) {
  const std::lock_guard lock(mutex_);
  request.id = next_id_++;
  entries_.push_front(std::move(request));
  if (entries_.size() > kMostKept) entries_.pop_back();
}

std::vector<SlowRequest> SlowRequests::entries(size_t most) const {
  const std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(std::min(most, entries_.size()))};
}

size_t SlowRequests::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void SlowRequests::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

void note_slow(Worker& worker, const Request& request, std::string_view bytes, NodeId node, uint64_t upstream_us,
               uint64_t lease_us) {
  // Of Corral's own, of who is gone, or of what may wait.
  if (!request.session || !request.session->open() || request.since_ms == 0 || (request.flags & kMayWait)) return;
  worker.stats().slow_requests.add();
  if (!worker.may_note_slow()) return;
  SlowRequest slow;
  slow.time_us = worker.transport().wall_clock_us();
  slow.upstream_us = upstream_us;
  slow.lease_us = lease_us;
  const uint64_t elapsed_us = uint64_t{worker.now_ms() - request.since_ms} * 1000;
  slow.duration_us = std::max(elapsed_us, upstream_us + lease_us);
  slow.queue_us = slow.duration_us - upstream_us - lease_us;
  slow.args = shown_command(worker, bytes);
  if (node != kNoNode) slow.node = config::format_address(worker.process().node_address(node));
  slow.client = request.session->addresses().peer;
  if (const Session::Details* details = request.session->details_if_any()) slow.client_name = details->name;
  worker.process().slow_requests().add(std::move(slow));
}

}  // namespace corral::core

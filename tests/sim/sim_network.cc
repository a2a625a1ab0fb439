#include "sim_network.h"

#include <algorithm>
#include <utility>

#include "sim_transport.h"

namespace corral::sim {

namespace {

constexpr size_t kLeastWindow = 512;  // a kernel takes a few KiB at once: a handshake is never cut

}  // namespace

Connection::Connection(SimTransport& transport, uint64_t id, const Quality& quality)
    : transport_(transport), loop_(transport.loop()), id_(id), quality_(quality) {}

std::string Connection::label() const {
  std::string text("#");
  return text += std::to_string(id_);
}

int64_t Connection::delay_us() { return quality_.latency_us + loop_.random().between(0, quality_.latency_us); }

size_t Connection::chunk(size_t waiting) {
  if (waiting < 2 || !loop_.random().chance(quality_.chop_percent)) return waiting;
  return loop_.random().chance(30) ? 1 : 1 + loop_.random().below(waiting);
}

// --- the core's end ---

void Connection::connect(Acceptor* acceptor, core::Endpoint* to) {
  endpoint = to;
  loop_.after(delay_us(), [this, acceptor] {
    if (acceptor && acceptor->unreachable()) return;
    if (!core_open_ || hung_) return;
    peer_ = acceptor ? acceptor->accept(*this) : nullptr;
    if (!peer_) return fail_core("connection refused", 0);
    transport_.ready([this] {
      if (!core_open_ || failing_ || hung_) return;
      connected_ = true;
      endpoint->on_connected();
    });
  });
}

size_t Connection::write(const iovec* parts, int count) {
  size_t given = 0, taken = 0;
  for (int i = 0; i < count; ++i) given += parts[i].iov_len;
  if (failing_) return given;  // as a real socket: the error is told later
  size_t room = quality_.window > to_peer_.bytes.size() ? quality_.window - to_peer_.bytes.size() : 0;
  for (int i = 0; i < count && room > 0; ++i) {
    const std::string_view part(static_cast<const char*>(parts[i].iov_base), std::min(parts[i].iov_len, room));
    loop_.hash(id_, part);
    to_peer_.bytes += part;
    taken += part.size();
    room -= part.size();
  }
  loop_.trace([&] {
    return "core -> #" + std::to_string(id_) + " " +
           readable(std::string_view(to_peer_.bytes).substr(to_peer_.bytes.size() - taken)) +
           (taken < given ? " (blocked)" : "");
  });
  if (taken < given) write_blocked_ = true;
  schedule_to_peer();
  return taken;
}

void Connection::set_reading(bool reading) {
  reading_ = reading;
  schedule_to_core();
}

void Connection::close() {
  loop_.trace([&] { return "core closes #" + std::to_string(id_); });
  core_open_ = false;
  to_core_.bytes.clear();
  to_peer_.fin = true;
  schedule_to_peer();
}

// Failures are events of their own, never told from within a call of the core.
void Connection::fail_core(std::string reason, int64_t delay) {
  if (failing_ || !core_open_) return;
  failing_ = true;
  loop_.after(delay, [this, reason = std::move(reason)] {
    transport_.ready([this, reason] {
      if (!core_open_) return;
      core_open_ = false;
      loop_.trace([&] { return label() + " fails: " + reason; });
      endpoint->on_failed(reason);
    });
  });
}

// --- the peer's end ---

void Connection::send(std::string_view bytes) {
  if (!core_open_ || failing_ || hung_ || to_core_.fin) return;
  to_core_.bytes += bytes;
  schedule_to_core();
}

void Connection::finish() {
  to_core_.fin = true;
  schedule_to_core();
}

void Connection::leave(bool abrupt) {
  peer_ = nullptr;
  peer_reading_ = true;  // what still comes is answered with a reset
  const bool unread = !to_peer_.bytes.empty();
  to_peer_.bytes.clear();
  if (hung_) return;
  if (abrupt || unread) return fail_core("connection reset by peer", delay_us());
  finish();
}

void Connection::set_peer_reading(bool reading) {
  peer_reading_ = reading;
  schedule_to_peer();
}

void Connection::end_peer() {
  if (Peer* peer = std::exchange(peer_, nullptr)) peer->on_closed(*this);
}

// --- bytes on their way ---

void Connection::schedule_to_peer() {
  if (to_peer_.scheduled || hung_ || !peer_reading_ || (to_peer_.bytes.empty() && !to_peer_.fin)) return;
  to_peer_.scheduled = true;
  loop_.after(delay_us(), [this] { deliver_to_peer(); });
}

void Connection::deliver_to_peer() {
  to_peer_.scheduled = false;
  if (hung_ || !peer_reading_) return;
  if (!peer_) {  // a closed socket answers with a reset
    if (!to_peer_.bytes.empty()) fail_core("connection reset by peer", delay_us());
    return to_peer_.bytes.clear();
  }
  if (!to_peer_.bytes.empty()) {
    const std::string part = to_peer_.bytes.substr(0, chunk(to_peer_.bytes.size()));
    to_peer_.bytes.erase(0, part.size());
    peer_->on_bytes(*this, part);
    tell_writable();
  }
  if (to_peer_.bytes.empty() && to_peer_.fin) return end_peer();
  schedule_to_peer();
}

void Connection::tell_writable() {
  if (!write_blocked_ || to_peer_.bytes.size() >= quality_.window) return;
  write_blocked_ = false;
  transport_.ready([this] {
    if (core_open_ && !failing_) endpoint->on_writable();
  });
}

void Connection::schedule_to_core() {
  const bool end_due = to_core_.fin && !to_core_.fin_told;
  if (to_core_.scheduled || hung_ || !core_open_ || !reading_ || (to_core_.bytes.empty() && !end_due)) return;
  to_core_.scheduled = true;
  loop_.after(delay_us(), [this] { transport_.ready([this] { deliver_to_core(); }); });
}

// The core gets a copy of exactly these bytes, so that a sanitizer sees whoever keeps a pointer to them.
void Connection::deliver_to_core() {
  to_core_.scheduled = false;
  if (hung_ || !core_open_ || !reading_ || failing_) return;
  if (!to_core_.bytes.empty()) {
    const size_t size = chunk(to_core_.bytes.size());
    const std::vector<char> part(to_core_.bytes.begin(), to_core_.bytes.begin() + static_cast<ptrdiff_t>(size));
    to_core_.bytes.erase(0, size);
    loop_.trace([&] { return label() + " -> core " + readable({part.data(), part.size()}); });
    endpoint->on_bytes(part.data(), part.size());
  } else if (to_core_.fin && !to_core_.fin_told) {
    to_core_.fin_told = true;
    loop_.trace([&] { return label() + " ends"; });
    endpoint->on_end();
  }
  schedule_to_core();
}

// --- faults ---

void Connection::break_off(bool deliver) {
  loop_.trace([&] { return "fault: #" + std::to_string(id_) + " breaks" + (deliver ? ", bytes arrive" : ""); });
  to_core_.bytes.clear();
  to_core_.fin = true;  // no answer is taken any more
  to_core_.fin_told = true;
  if (deliver && peer_) peer_->on_bytes(*this, std::exchange(to_peer_.bytes, {}));
  to_peer_.bytes.clear();
  fail_core("connection reset", delay_us());
  end_peer();
}

void Connection::hang(int64_t duration_us, bool late) {
  loop_.trace([&] { return "fault: #" + std::to_string(id_) + " hangs" + (late ? ", bytes come late" : ""); });
  hung_ = true;
  to_core_.bytes.clear();
  loop_.after(duration_us, [this, late] { end_hang(late); });
}

void Connection::end_hang(bool late) {
  loop_.trace([&] { return "fault: #" + std::to_string(id_) + " hangs no more"; });
  hung_ = false;
  to_core_.fin = to_core_.fin_told = true;
  if (late && peer_) peer_->on_bytes(*this, std::exchange(to_peer_.bytes, {}));
  to_peer_.bytes.clear();
  fail_core("connection reset", delay_us());
  end_peer();
}

// --- the network ---

void SimNetwork::listen(const config::Address& address, Acceptor* acceptor) {
  acceptors_[{address.host, address.port}] = acceptor;
}

Acceptor* SimNetwork::find(const config::Address& address) const {
  const auto it = acceptors_.find({address.host, address.port});
  return it == acceptors_.end() ? nullptr : it->second;
}

Connection& SimNetwork::make(SimTransport& transport) {
  Quality drawn = quality;
  Random& random = loop_.random();
  drawn.latency_us = random.between(1, 2 * quality.latency_us);
  drawn.window = quality.window;
  if (random.chance(25)) drawn.window = std::min(quality.window, kLeastWindow + random.below(quality.window));
  connections_.push_back(std::make_unique<Connection>(transport, connections_.size() + 1, drawn));
  return *connections_.back();
}

}  // namespace corral::sim

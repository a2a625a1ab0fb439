// The worker's clients: how they come and go, and how many are active.
#include <utility>

#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr size_t kCheckShare = 10;
constexpr size_t kSpareInputs = 64, kSpareInputBytes = 64 * 1024;
constexpr uint32_t kWindowMs = 4;        // in which active clients are counted
constexpr uint32_t kEnoughInATurn = 32;  // requests, of which the writes to the nodes are well shared

}  // namespace

Session* Worker::accept(Socket* socket, ClientAddresses addresses) {
  const auto tell = [&](std::string_view why) {
    iovec part{const_cast<char*>(why.data()), why.size()};
    transport_.write(socket, &part, 1);
  };
  stats().connections.add();
  if (process_.clients() >= settings_.server.max_clients || draining_) {
    stats().clients_rejected.add();
    if (!draining_) tell("-ERR max number of clients reached\r\n");
    return nullptr;
  }
  if (!addresses.is_local && policies_->is_for_this_machine()) {
    stats().clients_denied.add();
    tell(kDenied);
    return nullptr;
  }
  if (!process_.count_address(addresses.peer)) {
    stats().clients_rejected_by_address.add();
    static constexpr std::string_view kTooManyThere = "-ERR max number of clients of this address reached\r\n";
    iovec part{const_cast<char*>(kTooManyThere.data()), kTooManyThere.size()};
    transport_.write(socket, &part, 1);
    return nullptr;
  }
  const uint64_t id = process_.next_client_id();
  auto session = std::make_unique<Session>(*this, id, socket, std::move(addresses));
  Session* result = session.get();
  access_.begin(*result);
  sessions_.emplace(id, std::move(session));
  board_.clients.fetch_add(1, std::memory_order_relaxed);
  return result;
}

Session* Worker::find_session(uint64_t id) {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : it->second.get();
}

void Worker::for_each_session(const std::function<void(Session&)>& visit) {
  for (const auto* sessions : {&sessions_, &lingering_}) {
    for (const auto& [id, session] : *sessions) visit(*session);
  }
}

// Called when its connection is closed, and again when the last request that refers to it is done.
void Worker::bury(Session* session) {
  std::unique_ptr<Session> owned;
  if (const auto it = sessions_.find(session->id()); it != sessions_.end()) {
    owned = std::move(it->second);
    sessions_.erase(it);
    board_.clients.fetch_sub(1, std::memory_order_relaxed);
    process_.uncount_address(session->addresses().peer);
  } else if (const auto other = lingering_.find(session->id()); other != lingering_.end()) {
    owned = std::move(other->second);
    lingering_.erase(other);
  }
  if (!owned) return;
  if (session->referenced()) {
    lingering_.emplace(session->id(), std::move(owned));
  } else {
    buried_.push_back(std::move(owned));
  }
}

void Worker::continue_later(Session* session) {
  if (session->resumable) return;
  session->resumable = true;
  resumable_.push_back(session->id());
}

// A tenth of them at a time, so that each is looked at once a second. While draining, all: they are to go soon.
void Worker::check_sessions() {
  size_t left = draining_ ? sessions_.size() : sessions_.size() / kCheckShare + 1;
  std::vector<Session*> some;
  auto it = sessions_.upper_bound(draining_ ? 0 : checked_);
  for (; it != sessions_.end() && left > 0; ++it, --left) some.push_back(it->second.get());
  checked_ = it == sessions_.end() ? 0 : some.back()->id();  // 0: from the first again
  for (Session* session : some) session->check(now_ms_, draining_);
  for (const auto& [id, session] : lingering_) session->drop_input();
}

std::unique_ptr<PartialInput> Worker::take_input() {
  if (spare_inputs_.empty()) return std::make_unique<PartialInput>();
  auto input = std::move(spare_inputs_.back());
  spare_inputs_.pop_back();
  return input;
}

void Worker::give_input(std::unique_ptr<PartialInput> input) {
  if (spare_inputs_.size() >= kSpareInputs || input->bytes.capacity() > kSpareInputBytes) return;
  input->bytes.clear();
  input->scanner.reset();
  spare_inputs_.push_back(std::move(input));
}

void Worker::drain() { draining_ = true; }

void Worker::log_closed(const Session& session, LogLevel level, std::string_view why) {
  uint32_t left_out = 0;
  if (!closed_log_.take(now64_ms_, left_out)) return;
  std::string line = "closed " + session.addresses().peer + ": ";
  line += why;
  if (left_out > 0) line += " (and " + std::to_string(left_out) + " others since the last such line)";
  transport_.log(level, line);
}

void Worker::count_active_clients() {
  const uint64_t requests = stats().requests.get();
  turn_requests_ = requests - std::exchange(requests_before_, requests);
  last_turn_sessions_ = std::exchange(turn_sessions_, 0);
  const uint32_t elapsed = now_ms_ - window_since_ms_;
  if (elapsed < kWindowMs) return;
  active_clients_ = static_cast<uint32_t>(uint64_t{window_sessions_} * kWindowMs / elapsed);
  window_sessions_ = 0;
  window_since_ms_ = now_ms_;
  ++window_;
}

bool Worker::wants_rest() const {
  return many_clients() && last_turn_sessions_ >= 2 && turn_requests_ < kEnoughInATurn && resumable_.empty();
}

}  // namespace corral::core

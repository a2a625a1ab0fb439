#include "core_world.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "fuzz_input.h"
#include "policy/lease_table.h"
#include "proxy/core/hold.h"
#include "proxy/core/leases.h"
#include "proxy/core/link.h"

namespace corral::fuzz {

using core::Session;
using core::Worker;

namespace {

constexpr int64_t kWallClockUs = 1'700'000'000'000'000;
constexpr int kMostRounds = 200;            // of answers to answers
constexpr int kMostTurns = 1000;            // without a rest
constexpr uint32_t kQuietMs = 70'000;       // all that is under way ends sooner; an idle connection lasts a minute
constexpr size_t kPeriodicTimers = 4;       // of a worker: the heartbeats', the topology's
constexpr size_t kSlackBytes = 512 * 1024;  // above the limits: blocks of memory are larger than what is in them

core::ClusterView cluster_view(bool one_owner) {
  core::ClusterView view;
  view.nodes = {{"aaaa", kNodeA, true}, {"bbbb", kNodeB, true}};
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) view.owner[slot] = one_owner || slot < resp::kSlots / 2 ? 0 : 1;
  if (one_owner) view.nodes.pop_back();
  return view;
}

// Of clients' requests. Of its own there may be some at any time, for ever to a node that once left out a reply.
uint64_t bytes_under_way(Worker& worker) {
  uint64_t bytes = worker.inflight_bytes();
  const auto look = [&](core::Link& link) {
    for (uint32_t i = 0; i < link.in_flight(); ++i) {
      if (!link.pending(i).request.session) bytes -= link.pending(i).size;
    }
  };
  worker.for_each_link(look);
  worker.for_each_control_link(look);
  return bytes;
}

}  // namespace

// --- what a client asks and gets ---

void ClientLog::count(const resp::Command& command) {
  if (command.argc() == 0) return;
  ++asked_;
  std::string name(command.arg(0));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  listens_ = listens_ || name.ends_with("SUBSCRIBE") || name == "MONITOR";
}

void ClientLog::on_sent(std::string_view bytes) {
  sent_ += bytes;
  size_t at = 0;
  while (!broken_ && at < sent_.size()) {
    const resp::ScanStatus status = requests_.scan(sent_.data() + at, sent_.size() - at, {});
    broken_ = status == resp::ScanStatus::kError;
    if (status != resp::ScanStatus::kFrame) break;
    count(requests_.command(sent_.data() + at));
    at += requests_.consumed();
  }
  sent_.erase(0, at);
}

void ClientLog::on_received(std::string_view bytes) {
  received_ += bytes;
  size_t at = 0;
  while (at < received_.size()) {
    const char* const start = received_.data() + at;
    const resp::ScanStatus status = replies_.scan(start, received_.size() - at);
    check(status != resp::ScanStatus::kError, "a client gets replies");
    if (status != resp::ScanStatus::kFrame) break;
    if (*start != '>') ++given_;
    at += replies_.consumed();
  }
  received_.erase(0, at);
  // A request may be refused, or broken, before it is whole.
  const uint64_t begun = broken_ || !sent_.empty() ? 1 : 0;
  check(listens_ || given_ <= asked_ + begun, "a client gets no more replies than it has asked for");
}

// --- the transport ---

class World::Wire final : public core::Transport {
 public:
  Wire(World& world, uint32_t worker) : world_(world), worker_(worker) {}

  core::Socket* connect(const config::Address& address, core::Endpoint* endpoint) override {
    FuzzSocket& socket = world_.add_socket(worker_);
    socket.address = address;
    socket.node = NodeState(address == kNodeB, world_.tells_topology_);
    socket.endpoint = endpoint;
    return &socket;
  }
  size_t write(core::Socket* to, const iovec* parts, int count) override {
    FuzzSocket& socket = open_socket(to);
    check(socket.connected, "nothing is written before a connection is made");
    size_t taken = 0;
    for (int i = 0; i < count && !socket.blocked; ++i) {
      const size_t size = std::min(parts[i].iov_len, socket.room);
      socket.written.append(static_cast<const char*>(parts[i].iov_base), size);
      if (socket.room != SIZE_MAX) socket.room -= size;
      taken += size;
      socket.blocked = size < parts[i].iov_len;
    }
    return taken;
  }
  void set_reading(core::Socket* socket, bool reading) override { open_socket(socket).reading = reading; }
  void close(core::Socket* socket) override { open_socket(socket).closed = true; }
  void post(uint32_t worker, std::function<void(Worker&)> work) override {
    world_.mail_.push_back({worker, std::move(work)});
  }
  uint64_t random() override {
    world_.random_ = world_.random_ * 6364136223846793005u + 1442695040888963407u;
    return world_.random_ >> 11;
  }
  uint64_t clock_ms() override { return world_.now_ms_; }
  int64_t wall_clock_us() override { return kWallClockUs + static_cast<int64_t>(world_.now_ms_) * 1000; }
  void log(core::LogLevel, std::string_view) override {}

 private:
  static FuzzSocket& open_socket(core::Socket* socket) {
    check(socket != nullptr && !static_cast<FuzzSocket*>(socket)->closed, "a socket is not used once it is closed");
    return *static_cast<FuzzSocket*>(socket);
  }

  World& world_;
  const uint32_t worker_;
};

World::World(config::Settings settings, const Play& play)
    : process_(std::move(settings), play.workers, kWallClockUs, std::string(40, 'f')),
      random_(play.seed),
      answering_(play.answering),
      tells_topology_(play.tells_topology) {
  static const core::ClusterView kCluster = cluster_view(false), kOne = cluster_view(true);
  const core::SlotMapPtr map =
      process_.publish(process_.settings().upstream.has_one_owner() ? kOne : kCluster, kWallClockUs);
  for (uint32_t i = 0; i < play.workers; ++i) {
    wires_.push_back(std::make_unique<Wire>(*this, i));
    workers_.push_back(std::make_unique<Worker>(process_, *wires_[i], i, now_ms_));
    waits_ms_.push_back(0);
  }
  for (uint32_t i = 0; i < play.workers; ++i) {
    turn(i, [&] {
      workers_[i]->set_map(map);
      workers_[i]->start();
    });
  }
  settle();
}

World::~World() {
  for (uint32_t i = 0; i < workers_.size(); ++i) turn(i, [&] { workers_[i]->stop(); });
  for (const auto& socket : sockets_) check(socket->closed, "a worker that has stopped has no connections");
}

FuzzSocket& World::add_socket(uint32_t worker) {
  FuzzSocket& socket = *sockets_.emplace_back(std::make_unique<FuzzSocket>());
  socket.worker = worker;
  return socket;
}

void World::turn(uint32_t worker, const std::function<void()>& event) {
  Worker& core = *workers_[worker];
  core.begin_turn(now_ms_);
  event();
  int turns = 1;
  while ((waits_ms_[worker] = core.end_turn()) == 0) {
    check(++turns < kMostTurns, "a worker comes to rest");
    core.begin_turn(now_ms_);
  }
}

// --- what follows from an event ---

bool World::run_mail() {
  const std::vector<Mail> mail = std::exchange(mail_, {});
  for (const Mail& one : mail) turn(one.worker, [&] { one.work(*workers_[one.worker]); });
  return !mail.empty();
}

bool World::deliver(FuzzSocket& socket) {
  if (socket.closed || !socket.connected) return false;
  if (socket.reading && !socket.incoming.empty()) {
    const std::string bytes = std::exchange(socket.incoming, {});
    const ExactCopy own(bytes);
    turn(socket.worker, [&] { socket.endpoint->on_bytes(own.data(), bytes.size()); });
    return true;
  }
  if (!socket.ended) return false;
  if (socket.reading && !std::exchange(socket.told, true)) {
    turn(socket.worker, [&] { socket.endpoint->on_end(); });
    return true;
  }
  if (!socket.reading && !socket.told && !std::exchange(socket.hang_up_told, true)) {
    turn(socket.worker, [&] { socket.endpoint->on_hang_up(); });
    return true;
  }
  return false;
}

bool World::answer(FuzzSocket& socket, std::string_view flavours) {
  if (socket.is_client || socket.closed || socket.ended) return false;
  if (!std::exchange(socket.connected, true)) {
    turn(socket.worker, [&] { socket.endpoint->on_connected(); });
    return true;
  }
  const size_t before = socket.incoming.size();
  socket.incoming += socket.node.answer(socket.written, flavours);
  return socket.incoming.size() > before;
}

void World::look_at_clients() {
  for (Client& client : clients_) {
    if (client.socket) client.log.on_received(std::exchange(client.socket->written, {}));
  }
}

void World::settle() {
  bool moved = true;
  for (int round = 0; moved && round < kMostRounds; ++round) {
    moved = run_mail();
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (answering_) moved = answer(*sockets_[i], {}) || moved;
      moved = deliver(*sockets_[i]) || moved;
    }
  }
  look_at_clients();
  for (Client& client : clients_) {
    if (client.socket && client.socket->closed) client.socket = nullptr;
  }
  std::erase_if(sockets_, [](const auto& socket) { return socket->closed; });
}

// --- events ---

void World::connect(uint32_t number) {
  const uint32_t worker = number % static_cast<uint32_t>(workers_.size());
  FuzzSocket& socket = add_socket(worker);
  socket.is_client = socket.connected = true;
  clients_[number] = {&socket, {}};
  turn(worker, [&] {
    Session* session = workers_[worker]->accept(&socket, {"192.0.2.1:1000", "192.0.2.2:6380", -1, true});
    socket.endpoint = session;
    if (!session) socket.closed = true;
  });
}

void World::client_sends(uint32_t number, std::string_view bytes) {
  Client& client = clients_[number % kClients];
  if (client.socket && client.socket->ended) return;
  if (!client.socket) connect(number % kClients);
  client.log.on_sent(bytes);
  client.socket->incoming += bytes;
  settle();
}

void World::end(FuzzSocket& socket, End how) {
  socket.ended = true;
  if (how == End::kReset || !socket.connected) {
    socket.closed = true;
    turn(socket.worker, [&] { socket.endpoint->on_failed("reset by peer"); });
  }
  settle();
}

void World::client_ends(uint32_t number, End how) {
  if (FuzzSocket* socket = clients_[number % kClients].socket) end(*socket, how);
}

void World::give_room(FuzzSocket& socket, size_t bytes) {
  socket.room = bytes;
  if (bytes > 0 && !socket.closed && std::exchange(socket.blocked, false)) {
    turn(socket.worker, [&] { socket.endpoint->on_writable(); });
  }
  settle();
}

void World::client_reads(uint32_t number, size_t bytes) {
  if (FuzzSocket* socket = clients_[number % kClients].socket) give_room(*socket, bytes);
}

FuzzSocket* World::node_socket(uint32_t number) {
  std::vector<FuzzSocket*> found;
  for (const auto& socket : sockets_) {
    if (!socket->is_client) found.push_back(socket.get());
  }
  return found.empty() ? nullptr : found[number % found.size()];
}

void World::node_says(uint32_t number, std::string_view bytes) {
  FuzzSocket* socket = node_socket(number);
  if (!socket || socket->ended) return;
  if (!socket->connected) answer(*socket, {});
  if (!socket->closed) socket->incoming += bytes;
  settle();
}

void World::node_answers(uint32_t number, std::string_view flavours) {
  if (FuzzSocket* socket = node_socket(number)) answer(*socket, flavours);
  settle();
}

void World::node_ends(uint32_t number, End how) {
  if (FuzzSocket* socket = node_socket(number)) end(*socket, how);
}

void World::node_reads(uint32_t number, size_t bytes) {
  if (FuzzSocket* socket = node_socket(number)) give_room(*socket, bytes);
}

void World::pass(uint32_t ms) {
  for (const uint64_t end = now_ms_ + ms; now_ms_ < end;) {
    const uint64_t wait_ms = std::max(1u, *std::ranges::min_element(waits_ms_));
    now_ms_ = std::min(end, now_ms_ + wait_ms);
    for (uint32_t i = 0; i < workers_.size(); ++i) turn(i, [] {});
    settle();
  }
}

// --- what must hold ---

void World::check_bounds() {
  const config::LimitSettings& limits = process_.settings().limits;
  const size_t of_client = limits.client_output_bytes + limits.subscriber_output_bytes + limits.query_buffer_bytes +
                           limits.transaction_bytes + kSlackBytes;
  const size_t of_link = limits.inflight_bytes + limits.reply_bytes + kSlackBytes;
  for (const auto& worker : workers_) {
    worker->for_each_session(
        [&](Session& session) { check(session.memory_bytes() <= of_client, "a client takes no more than it may"); });
    worker->for_each_link(
        [&](core::Link& link) { check(link.memory_bytes() <= of_link, "a link takes no more than it may"); });
  }
}

bool World::is_quiet() {
  size_t left = process_.near_cache()->fills() + process_.leases().waiting();
  process_.leases().for_each_leased([&](std::string_view, uint16_t, const policy::KeyLease&) { ++left; });
  for (const auto& worker : workers_) {
    left += worker->lingering() + worker->sessions().size() + worker->holds().size() + worker->leases().waiting() +
            bytes_under_way(*worker) + (worker->timers() > kPeriodicTimers ? 1 : 0);
  }
  return left == 0 && mail_.empty();
}

void World::check_quiet() {
  check(process_.clients() == 0, "no client is counted");
  check(process_.blocked_clients() == 0, "no blocked client is counted");
  check(process_.monitors() == 0, "no monitor is counted");
  check(process_.tracking_totals().clients == 0, "no tracking client is counted");
  check(process_.near_cache()->fills() == 0, "no fill of the near cache is under way");
  check(process_.leases().waiting() == 0, "nobody waits for a lease");
  process_.leases().for_each_leased(
      [](std::string_view, uint16_t, const policy::KeyLease&) { check(false, "there is no lease"); });
  for (const auto& worker : workers_) {
    check(worker->sessions().empty(), "there are no sessions");
    check(worker->lingering() == 0, "there are no sessions that have been closed");
    check(worker->holds().size() == 0, "no request is held");
    check(worker->leases().waiting() == 0, "no reader waits");
    check(bytes_under_way(*worker) == 0, "no bytes are under way");
    check(worker->timers() <= kPeriodicTimers, "there are no timers but the periodic ones");
  }
}

void World::end_all() {
  for (uint32_t i = 0; i < kClients; ++i) client_ends(i, End::kReset);
  answering_ = true;
  for (const auto& socket : sockets_) {
    socket->room = SIZE_MAX;
    if (socket->connected && !socket->closed && std::exchange(socket->blocked, false)) {
      turn(socket->worker, [&] { socket->endpoint->on_writable(); });
    }
  }
  settle();
  for (uint32_t passed = 0; !is_quiet() && passed < kQuietMs; passed += 50) pass(50);
  check_quiet();
}

}  // namespace corral::fuzz

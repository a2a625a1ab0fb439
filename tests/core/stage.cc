#include "stage.h"

#include "resp/reply_builder.h"
#include "resp/request_scanner.h"

namespace corral::core {

Commands take_commands(std::string& bytes) {
  Commands commands;
  size_t at = 0;
  resp::RequestScanner scanner;
  while (at < bytes.size()) {
    if (scanner.scan(bytes.data() + at, bytes.size() - at, resp::RequestLimits{}) != resp::ScanStatus::kFrame) break;
    const resp::Command command = scanner.command(bytes.data() + at);
    std::string& text = commands.emplace_back();
    for (size_t i = 0; i < command.argc(); ++i) text.append(i ? " " : "").append(command.arg(i));
    at += scanner.consumed();
    scanner.reset();
  }
  bytes.erase(0, at);
  return commands;
}

Stage::Stage(config::Settings settings, uint32_t worker_index)
    : process(std::move(settings), 2, transport.wall_us, std::string(40, 'f')),
      worker(process, transport, worker_index, now_ms) {
  if (worker_index == 0) {
    turn([this] { worker.start(); });
    return;
  }
  ClusterView view;
  view.nodes = {{"aaaa", kNodeA, true}, {"bbbb", kNodeB, true}, {"cccc", kNodeC, true}};
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) view.owner[slot] = slot < resp::kSlots / 2 ? 0 : 1;
  turn([&] { worker.set_map(process.publish(view, transport.wall_us)); });
}

Stage::~Stage() {
  turn([this] { worker.stop(); });
}

Stage::Client Stage::connect_client() {
  auto& socket = transport.sockets.emplace_back(std::make_unique<FakeSocket>());
  Client client{socket.get(), nullptr};
  turn([&] { client.session = worker.accept(client.socket, {"192.0.2.1:1000", "192.0.2.2:6380", -1, true}); });
  client.socket->endpoint = client.session;
  return client;
}

void Stage::client_sends(const Client& client, std::string_view bytes) {
  ASSERT_FALSE(client.socket->closed) << "the client's connection is closed";
  const std::string own(bytes);  // at an address of its own, so that reading past its end shows
  turn([&] { client.session->on_bytes(own.data(), own.size()); });
}

void Stage::client_ends(const Client& client) {
  ASSERT_FALSE(client.socket->closed);
  ASSERT_TRUE(client.socket->reading);
  turn([&] { client.session->on_end(); });
}

void Stage::client_fails(const Client& client) {
  client.socket->closed = true;
  turn([&] { client.session->on_failed("reset by peer"); });
}

void Stage::give_room(const Client& client, size_t bytes) {
  client.socket->room = bytes;
  if (bytes > 0) turn([&] { client.session->on_writable(); });
}

bool Stage::has_link(const config::Address& node) const {
  return std::any_of(transport.sockets.begin(), transport.sockets.end(),
                     [&](auto& socket) { return socket->address == node && !socket->closed; });
}

FakeSocket& Stage::link(const config::Address& node) {
  for (auto it = transport.sockets.rbegin(); it != transport.sockets.rend(); ++it) {
    if ((*it)->address == node && !(*it)->closed) return **it;
  }
  ADD_FAILURE() << "no connection to " << node.host;
  static FakeSocket none;
  return none;
}

Commands Stage::accept(const config::Address& node, int id) {
  FakeSocket& socket = link(node);
  if (!socket.endpoint) return {};
  EXPECT_FALSE(socket.connected) << "accepted twice";
  socket.connected = true;
  turn([&] { socket.endpoint->on_connected(); });
  Commands handshake = take_commands(socket.written);
  std::string replies;
  for (const std::string& command : handshake) {
    if (command == "CLIENT INFO") {
      resp::append_bulk(replies, "id=" + std::to_string(id) + " addr=10.9.9.9:" + std::to_string(id) +
                                     " laddr=" + node.host + ":7001 name=corral\n");
    } else {
      replies += resp::kOk;
    }
  }
  turn([&] { socket.endpoint->on_bytes(replies.data(), replies.size()); });
  return handshake;
}

Commands Stage::taken(const config::Address& node) { return take_commands(link(node).written); }

void Stage::answer(const config::Address& node, std::string_view replies) {
  FakeSocket& socket = link(node);
  const std::string own(replies);
  turn([&] { socket.endpoint->on_bytes(own.data(), own.size()); });
}

void Stage::lose(const config::Address& node, std::string_view reason) {
  FakeSocket& socket = link(node);
  socket.closed = true;
  turn([&] { socket.endpoint->on_failed(reason); });
}

void Stage::turn(const std::function<void()>& event) {
  transport.clock = now_ms;
  worker.begin_turn(now_ms);
  event();
  int turns = 1;
  while (worker.end_turn() == 0) {
    ASSERT_LT(++turns, 10'000) << "the worker never comes to rest";
    worker.begin_turn(now_ms);
  }
}

void Stage::pass(uint32_t ms) {
  const uint32_t step = ms <= 50 ? 1 : 10;
  for (uint32_t passed = 0; passed < ms; passed += step) {
    now_ms += step;
    transport.wall_us += step * 1000;
    turn([] {});
  }
}

void Stage::move_slot(uint16_t slot, const config::Address& to) {
  const SlotMapPtr map = process.publish_move(slot, process.node_id(to), transport.wall_us);
  ASSERT_TRUE(map) << "the slot is there already";
  turn([&] { worker.set_map(map); });
}

}  // namespace corral::core

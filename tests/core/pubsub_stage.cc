#include "pubsub_stage.h"

#include <algorithm>

#include "resp/reply_builder.h"

namespace corral::core {

std::string frame(std::initializer_list<std::string_view> words, char type) {
  std::string out = type + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    if (word.starts_with(':')) {
      out += std::string(word) + "\r\n";
    } else {
      resp::append_bulk(out, word);
    }
  }
  return out;
}

PubSubStage::PubSubStage(const config::Settings& settings)
    : stage(settings), hub_worker(stage.process, transport, 0, stage.now_ms) {
  turn([this] { hub_worker.start(); });
  settle();
}

PubSubStage::~PubSubStage() {
  settle();
  turn([this] { hub_worker.stop(); });
}

void PubSubStage::turn(const std::function<void()>& event) {
  hub_worker.begin_turn(stage.now_ms);
  event();
  int turns = 1;
  while (hub_worker.end_turn() == 0) {
    ASSERT_LT(++turns, 10'000) << "the worker never comes to rest";
    hub_worker.begin_turn(stage.now_ms);
  }
}

void PubSubStage::settle() {
  while (!stage.transport.posted.empty() || !transport.posted.empty()) {
    auto posted = std::exchange(stage.transport.posted, {});
    for (auto& one : std::exchange(transport.posted, {})) posted.push_back(std::move(one));
    for (auto& [worker, work] : posted) {
      if (worker == 0) {
        turn([&, this] { work(hub_worker); });
      } else {
        stage.turn([&, this] { work(stage.worker); });
      }
    }
  }
}

Stage::Client PubSubStage::connect(int resp) {
  const Stage::Client client = stage.connect_client();
  if (resp == 3) {
    stage.client_sends(client, "HELLO 3\r\n");
    received(client);
  }
  return client;
}

Stage::Client PubSubStage::connect_to_hub_worker() {
  auto& socket = transport.sockets.emplace_back(std::make_unique<FakeSocket>());
  Stage::Client client{socket.get(), nullptr};
  turn([&] { client.session = hub_worker.accept(client.socket, {"192.0.2.1:1001", "192.0.2.2:6380", -1, true}); });
  client.socket->endpoint = client.session;
  return client;
}

void PubSubStage::sends(const Stage::Client& client, std::string_view command) {
  const std::string bytes = std::string(command) + "\r\n";
  if (&client.session->worker() == &hub_worker) {
    turn([&] { client.session->on_bytes(bytes.data(), bytes.size()); });
  } else {
    stage.client_sends(client, bytes);
  }
  settle();
}

void PubSubStage::close(const Stage::Client& client) {
  stage.client_fails(client);
  settle();
}

Stage::Client PubSubStage::subscriber(std::string_view command, int resp) {
  const Stage::Client client = connect(resp);
  sends(client, command);
  for (int round = 0; round < 2; ++round) {
    for (const auto& address : {kNodeA, kNodeB, kNodeC}) {
      if (!has_node(address)) continue;
      if (!node(address).connected) accept(address);
      serve(address);
    }
  }
  EXPECT_NE(received(client).find("subscribe"), std::string::npos) << command;
  return client;
}

namespace {

bool is_hub_socket(const FakeSocket& socket, const config::Address& node) {
  return socket.address == node && dynamic_cast<PubSubLink*>(socket.endpoint);
}

}  // namespace

bool PubSubStage::has_node(const config::Address& node) const {
  return std::any_of(transport.sockets.begin(), transport.sockets.end(),
                     [&](const auto& socket) { return !socket->closed && is_hub_socket(*socket, node); });
}

FakeSocket& PubSubStage::node(const config::Address& node) {
  for (auto it = transport.sockets.rbegin(); it != transport.sockets.rend(); ++it) {
    if (!(*it)->closed && is_hub_socket(**it, node)) return **it;
  }
  ADD_FAILURE() << "the hub has no connection to " << node.host;
  static FakeSocket none;
  return none;
}

Commands PubSubStage::accept(const config::Address& at, int id) {
  FakeSocket& socket = node(at);
  if (!socket.endpoint) return {};
  EXPECT_FALSE(socket.connected) << "accepted twice";
  socket.connected = true;
  turn([&] { socket.endpoint->on_connected(); });
  const Commands handshake = take_commands(socket.written);
  std::string replies;
  for (const std::string& command : handshake) {
    if (command == "CLIENT INFO") {
      resp::append_bulk(replies,
                        "id=" + std::to_string(id) + " addr=10.9.9.9:" + std::to_string(id) + " name=corral\n");
    } else {
      replies += resp::kOk;
    }
  }
  says(at, replies);
  return handshake;
}

void PubSubStage::says(const config::Address& at, std::string_view bytes) {
  FakeSocket& socket = node(at);
  if (!socket.endpoint) return;
  const std::string own(bytes);
  turn([&] { socket.endpoint->on_bytes(own.data(), own.size()); });
  settle();
}

Commands PubSubStage::serve(const config::Address& at) {
  const Commands commands = taken(at);
  std::string replies;
  for (const std::string& command : commands) {
    const size_t space = command.find(' ');
    std::string word = command.substr(0, space);
    if (word == "PING") {
      replies += frame({"pong", ""});
      continue;
    }
    std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(c - 'A' + 'a'); });
    replies += frame({word, command.substr(space + 1), ":1"});
  }
  if (!replies.empty()) says(at, replies);
  return commands;
}

void PubSubStage::lose(const config::Address& at) {
  FakeSocket& socket = node(at);
  if (!socket.endpoint) return;
  socket.closed = true;
  turn([&] { socket.endpoint->on_failed("reset by peer"); });
  settle();
}

void PubSubStage::pass(uint32_t ms) {
  for (uint32_t passed = 0; passed < ms; passed += 10) {
    stage.pass(10);
    turn([] {});
    settle();
  }
}

void PubSubStage::move_slot(uint16_t slot, const config::Address& to) {
  const SlotMapPtr map = stage.process.publish_move(slot, stage.process.node_id(to), transport.wall_us);
  ASSERT_TRUE(map) << "the slot is there already";
  turn([&] { hub_worker.share_map(map); });
  settle();
}

void PubSubStage::publish_map(const config::Address& lower, const config::Address& upper, bool a_has_failed) {
  ClusterView view;
  view.nodes = {{"aaaa", kNodeA, true}, {"bbbb", kNodeB, true}, {"cccc", kNodeC, true}};
  view.nodes[0].failed = a_has_failed;
  const auto index = [&](const config::Address& address) {
    return static_cast<uint16_t>(address == kNodeA ? 0 : address == kNodeB ? 1 : 2);
  };
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot)
    view.owner[slot] = index(slot < resp::kSlots / 2 ? lower : upper);
  const SlotMapPtr map = stage.process.publish(view, transport.wall_us);
  ASSERT_TRUE(map) << "nothing has changed";
  turn([&] { hub_worker.share_map(map); });
  settle();
}

}  // namespace corral::core

#include "crowd.h"

namespace corral::test {

Crowd::Crowd(std::vector<uint16_t> ports, size_t clients, bool mixed)
    : awaited_(clients), swarm_([this](size_t client, std::string_view bytes) { return take(client, bytes); }) {
  size_t ready = 0;
  for (size_t i = 0; i < clients; ++i) {
    swarm_.connect(ports[i % ports.size()]);
    const bool resp3 = mixed && i / ports.size() % 2;
    request(i, resp3 ? Args{"HELLO", "3"} : Args{"PING"}, [&](const Reply& reply) {
      if (!reply.is_error()) ++ready;
    });
    if (i % 50 == 49) swarm_.turn(milliseconds(1));  // so that the listen queue does not run over
  }
  if (!run_until([&] { return ready == clients; })) throw TimedOut("not all clients of a crowd were served");
}

void Crowd::request(size_t client, const Args& args, OnReply on_reply) {
  awaited_[client].push_back(std::move(on_reply));
  swarm_.send(client, encode(args));
}

void Crowd::close(size_t client) {
  awaited_[client].clear();
  swarm_.close(client);
}

void Crowd::after(milliseconds delay, std::function<void()> action) {
  later_.emplace(Clock::now() + delay, std::move(action));
}

void Crowd::turn() {
  constexpr milliseconds kLongest{5};
  while (!later_.empty() && later_.begin()->first <= Clock::now()) {
    const auto action = std::move(later_.extract(later_.begin()).mapped());
    action();
  }
  milliseconds wait = kLongest;
  if (!later_.empty()) {
    wait = std::clamp(std::chrono::ceil<milliseconds>(later_.begin()->first - Clock::now()), milliseconds(0), kLongest);
  }
  swarm_.turn(wait);
}

size_t Crowd::take(size_t client, std::string_view bytes) {
  size_t taken = 0;
  Reply reply;
  while (swarm_.open(client)) {
    const auto end = parse_reply(bytes, taken, reply);
    if (!end) break;
    taken = *end;
    if (awaited_[client].empty()) throw std::runtime_error("a reply to nothing: " + to_string(reply));
    const OnReply on_reply = std::move(awaited_[client].front());
    awaited_[client].pop_front();
    on_reply(reply);
  }
  return taken;
}

}  // namespace corral::test

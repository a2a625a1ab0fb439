#include "sim_peer.h"

#include "resp/reply_builder.h"

namespace corral::sim {

std::string SimPeer::who() const { return "client " + std::to_string(number_); }

void SimPeer::start(SimTransport& transport) { connection_ = &transport.accept(this); }

void SimPeer::send(std::initializer_list<std::string_view> args) {
  std::string out;
  resp::append_command(out, args);
  send(out);
}

void SimPeer::send(std::string_view bytes) {
  loop_.trace([&] { return who() + " (#" + std::to_string(connection_->id()) + ") asks " + readable(bytes); });
  connection_->send(bytes);
}

void SimPeer::on_bytes(Connection&, std::string_view bytes) {
  if (closed_) return;
  input_ += bytes;
  size_t at = 0;
  while (at < input_.size() && !closed_) {
    const auto status = scanner_.scan(input_.data() + at, input_.size() - at);
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) return fail("was sent what is not RESP: " + readable(input_.substr(at)));
    const std::string reply = input_.substr(at, scanner_.consumed());
    at += scanner_.consumed();
    scanner_.reset();
    loop_.trace([&] { return who() + " is told " + readable(reply); });
    on_reply(reply);
  }
  input_.erase(0, at);
  if (!closed_) after_replies();
}

void SimPeer::leave(bool abrupt) {
  if (closed_) return;
  loop_.trace([&] { return who() + " goes away"; });
  closed_ = true;
  on_leaving();
  connection_->leave(abrupt);
}

void SimPeer::close() {
  if (!closed_) leave(random().chance(50));
}

void SimPeer::on_closed(Connection&) {
  if (closed_) return;
  closed_ = true;
  on_lost();
}

}  // namespace corral::sim

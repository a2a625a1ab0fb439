// The far end of a client's connection: sends commands, and cuts what comes back into replies. What is asked and what
// is made of the answers is for those who derive from it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "checker.h"
#include "resp/reply_scanner.h"
#include "sim_transport.h"

namespace corral::sim {

class SimPeer : public Peer {
 public:
  SimPeer(SimLoop& loop, Checker& checker, uint32_t process, uint32_t number)
      : loop_(loop), checker_(checker), process_(process), number_(number) {}
  virtual ~SimPeer() = default;

  /// Connects.
  virtual void start(SimTransport& transport);
  /// All is well now: does once more what it does.
  virtual void once_more() = 0;
  /// Has done all it had to do, or is gone.
  virtual bool done() const = 0;
  /// What it waits for, for who finds that it is not done.
  virtual std::string state() const { return {}; }
  void close();

  bool closed() const { return closed_; }
  uint32_t number() const { return number_; }

  void on_bytes(Connection& connection, std::string_view bytes) override;
  void on_closed(Connection& connection) override;

 protected:
  virtual void on_reply(std::string_view reply) = 0;
  /// After the replies of one read.
  virtual void after_replies() {}
  /// The other side has closed.
  virtual void on_lost() {}
  /// It goes away.
  virtual void on_leaving() {}

  void send(std::initializer_list<std::string_view> args);
  void send(std::string_view bytes);
  /// Goes away, what it was sent unread. `abrupt`: perhaps before what it sent last has arrived.
  void leave(bool abrupt);
  /// Does `action` in a while of about so long, unless the client has gone by then.
  template <typename Action>
  void later(int64_t average_us, Action action) {
    loop_.after(loop_.random().between(0, 2 * average_us), [this, action] {
      if (!closed_) action();
    });
  }
  Random& random() { return loop_.random(); }
  std::string who() const;
  void fail(const std::string& text) { checker_.fail(who() + ": " + text); }

  SimLoop& loop_;
  Checker& checker_;
  const uint32_t process_;
  const uint32_t number_;
  Connection* connection_ = nullptr;

 private:
  std::string input_;
  resp::ReplyScanner scanner_;
  bool closed_ = false;
};

}  // namespace corral::sim

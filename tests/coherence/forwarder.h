// A TCP forwarder between the proxies and a node, which can hold back what goes through a connection without closing
// it: what a network does that loses packets. Bytes that were held back arrive in their order once they are released,
// or never, if the connection is cut.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "support/background.h"
#include "support/process.h"

namespace corral::test {

class Forwarder {
 public:
  enum class Held : uint8_t { kNothing, kReplies, kRequests, kBoth };

  // To this port of 127.0.0.1.
  explicit Forwarder(uint16_t target);
  ~Forwarder();

  uint16_t port() const { return port_.number(); }
  // The connections that are open, each by the port from which it reaches the target.
  std::vector<uint16_t> links();
  void hold(const std::vector<uint16_t>& links, Held what);
  void release(const std::vector<uint16_t>& links) { hold(links, Held::kNothing); }
  void cut(const std::vector<uint16_t>& links);

 private:
  struct Link {
    int client, target;
    uint16_t name;
    Held held = Held::kNothing;
    bool cut = false;
    std::string to_target, to_client;
  };

  void run(Background::Stop stop);
  void accept_link();
  // One way of a link; false once it is over.
  static bool move(int from, int to, std::string& kept, bool held);

  Port port_;
  const uint16_t target_;
  int listener_ = -1;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Link>> links_;
  std::unique_ptr<Background> thread_;
};

}  // namespace corral::test

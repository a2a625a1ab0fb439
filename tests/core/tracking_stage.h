// For tests of CLIENT TRACKING: clients that track, and nodes that tell.
#pragma once

#include <string>

#include "resp/reply_builder.h"
#include "stage.h"

namespace corral::core {

/// What a node pushes, or a client of RESP3 hears.
inline std::string invalidation(std::string_view key) {
  std::string out = ">2\r\n$10\r\ninvalidate\r\n*1\r\n";
  resp::append_bulk(out, key);
  return out;
}
inline const std::string kAllChanged = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

struct TrackingStage : Stage {
  /// Runs what has been posted to workers, and what they post then, all of it on this one.
  void run_posted() {
    for (int round = 0; round < 3; ++round) {  // a request for the topology would go on for ever
      for (const auto& [index, work] : std::exchange(transport.posted, {})) {
        turn([&] { work(worker); });
      }
    }
  }
  /// Of RESP3, and told itself.
  Client connect_tracking(const std::string& options = "") {
    const Client client = connect_client();
    client_sends(client, "HELLO 3\r\nCLIENT TRACKING ON" + options + "\r\n");
    run_posted();
    received(client);
    return client;
  }
  /// To a connection that need not be the latest one of its node.
  void answer_on(FakeSocket& socket, std::string_view replies) {
    const std::string own(replies);
    turn([&] { socket.endpoint->on_bytes(own.data(), own.size()); });
  }
};

}  // namespace corral::core

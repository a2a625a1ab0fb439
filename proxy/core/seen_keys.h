// Which keys a worker's clients read the most, and the largest that passed by: a sample of the commands, and all
// requests and replies that are large, are looked at again for their keys.
#pragma once

#include <cstdint>
#include <string_view>

#include "policy/big_keys.h"
#include "policy/hot_keys.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;
class Worker;

class SeenKeys {
 public:
  explicit SeenKeys(Worker& worker);

  /// Of a command that has been handled.
  void on_command(const Session& session, const resp::Command& command, const resp::CommandSpec& spec) {
    if (sampler_.due()) [[unlikely]]
      sample(session, command, spec);
    if (command.bytes().size() >= big_.least_bytes()) [[unlikely]]
      note_request(session, command, spec);
  }
  /// Of a node, to a request of a client's.
  void on_reply(std::string_view request, std::string_view reply) {
    if (reply.size() >= big_.least_bytes()) [[unlikely]]
      note_reply(request, reply);
  }
  /// Likewise, where only the first bytes of the reply are at hand, or of the request.
  void on_large_reply(std::string_view request, std::string_view start, uint64_t bytes);
  void on_large_argument(std::string_view key, uint64_t bytes, const resp::CommandSpec& spec);
  /// Ten times a second.
  void tick();

  const policy::HotKeys& hot() const { return hot_; }
  const policy::BigKeys& big() const { return big_; }
  size_t memory_bytes() const { return hot_.memory_bytes(); }

 private:
  void sample(const Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  void note_request(const Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  void note_reply(std::string_view request, std::string_view reply);
  void note(std::string_view key, uint64_t bytes, uint64_t elements, const resp::CommandSpec& spec);

  Worker& worker_;
  policy::ReadSampler sampler_;
  policy::HotKeys hot_;
  policy::BigKeys big_;
  uint64_t requests_ = 0;  // at the last tick
  uint64_t ticked_ms_;
};

}  // namespace corral::core

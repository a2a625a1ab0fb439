// Rules of mode `reject`: whether commands would leave a key without a TTL depends on what is there, so the node is
// asked first (PTTL of every key that they name), and what they would leave is worked out from that. Nothing else of
// the client is sent meanwhile.
//
// What other clients do between the look and the command is not seen. So that no key is left without a TTL all the
// same, the commands are then sent with what mode `enforce` would add to them. That is also all that is done for
// scripts and blocking commands, of which nobody can tell what they will do.
//
// Likewise SET KEEPTTL where a rule keeps keys for longer than their TTL: if that is over, the key was absent to the
// client, so there is no TTL to be kept, and the command is sent without KEEPTTL.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::policy {
struct TtlRule;
}

namespace corral::core {

class Link;
class Session;
class Worker;

class TtlLook final : public Task {
 public:
  struct Item {
    std::string bytes;
    const resp::CommandSpec* spec;
  };
  /// A rule of that mode that is about a key that the command writes, and the command does not tell by itself; or one
  /// of a key that may have a TTL to keep that is over. Null: there is none.
  static const policy::TtlRule* wanted(Worker& worker, const resp::Command& command, const resp::CommandSpec& spec);

  /// `then` is called once, with an error for the client, or with an empty text if the commands may be sent, as they
  /// are now in `items`. `link`: where the client's watched keys are asked for; null if it watches none.
  using Then = std::function<void(std::string_view error, std::vector<Item>& items)>;
  static void start(Session& session, std::vector<Item> items, uint16_t slot, Link* link, Then then);

  void on_reply(uint32_t part, std::string_view reply) override;

 private:
  enum class State : uint8_t {
    kMissing,
    kWithout,
    kWith,
    kStale,  // likewise, but to clients that TTL is over
  };

  TtlLook(Session& session, std::vector<Item> items, Then then);
  void ask(uint16_t slot, Link* link);
  void judge();
  State state_of(std::string_view key, std::string_view pttl_reply) const;
  void run(Item& item);
  bool has_no_source(const resp::Command& command, const std::vector<uint32_t>& written,
                     const std::vector<uint32_t>& keys) const;
  bool spares(const resp::Command& command, const resp::CommandSpec& spec, const std::vector<uint32_t>& written,
              const std::vector<uint32_t>& keys) const;
  void say(Item& item, const resp::Command& command);

  Session& session_;
  Worker& worker_;
  std::vector<Item> items_;
  const Then then_;
  using Keys = std::map<std::string, State, std::less<>>;
  Keys keys_;
  std::vector<Keys::value_type*> asked_;  // by part
  std::vector<std::string> written_;
  uint32_t awaited_ = 0;
};

}  // namespace corral::core

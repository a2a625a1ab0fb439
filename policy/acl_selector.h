// One set of rights of a user: which commands, on which keys, on which channels. A user has at least one, and may do
// what any of them allows.
//
// Commands that the table knows have a bit each. What the table lacks (of modules and newer servers) is judged by the
// rules themselves, the last that speaks of it: "+@all", a category that its server puts it into, or its name.
// Source: Redis 7.0, acl.c; https://redis.io/docs/management/security/acl.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::policy {

/// What is missing. Where several selectors refuse, the one that comes last here is told, as by Redis.
enum class AclRefusal : uint8_t {
  kNone,
  kCommand,
  kKey,
  kChannel,
  kNaming,  // the command reads keys that an option describes (SORT's GET), which takes the right to read all
};

struct AclVerdict {
  AclRefusal refusal = AclRefusal::kNone;
  uint32_t arg = 0;  // kKey, kChannel: which argument
};

class AclSelector {
 public:
  AclSelector();

  /// One rule: "+get", "~cache:*" ... Why it is none, in Redis' words; empty: it has taken effect.
  std::string_view apply(std::string_view rule);

  /// The keys of one request, found when the first selector asks for them.
  struct KeyUses {
    std::vector<resp::KeyUse>& uses;  // scratch
    bool found = false;
    bool nonsense = false;
  };
  AclVerdict check(const resp::CommandSpec& spec, const resp::Command& command, KeyUses& keys) const;
  bool allows_command(const resp::CommandSpec& spec, const resp::Command& command) const;
  /// As check() does for a key at `arg`.
  bool allows_key(std::string_view key, uint32_t flags) const;
  /// A pattern (PSUBSCRIBE) must be allowed as it is written.
  bool allows_channel(std::string_view channel, bool is_pattern) const;

  bool unrestricted() const { return all_commands_ && all_keys_ && all_channels_; }
  bool reads_all_keys() const;

  /// "-@all +get", "~cache:* %R~x", "&news:*" as ACL GETUSER shows them, and all of it as ACL LIST does.
  std::string describe_commands() const;
  std::string describe_keys() const;
  std::string describe_channels() const;
  std::string describe() const;

 private:
  enum Right : uint8_t { kRead = 1, kWrite = 2 };
  struct KeyPattern {
    std::string glob;
    uint8_t rights;
  };
  struct CommandRule {
    bool allow;
    uint32_t categories;  // 0: by name; all bits: @all
    std::string name;     // of the category or command, lower case
    bool covers(const resp::CommandSpec& spec) const;
  };

  static uint8_t rights_for(uint32_t key_flags);
  AclVerdict check_keys(const resp::CommandSpec& spec, const resp::Command& command, KeyUses& keys) const;
  AclVerdict check_channels(const resp::CommandSpec& spec, const resp::Command& command) const;
  bool allows_unlisted(const resp::CommandSpec& spec) const;
  std::string_view add_key_pattern(std::string_view rule);
  std::string_view add_channel(std::string_view pattern);
  std::string_view change_command(std::string_view name, bool allow);
  std::string_view allow_first_arg(std::string_view command, std::string_view arg);
  std::string_view change_category(std::string_view name, bool allow);
  void change_all(bool allow);
  void change(const resp::CommandSpec& spec, bool allow);
  void note_rule(CommandRule rule);

  bool all_commands_ = false;  // "+@all", and nothing taken away since
  bool all_keys_ = false;
  bool all_channels_ = false;
  bool starts_with_all_ = false;
  std::vector<bool> allowed_;                                 // by CommandSpec::id
  std::vector<std::pair<uint16_t, std::string>> first_args_;  // "+select|0": a command that is allowed with it only
  std::vector<CommandRule> rules_;                            // since "+@all" or "-@all"
  std::vector<KeyPattern> keys_;
  std::vector<std::string> channels_;
};

}  // namespace corral::policy

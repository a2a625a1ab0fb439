// A command with what a rule adds to it, in one transaction: MULTI, the command, PEXPIREs, EXEC, sent in one piece and
// executed as a whole or not at all. The client sees the command's own reply, and its own error where it is refused
// before EXEC.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::policy {
struct TtlRule;
}

namespace corral::core {

struct RuleStats;
class Worker;

inline constexpr std::string_view kMultiFrame = "*1\r\n$5\r\nMULTI\r\n";
inline constexpr std::string_view kExecFrame = "*1\r\n$4\r\nEXEC\r\n";

/// What is sent behind commands, so that each key that they write has the TTL that its rule asks for.
class FollowUps {
 public:
  /// `database`: that of the commands, and of the connection.
  FollowUps(Worker& worker, uint16_t database) : worker_(worker), home_(database), database_(database), at_(database) {}

  /// Of the keys that the command writes; none if no rule is about their TTL. A key that is there already is not
  /// added again.
  void add(const resp::Command& command, const resp::CommandSpec& spec);
  /// Among the commands there is a SELECT: those after it are of another database.
  void select(std::string_view database);
  /// After the last: the connection is in its own database again.
  void finish();

  bool empty() const { return commands_.empty(); }
  uint32_t count() const { return static_cast<uint32_t>(commands_.size()); }
  /// All of them, one frame behind the other.
  const std::string& bytes() const { return bytes_; }
  std::string_view frame(uint32_t i) const;
  /// Counts what the replies to them say was done; `failed`: the command was refused, and has left nothing.
  void count_effects(const std::vector<std::string_view>& replies, bool failed) const;

 private:
  enum class Kind : uint8_t { kSelect, kDefault, kCap, kLook };
  struct FollowUp {
    Kind kind;
    size_t end;                    // in bytes_
    RuleStats* of_rule = nullptr;  // null for kSelect
  };
  void add_key(std::string_view key, int64_t database, const policy::TtlRule& rule, bool cap);
  void go_to(int64_t database);
  void append(Kind kind, std::initializer_list<std::string_view> args, RuleStats* of_rule = nullptr);

  Worker& worker_;
  const int64_t home_;
  int64_t database_;  // of the commands
  int64_t at_;        // where the next one will be executed; -1: it is not known
  std::string bytes_;
  std::vector<FollowUp> commands_;
  std::map<std::pair<int64_t, std::string>, bool> added_;  // database and key; whether it has been capped
};

class TtlPiece final : public Piece {
 public:
  /// `whole` is the command's own request, which is answered with the command's own reply.
  static void start(Worker& worker, const Request& whole, std::string_view command, FollowUps follow_ups);

  void begin() override;
  bool take(std::string_view reply) override;
  std::string_view verdict() override { return verdict_; }
  void on_reply(uint32_t part, std::string_view reply) override;

 private:
  TtlPiece(Worker& worker, const Request& whole, FollowUps follow_ups)
      : worker_(worker), whole_(whole), follow_ups_(std::move(follow_ups)) {}

  Worker& worker_;
  const Request whole_;  // holds a reference to the session
  const FollowUps follow_ups_;
  uint32_t taken_ = 0;
  std::string error_;  // the first before EXEC's reply
  std::string verdict_;
};

}  // namespace corral::core

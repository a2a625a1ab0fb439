// A user: whether and how clients may be it, and what they may do then. Immutable once all its rules have been applied.
//
// Rules are those of ACL SETUSER: "on", ">password", "~cache:*", "+@read", "(~pub:* +get)" ...
// Source: Redis 7.0, acl.c, ACLSetUser and ACLCheckAllUserCommandPerm; https://redis.io/docs/management/security/acl.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/acl_selector.h"

namespace corral::policy {

class AclUser {
 public:
  /// As it is before any rule: off, and may do nothing.
  explicit AclUser(std::string name) : name_(std::move(name)) {}

  /// Why the rule is none, in Redis' words; empty: it has taken effect. A selector is one rule.
  std::string_view apply(std::string_view rule);

  const std::string& name() const { return name_; }
  bool enabled() const { return enabled_; }
  bool needs_no_password() const { return no_password_; }
  /// Was made by rules that begin anew, as those of ACL files: Redis 7.0 tells `sanitize-payload` of these only.
  bool sanitizes() const { return sanitizes_; }
  /// SHA-256, in hex.
  const std::vector<std::string>& passwords() const { return passwords_; }
  /// Whether a client that gives this password is this user.
  bool accepts(std::string_view password) const;
  /// Every client is this user, from the start.
  bool is_open() const { return enabled_ && no_password_; }

  /// No check can fail.
  bool unrestricted() const { return unrestricted_; }
  /// `uses` is scratch.
  AclVerdict check(const resp::CommandSpec& spec, const resp::Command& command, std::vector<resp::KeyUse>& uses) const;
  /// Whether it may run a command that tells the names of keys, whatever they are, and read all keys.
  bool may_run_on_all(const resp::CommandSpec& spec, const resp::Command& command) const;
  /// What can be said as long as not all arguments are there.
  bool may_run(const resp::CommandSpec& spec, const resp::Command& command) const;
  /// Likewise, with the key at `arg`, to which it does what the flags say (of resp::KeyFlag).
  bool may_use(const resp::CommandSpec& spec, const resp::Command& command, uint32_t arg, uint32_t flags) const;
  /// Of one that subscribes.
  bool may_receive(std::string_view channel, bool is_pattern) const;

  /// The first is the one that rules outside of parentheses are about.
  const std::vector<AclSelector>& selectors() const { return selectors_; }
  /// The rules that make it, as ACL LIST shows them; with hashes for passwords.
  std::string describe() const;

 private:
  std::string_view apply_password(std::string_view rule);
  std::string_view add_selector(std::string_view rules);
  void reset();
  bool reads_all_keys(const resp::CommandSpec& spec, const resp::Command& command, AclSelector::KeyUses& keys) const;

  std::string name_;
  bool enabled_ = false;
  bool no_password_ = false;
  bool unrestricted_ = false;
  bool sanitizes_ = false;  // is only told
  std::vector<std::string> passwords_;
  std::vector<AclSelector> selectors_ = std::vector<AclSelector>(1);
};

}  // namespace corral::policy

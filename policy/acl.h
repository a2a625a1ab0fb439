// The users, from lines of the settings as redis.conf and Redis' ACL files have them:
//
//   user alice on >secret ~cache:* +@read (~queue:* +@list)
//
// There is always a user "default", which is what clients are that have not said otherwise. If no line tells of it, it
// needs no password and may do everything.
// Source: Redis 7.0, acl.c; https://redis.io/docs/management/security/acl.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/acl_user.h"

namespace corral::policy {

/// A line, taken apart. What belongs to one selector is one rule, also where it was written as several words.
struct AclLine {
  std::string user;
  std::vector<std::string> rules;

  /// Why it is no such line; empty: it is. It never shows a word, since any may be a password.
  std::string read(std::string_view line);
  /// A line that reads to the same user and shows no password: it has its hash instead.
  std::string without_passwords() const;
};

class Acl {
 public:
  Acl();

  /// Adds the user of a line. Why that cannot be, in Redis' words; empty: the user is there.
  std::string add(std::string_view line);
  std::string add(const AclLine& line);

  const AclUser& default_user() const { return users_.find("default")->second; }
  /// A line has told of it.
  bool default_is_configured() const { return default_is_configured_; }
  const AclUser* find(std::string_view name) const;
  /// Null unless a client that gives this name and password is that user.
  const AclUser* authenticate(std::string_view name, std::string_view password) const;
  /// By name.
  const std::map<std::string, AclUser, std::less<>>& users() const { return users_; }

 private:
  std::map<std::string, AclUser, std::less<>> users_;
  bool default_is_configured_ = false;
};

}  // namespace corral::policy

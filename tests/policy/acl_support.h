// Users from lines, and what they may do with a request in words, for the tests of access control.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "command_maker.h"
#include "policy/acl.h"

namespace corral::test {

/// The only user of a line, besides "default".
inline policy::AclUser make_user(std::string_view rules) {
  policy::Acl acl;
  EXPECT_EQ(acl.add("user somebody " + std::string(rules)), "");
  return *acl.find("somebody");
}

/// Why not, as ACL DRYRUN answers; "OK".
inline std::string dry_run(const policy::AclUser& user, const Words& words) {
  CommandMaker maker;
  std::vector<resp::KeyUse> uses;
  const resp::CommandSpec& spec = *spec_of(words);
  const policy::AclVerdict verdict = user.check(spec, maker.make(words), uses);
  switch (verdict.refusal) {
    case policy::AclRefusal::kNone:
    case policy::AclRefusal::kNaming:  // found out when it runs
      return "OK";
    case policy::AclRefusal::kCommand:
      return "This user has no permissions to run the '" + std::string(spec.name) + "' command";
    case policy::AclRefusal::kKey:
      return "This user has no permissions to access the '" + words.at(verdict.arg) + "' key";
    case policy::AclRefusal::kChannel:
      return "This user has no permissions to access the '" + words.at(verdict.arg) + "' channel";
  }
  return "?";
}

inline std::string dry_run(const policy::AclUser& user, std::string_view request) {
  return dry_run(user, split_words(request));
}

}  // namespace corral::test

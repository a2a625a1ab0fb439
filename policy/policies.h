// All that the settings say about commands and keys, as one immutable whole: a reload replaces it at once, so that no
// request sees a part of the old and a part of the new.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "policy/acl.h"
#include "policy/guard.h"
#include "policy/rule_book.h"

namespace corral::policy {

struct Policies {
  Acl acl;
  bool protected_mode = true;
  Guard guard{{}};
  RuleBook rules;
  bool del_as_unlink = true;                      // what DEL is sent as
  uint64_t max_value_bytes = 512ull << 20;        // of one argument
  uint64_t least_max_value_bytes = 512ull << 20;  // of it and what the rules say

  /// Who is not of this machine is not let in: anyone may do everything, and nobody has said that this is wanted.
  bool is_for_this_machine() const {
    return protected_mode && acl.default_user().is_open() && !acl.default_is_configured();
  }

  /// The name of the command that is sent instead of another; empty: it is sent as it is.
  std::string_view sent_as(const resp::CommandSpec& spec) const {
    return del_as_unlink ? spec.lazy_form : std::string_view();
  }
};

using PoliciesPtr = std::shared_ptr<const Policies>;

}  // namespace corral::policy

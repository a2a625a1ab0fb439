// All that the settings say about commands and keys, as one immutable whole: a reload replaces it at once, so that no
// request sees a part of the old and a part of the new.
#pragma once

#include <cstdint>
#include <memory>

#include "policy/guard.h"
#include "policy/rule_book.h"

namespace corral::policy {

struct Policies {
  Guard guard{{}};
  RuleBook rules;
  bool keys_denied = false;                       // KEYS is refused; else it is a bounded scan
  bool del_as_unlink = true;                      // what DEL is sent as
  uint64_t max_value_bytes = 512ull << 20;        // of one argument
  uint64_t least_max_value_bytes = 512ull << 20;  // of it and what the rules say
};

using PoliciesPtr = std::shared_ptr<const Policies>;

}  // namespace corral::policy

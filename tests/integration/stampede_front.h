// What the tests of stampedes talk to: a front with rules for leases, its counters, and the controls. Without
// protection the tests must fail, or they are worth nothing: CORRAL_TEST_STAMPEDE=0 leaves it out of the rules, and
// with CORRAL_TEST_TARGET=redis there is no Corral.
//
// CORRAL_WAIT_MS (5000) is how long clients wait where they are to be woken, more than a busy machine ever needs.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/env.h"
#include "support/front.h"

namespace corral::test {

inline int wait_ms() { return static_cast<int>(from_environment("CORRAL_WAIT_MS", 5000)); }

// What protects from stampedes, and is left out where the tests are to fail.
inline std::string protection(const std::string& toml) {
  return from_environment("CORRAL_TEST_STAMPEDE", 1) ? toml : "";
}

// A rule for the keys PREFIX:*, with what TOML says of stampedes ("lease = ...") and more lines of it.
inline std::string stampede_rule(const std::string& prefix, const std::string& stampede, const std::string& more = "") {
  std::string rule = "[[rule]]\nname = \"" + prefix + "\"\nmatch = [\"" + prefix + ":*\"]\n" + more;
  if (!stampede.empty()) rule += protection("stampede = { " + stampede + " }\n");
  return rule;
}

inline std::string milliseconds_text(int64_t ms) { return "\"" + std::to_string(ms) + "ms\""; }

// A key that no other test has, under a rule.
inline std::string fresh_key(const std::string& prefix) {
  static int count = 0;
  return prefix + ":" + std::to_string(++count);
}

// A number of `# Corral`; 0 where there is no Corral.
inline int64_t counter_of(Front& front, const std::string& name) {
  return Front::is_control() ? 0 : front.corral().counter(name);
}

// Until so many more reads wait than did at `before`. Not in the controls, where none does.
inline void require_waits(Front& front, int64_t before, int64_t more) {
  if (Front::is_control() || !from_environment("CORRAL_TEST_STAMPEDE", 1)) return;
  require_eventually("readers wait", [&] { return front.corral().counter("waits") >= before + more; });
}

}  // namespace corral::test

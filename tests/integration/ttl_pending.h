// What the TTL rules do not do yet as they should: each is false until it is mended, and then goes from here.
#pragma once

namespace corral::test {

inline constexpr bool kRepeatedTtlOptions = false;  // SET key value EX 1 EX 2
inline constexpr bool kForgottenScripts = false;    // EVALSHA of a script that its node no longer has
inline constexpr bool kOtherDatabases = false;      // SELECT within MULTI, COPY DB, before one server
inline constexpr bool kLargeValues = false;         // that are uploaded

}  // namespace corral::test

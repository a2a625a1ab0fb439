// Redis' glob patterns (KEYS, SCAN MATCH, rules): '*', '?', '[a-z]', '[^...]', '\' before a literal character.
// Source: Redis 7.0, util.c, stringmatchlen; https://redis.io/commands/keys.
#pragma once

#include <string_view>

namespace corral::policy {

/// Whether all of `text` matches. Takes time in proportion to the product of the lengths at worst; allocates nothing.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace corral::policy

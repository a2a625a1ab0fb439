// What a rule makes of the time to live in a command.
//
// Commands that say a TTL themselves (SET, GETEX, EXPIRE ...) are written anew, so that they say what the rule wants:
// one command, and its own reply. For the others, and where Redis has no form for it (SET KEEPTTL), Corral adds
//   PEXPIRE key default NX     a TTL if there is none
//   PEXPIRE key max LT         no more than that
// to the command, in one transaction (proxy/core/ttl_piece.h).
//
// The jitter is for the default and for the TTLs that come with a value (SET, SETEX and kin), since that is where many
// keys that expire at once come from: evenly over [ttl * (1 - jitter), ttl]. EXPIRE and kin are taken at their word,
// and capped.
//
// Where the rule keeps keys for longer than their TTL (stale_ms), it is what clients see that the maximum, the default
// and the jitter are about: what is stored is that and stale_ms, whatever the key's type; who asks is told that much
// less. A command that deletes at once, by a time that is past, stays what it is.
//
// A command that Redis would refuse for its arguments is left as it is, for Redis to refuse.
// Source: Redis 7.0, t_string.c (parseExtendedStringArgumentsOrReply), expire.c (expireGenericCommand), cluster.c
// (restoreCommand).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/rule_book.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::policy {

struct TtlContext {
  int64_t wall_ms;  // now, since 1970
  uint64_t random;
  bool drop_nx = false;  // to the client the key was absent, although it is there: SET is sent without NX (and without
                         // KEEPTTL), SETNX as SET; but for SET GET, which would show what is there
};

/// The rule's default with its jitter, and not over its maximum; in milliseconds, as clients see it.
int64_t default_ttl_ms(const TtlRule& rule, uint64_t random);

struct TtlVerdict {
  enum class Form : uint8_t {
    kAsItCame,
    kRewritten,
    kAddPExpire,  // no form of the command does it
  };
  Form form = Form::kAsItCame;
  bool without = false;        // as it came it would leave its key without a TTL
  bool clamped = false;        // it said a TTL over the maximum, and does not any more
  bool integer_reply = false;  // kRewritten: +OK is to become :1, and nil :0
};

/// For the effects from kSet on: what the rule makes of the command. `rewritten` is overwritten, with one frame, if the
/// form is kRewritten.
TtlVerdict judge_ttl(const TtlRule& rule, resp::TtlEffect effect, const resp::Command& command,
                     const TtlContext& context, std::string& rewritten);

/// SET without its KEEPTTL.
std::string without_keepttl(const resp::Command& set);

/// Of a key that is stored for longer than its TTL: what a command that tells a TTL is sent as ...
std::string_view told_by(resp::TtlEffect effect);
/// ... and what its client is told, where that says `stored_ms` (-2: no key, -1: no TTL). As Redis rounds it: 7.0,
/// expire.c, ttlGenericCommand.
int64_t visible_ttl(resp::TtlEffect effect, int64_t stale_ms, int64_t stored_ms);

}  // namespace corral::policy

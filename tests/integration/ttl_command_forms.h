// Every write command of Redis 7.0 in every documented form, for TtlCommandMix. A test holds this list against the
// command table and against the servers' own COMMAND DOCS, so that neither a command nor an option can be forgotten.
//
// A word that holds a % ends in a placeholder:
//   %str %num %hash %list %set %zset %geo %stream %hll %bits   a key that mostly has this type
//   %key    any key        %far     a key of any slot that the connection may use: for what a proxy splits
//   %v      a value        %m       one of a few members       %i %f      a small integer, a float
//   %id     a stream id, growing                               %lon %lat  one of a few coordinates
//   %s %ms  a TTL that does not run out during the test, from minutes to years; in seconds, milliseconds
//   %at %atms  such a moment, since 1970                       %gone %gonems  one that is past
//   %dump   what DUMP says of some value                       %sha       of one of the scripts in kScripts
//   %empty  an empty word
// Square brackets hold what is optional, or one of several: [NX|XX], [COUNT 3]. Groups in a row come in any order.
#pragma once

#include "ttl_command_mix.h"

namespace corral::test {

struct TtlForm {
  const char* words;
  Like like = Like::kSame;
  bool damageable = true;  // with a word too many or too few it still does what both servers do alike
  bool may_wait = false;   // it can take its timeout
};

// Loaded into both servers before the run, for EVALSHA. Lua needs no blanks where it has brackets.
inline constexpr const char* kScripts[] = {
    "return redis.call('set', KEYS[1], ARGV[1] or 'x')",
    "redis.call('rpush', KEYS[1], 'a') return redis.call('hset', KEYS[2] or KEYS[1], 'f', 'v')",
    "redis.call('incr', KEYS[1]) return redis.error_reply('MINE after a write')",
};

// For FCALL.
inline constexpr const char* kFunctions =
    "#!lua name=ttlmix\n"
    "redis.register_function('ttl_set', function(keys, args) return redis.call('set', keys[1], args[1] or 'x') end)\n"
    "redis.register_function('ttl_move', function(keys) return redis.call('rename', keys[1], keys[2]) end)\n"
    "redis.register_function('ttl_drop', function(keys) return redis.pcall('sadd', keys[1], 'm1', 'm2') end)\n";

inline constexpr TtlForm kTtlForms[] = {
    // Strings.
    {"SET %str %v [EX %s|PX %ms|EXAT %at|PXAT %atms|KEEPTTL] [NX|XX] [GET]"},
    {"SET %key %v [EX %s|PX %ms|EXAT %at|PXAT %atms|KEEPTTL] [NX|XX] [GET]"},
    {"SET %str %v"},
    {"SET %num %i"},
    {"SET %str %v [EXAT %gone|PXAT %gonems]"},
    {"SET %str %v [EX 0|PX -1|EX x|EX 9223372036854775807|PX 9223372036854775807|EXAT 0] [GET]"},
    {"SET %str %v [EX 5000 PX 5000|EX 5000 KEEPTTL|NX XX|EX|BOGUS|PERSIST]"},
    {"SET %str %v [EX %s EX %s|EXAT %at EXAT %at|PX %ms PX %ms|PXAT %atms PXAT %atms]"},
    {"SETNX %str %v"},
    {"GETSET %str %v"},
    {"SETEX %str %s %v"},
    {"SETEX %str %i %v EXTRA"},
    {"SETEX %str 0 %v"},
    {"PSETEX %str %ms %v"},
    {"PSETEX %str -5 %v"},
    {"GETEX %str [EX %s|PX %ms|EXAT %at|PXAT %atms|PERSIST]"},
    {"GETEX %key [EX %s|PX %ms|EXAT %at|PXAT %atms|PERSIST]"},
    {"GETEX %str [EX %s EX %s|EXAT %at EXAT %at|PERSIST PERSIST]"},
    {"GETEX %str [EXAT %gone|PXAT %gonems]"},
    {"GETEX %str [EX 0|PX -3|EX|PERSIST EX 5000|NX]"},
    {"GETDEL %str"},
    {"APPEND %str %m"},
    {"SETRANGE %str 7 %m"},
    {"SETRANGE %str 0 %empty"},
    {"SETBIT %bits 77 1"},
    {"BITFIELD %bits [OVERFLOW WRAP|OVERFLOW SAT|OVERFLOW FAIL] SET u8 0 200 INCRBY u8 0 100 GET i8 0"},
    {"BITFIELD %bits GET u4 0"},
    {"BITOP AND %bits %bits %str"},
    {"BITOP OR %bits %bits %bits"},
    {"BITOP XOR %bits %bits %bits"},
    {"BITOP NOT %bits %bits"},
    {"INCR %num"},
    {"DECR %num"},
    {"INCRBY %num %i"},
    {"DECRBY %num %i"},
    {"INCRBYFLOAT %num %f"},
    {"MSET %far %v %far %v %far %v", Like::kSame, false},
    {"MSET %far %v", Like::kSame, false},
    {"MSETNX %str %v %str %v", Like::kSame, false},
    {"MSETNX %key %v %key %v", Like::kSame, false},
    // Any key.
    {"DEL %far %far"},
    {"DEL %key"},
    {"UNLINK %far"},
    {"RENAME %str %str"},
    {"RENAME %key %key"},
    {"RENAMENX %key %key"},
    {"COPY %key %key [DB 0] [REPLACE]"},
    {"MOVE %key 0", Like::kErrors},
    {"EXPIRE %key %s"},
    {"EXPIRE %key %s [NX|XX|GT|LT|NX GT|GT LT]", Like::kAside},
    {"EXPIRE %key -1 [LT]"},
    {"EXPIRE %key [9223372036854775807|x|0]"},
    {"PEXPIRE %key %ms"},
    {"PEXPIRE %key %ms [NX|XX|GT|LT|XX GT|XX LT]", Like::kAside},
    {"PEXPIRE %key -1"},
    {"EXPIREAT %key %at"},
    {"EXPIREAT %key %at [NX|XX|GT|LT]", Like::kAside},
    {"EXPIREAT %key %gone"},
    {"PEXPIREAT %key %atms"},
    {"PEXPIREAT %key %atms [NX|XX|GT|LT]", Like::kAside},
    {"PEXPIREAT %key %gonems"},
    {"PERSIST %key", Like::kAside},
    {"RESTORE %key 0 %dump [REPLACE] [IDLETIME 7|FREQ 3]"},
    {"RESTORE %key %ms %dump [REPLACE] [IDLETIME 7|FREQ 3]"},
    {"RESTORE %key 0 %dump [ABSTTL] [REPLACE]"},
    {"RESTORE %key %atms %dump ABSTTL [REPLACE] [IDLETIME 7|FREQ 3]"},
    {"RESTORE %key %gonems %dump ABSTTL [REPLACE]"},
    {"RESTORE %key [0 garbage|-1 x|x x|0 x BOGUS|0 x IDLETIME -1|0 x FREQ 256]"},
    {"MIGRATE 127.0.0.1 1 %key 0 50 [COPY] [REPLACE] [AUTH p|AUTH2 n p]"},
    {"MIGRATE 127.0.0.1 1 %empty 0 50 [COPY] [REPLACE] [AUTH p|AUTH2 n p] KEYS %key %key"},
    {"SORT %list [LIMIT 0 5] [ASC|DESC] [ALPHA]"},
    {"SORT %set ALPHA [ASC|DESC] STORE %list"},
    {"SORT %key [BY nosort] [LIMIT 0 5] [ASC|DESC] [ALPHA] STORE %key"},
    {"SORT %list ALPHA GET #", Like::kNotInCluster},
    // Hashes.
    {"HSET %hash %m %v"},
    {"HSET %hash %m %v %m %i"},
    {"HMSET %hash %m %v"},
    {"HSETNX %hash %m %v"},
    {"HINCRBY %hash %m %i"},
    {"HINCRBYFLOAT %hash %m %f"},
    {"HDEL %hash %m %m"},
    // Lists.
    {"LPUSH %list %v %m"},
    {"RPUSH %list %i"},
    {"LPUSHX %list %m"},
    {"RPUSHX %list %m"},
    {"LINSERT %list BEFORE %m %v"},
    {"LINSERT %list AFTER %m %v"},
    {"LSET %list %i %v"},
    {"LSET %list 0 %v"},
    {"LPOP %list"},
    {"RPOP %list 3"},
    {"LREM %list 1 %m"},
    {"LTRIM %list 0 30"},
    {"LMOVE %list %list [LEFT RIGHT|RIGHT LEFT|LEFT LEFT|RIGHT RIGHT|LEFT]"},
    {"LMOVE %list %key RIGHT LEFT"},
    {"RPOPLPUSH %list %list"},
    {"LMPOP 2 %list %list [LEFT|RIGHT] [COUNT 2]", Like::kSame, false},
    {"BLPOP %list %list 0.01", Like::kSame, false, true},
    {"BRPOP %list 0.01", Like::kSame, false, true},
    {"BLMOVE %list %list RIGHT LEFT 0.01", Like::kSame, false, true},
    {"BLMOVE %list %key LEFT RIGHT 0.01", Like::kSame, false, true},
    {"BRPOPLPUSH %list %list 0.01", Like::kSame, false, true},
    {"BLMPOP 0.01 2 %list %list LEFT [COUNT 2]", Like::kSame, false, true},
    {"BLMPOP 0.01 1 %list RIGHT", Like::kSame, false, true},
    {"BLMOVE %list %list RIGHT LEFT x"},
    // Sets.
    {"SADD %set %m %m"},
    {"SADD %set %i %i"},
    {"SREM %set %m %i"},
    {"SPOP %set 1000", Like::kUnordered, false},
    {"SMOVE %set %set %m"},
    {"SMOVE %set %key %m"},
    {"SINTERSTORE %set %set %set"},
    {"SUNIONSTORE %set %set %set"},
    {"SUNIONSTORE %key %set %set"},
    {"SDIFFSTORE %set %set %set"},
    // Sorted sets.
    {"ZADD %zset %f %m %i %m"},
    {"ZADD %zset [NX|XX] [GT|LT] [CH] %f %m"},
    {"ZADD %zset [NX|XX|GT|LT] INCR 1 %m"},
    {"ZADD %zset nan %m"},
    {"ZINCRBY %zset %f %m"},
    {"ZREM %zset %m"},
    {"ZREMRANGEBYRANK %zset 5 9"},
    {"ZREMRANGEBYSCORE %zset 100 200"},
    {"ZREMRANGEBYLEX %zset - +"},  // of members with different scores a part is unspecified (ZRANGEBYLEX)
    {"ZPOPMIN %zset"},
    {"ZPOPMAX %zset 2"},
    {"ZMPOP 2 %zset %zset [MIN|MAX] [COUNT 2]", Like::kSame, false},
    {"BZPOPMIN %zset %zset 0.01", Like::kSame, false, true},
    {"BZPOPMAX %zset 0.01", Like::kSame, false, true},
    {"BZMPOP 0.01 1 %zset MIN [COUNT 2]", Like::kSame, false, true},
    {"BZMPOP 0.01 1 %zset MAX", Like::kSame, false, true},
    {"ZUNIONSTORE %zset 2 %zset %set [WEIGHTS 2 3] [AGGREGATE SUM|AGGREGATE MIN|AGGREGATE MAX]"},
    {"ZINTERSTORE %zset 2 %zset %zset [WEIGHTS 2 3] [AGGREGATE SUM|AGGREGATE MIN|AGGREGATE MAX]"},
    {"ZDIFFSTORE %zset 2 %zset %zset"},
    {"ZUNIONSTORE %key 1 %zset"},
    {"ZUNIONSTORE %zset 9 %zset"},
    {"ZRANGESTORE %zset %zset 0 3 [REV]"},
    {"ZRANGESTORE %zset %zset -inf +inf BYSCORE [LIMIT 0 3]"},
    {"ZRANGESTORE %zset %zset - + BYLEX [LIMIT 0 3]"},
    {"ZRANGESTORE %key %zset 100 200 BYSCORE"},
    // Places.
    {"GEOADD %geo [NX|XX] [CH] %lon %lat %m"},
    {"GEOSEARCHSTORE %geo %geo FROMLONLAT %lon %lat [BYBOX 400 400 KM|BYRADIUS 900 MI] [ASC|DESC] [COUNT 3|COUNT 2 "
     "ANY]"},
    {"GEOSEARCHSTORE %zset %geo FROMMEMBER %m [BYRADIUS 9000 FT|BYRADIUS 900000 M] [STOREDIST]"},
    {"GEORADIUS %geo %lon %lat 500 KM [COUNT 5|COUNT 5 ANY] [ASC|DESC] [STORE %zset|STOREDIST %zset]"},
    {"GEORADIUS %geo %lon %lat [500 MI|9000 FT] [WITHCOORD] [WITHDIST] [WITHHASH]"},
    {"GEORADIUS %geo %lon %lat 500000 M STORE %zset STOREDIST %zset"},
    {"GEORADIUSBYMEMBER %geo %m 500 KM [COUNT 5|COUNT 5 ANY] [ASC|DESC] [STORE %zset|STOREDIST %zset]"},
    {"GEORADIUSBYMEMBER %geo %m [500 MI|9000 FT|5000 M] [WITHCOORD] [WITHDIST] [WITHHASH]"},
    {"GEORADIUS %geo %lon %lat 500 KM WITHDIST STORE %zset"},
    // Cardinalities.
    {"PFADD %hll %m %v"},
    {"PFADD %hll"},
    {"PFMERGE %hll %hll %hll"},
    {"PFMERGE %hll"},
    {"PFDEBUG ENCODING %hll", Like::kSame, false},
    // Streams.
    {"XADD %stream [NOMKSTREAM] [MAXLEN 50|MAXLEN = 50|MAXLEN ~ 50|MAXLEN ~ 50 LIMIT 9|MINID 1-1|MINID ~ 1-1] %id %m "
     "%v"},
    {"XADD %stream [NOMKSTREAM] * %m %v"},
    {"XADD %stream 7-* %m %v"},
    {"XADD %stream 8-* %m %v"},
    {"DEL %stream %str"},
    {"XADD %stream bogus %m %v"},
    {"XADD %stream %id %m"},
    {"XDEL %stream %id"},
    {"XTRIM %stream [MAXLEN 30|MAXLEN = 30|MAXLEN ~ 30 LIMIT 5|MINID 1-1|MINID = 1-1]"},
    {"XSETID %stream %id [ENTRIESADDED 100000 MAXDELETEDID 0-1]"},
    {"XGROUP CREATE %stream g1 [0|$|%id] [MKSTREAM] [ENTRIESREAD 1]"},
    {"XGROUP CREATE %stream g1 0 MKSTREAM"},
    {"XGROUP CREATE %stream g1 $ MKSTREAM"},
    {"XGROUP CREATE %stream g2 $ MKSTREAM"},
    {"XGROUP CREATE %key g2 $ MKSTREAM"},
    {"XGROUP SETID %stream g1 [0|$] [ENTRIESREAD 1]"},
    {"XGROUP DESTROY %stream g2"},
    {"XGROUP CREATECONSUMER %stream g1 c1"},
    {"XGROUP DELCONSUMER %stream g1 c2"},
    {"XREADGROUP GROUP g1 c1 [COUNT 2] [NOACK] STREAMS %stream >"},
    {"XREADGROUP GROUP g1 c1 COUNT 2 BLOCK 10 STREAMS %stream >", Like::kSame, false, true},
    {"XREADGROUP GROUP g1 c2 COUNT 2 STREAMS %stream 0"},
    {"XACK %stream g1 %id"},
    {"XCLAIM %stream g1 c2 0 %id [IDLE 5|TIME 1000] [RETRYCOUNT 3] [FORCE] [JUSTID] [LASTID 3-1]"},
    {"XAUTOCLAIM %stream g1 c2 0 0 [COUNT 3] [JUSTID]"},
    // Scripts and functions that write the keys they declare.
    {"EVAL return(redis.call('set',KEYS[1],ARGV[1])) 1 %str %v"},
    {"EVAL redis.call('hset',KEYS[1],'f','v')return(redis.call('rpush',KEYS[2],'x')) 2 %hash %list"},
    {"EVAL return(redis.call('persist',KEYS[1])) 1 %key", Like::kAside},
    {"EVAL return(redis.call('pexpire',KEYS[1],99999999999)) 1 %key"},
    {"EVAL return(redis.call('rename',KEYS[1],KEYS[2])) 2 %key %key"},
    {"EVAL return{redis.pcall('incr',KEYS[1]),redis.pcall('lpush',KEYS[2],'x')} 2 %num %key"},
    {"EVAL redis.call('del',KEYS[1])redis.call('set',KEYS[1],'x')return(redis.error_reply('MINE')) 1 %key"},
    {"EVAL return(nonsense 1 %key"},
    {"EVALSHA %sha 1 %str", Like::kSame, false},
    {"EVALSHA %sha 2 %list %hash"},
    {"EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 %key"},
    {"FCALL ttl_set 1 %str %v"},
    {"FCALL ttl_move 2 %key %key", Like::kSame, false},
    {"FCALL ttl_drop 1 %key"},
    {"FCALL nothing 1 %key"},
};

// So that a difference in what was written shows soon.
inline constexpr TtlForm kReadForms[] = {
    {"GET %str"},
    {"GET %num"},
    {"HGETALL %hash", Like::kUnordered},
    {"LRANGE %list 0 -1"},
    {"SMEMBERS %set", Like::kUnordered},
    {"ZRANGE %zset 0 -1 WITHSCORES"},
    {"XRANGE %stream - +"},
    {"XLEN %stream"},
    {"PFCOUNT %hll"},
    {"TYPE %key"},
    {"EXISTS %key %key"},
    {"MGET %far %far"},
};

}  // namespace corral::test

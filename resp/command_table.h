// What every command of Redis is: its arity, flags, where its keys are, how Corral handles it and how the replies of
// its parts merge. The one place that knows commands by name: everything else asks a CommandSpec.
//
// The facts (arity, flags, categories, key specs) are generated from a server's own COMMAND into command_facts.inc;
// what Corral does with a command is said by hand in command_handling.inc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command.h"
#include "resp/reply_view.h"

namespace corral::resp {

enum class Handling : uint8_t {
  kForward,       // to the owner of its keys' slot; without keys to any master (the same one for a connection)
  kSplit,         // cut by slot, the parts' replies merged (by Merge)
  kFanOut,        // to all masters, or a walk over them; replies merged (by Merge)
  kLocal,         // answered by Corral itself (by Action)
  kTransaction,   // MULTI EXEC DISCARD WATCH UNWATCH
  kSubscription,  // SUBSCRIBE and kin
  kBlocking,      // BLPOP and kin: may wait for data (XREAD, XREADGROUP: only with BLOCK)
  kScript,        // EVAL EVALSHA FCALL and their _RO forms
};

enum class Merge : uint8_t {
  kNone,
  kArrayByKey,  // MGET: one element a key, in the order of the request
  kSum,         // DEL, EXISTS ...: integers added
  kKeyCount,    // DBSIZE: likewise, without keys of Corral's own
  kAllOk,       // MSET, FLUSHALL ...: OK if all say so, else the first error
  kFirst,       // SCRIPT LOAD: all answer the same
  kAnyOk,       // SCRIPT KILL: OK if any says so, else an error, of a busy node if there is one
  kBusiest,     // FUNCTION STATS: of the node that runs something, if there is one
  kMinimums,    // SCRIPT EXISTS: arrays of integers, the least of each place
  kScan,        // one cursor over all masters
  kKeys,        // KEYS
  kRandomKey,   // RANDOMKEY
};

/// What a command is among those of its handling, so that no handler needs names: for kLocal, kTransaction,
/// kBlocking, kSubscription and scripts. kRefuse: known, but not served through a proxy.
// clang-format off
enum class Action : uint8_t {
  kNone, kRefuse, kPing, kEcho, kQuit, kReset, kSelect, kHello, kAuth, kTime, kInfo, kReadOnly, kReadWrite,
  kClientId, kClientInfo, kClientList, kClientKill, kClientSetName, kClientGetName, kClientSetInfo, kClientNoEvict,
  kClientReply, kClientUnblock, kClientHelp, kClientNoTouch, kClientPause, kClientUnpause, kClientTracking, kClientCaching,
  kClientGetRedir, kClientTrackingInfo, kMonitor,
  kAclWhoAmI, kAclCat, kAclList, kAclUsers, kAclGetUser, kAclGenPass, kAclDryRun, kAclLog, kAclHelp,
  kAclChange,  // of users, who are configured
  kAclFile,
  kConfigGet, kConfigSet, kConfigResetStat, kSlowLogGet, kSlowLogLen, kSlowLogReset, kLatencyLatest, kLatencyHistory, kLatencyHistogram,
  kMemoryStats,
  kLongestText,  // of the masters' answers: advice
  kClusterInfo, kClusterSlots, kClusterShards, kClusterNodes, kClusterKeySlot, kClusterMyId,
  kClusterHelp, kCorralHelp, kCorralStats, kCorralTopology, kCorralReload, kCorralRules, kCorralRule, kCorralCache, kCorralLeases,
  kCorralHotKeys, kCorralBigKeys, kCorralSlowLog,
  kRole,    // as a master without replicas
  kHangUp,  // closes the connection without a reply
  kMulti, kExec, kDiscard, kWatch, kUnwatch, kWait,
  kEval, kEvalSha, kScriptLoad, kScriptFlush,
  kSubscribe, kPSubscribe, kSSubscribe, kUnsubscribe, kPUnsubscribe, kSUnsubscribe,
  kPublish, kSPublish, kPubSubChannels, kPubSubNumSub, kPubSubNumPat, kPubSubShardChannels, kPubSubShardNumSub,
};

/// What a command does to the time to live of the keys that it writes (written_keys()).
enum class TtlEffect : uint8_t {
  kNone,     // nothing, and it makes no key; or it is not served
  kCreates,  // makes what is missing, without a TTL; keeps the TTL of what is there (INCR, HSET)
  kOverwrites,  // puts something new in its place, without a TTL (MSET, the STORE commands)
  kCarries,     // puts another key in its place, with that one's TTL (RENAME, COPY)
  kPersist,     // takes it away
  kScript,      // anything, to the keys that it declares
  // These do nothing to it, but answer with it; -1 is none:
  kTtl, kPTtl, kExpireTime, kPExpireTime,
  // These say one themselves, in their arguments:
  kSet, kSetNx, kGetSet, kSetEx, kPSetEx, kGetEx, kRestore, kExpire, kPExpire, kExpireAt, kPExpireAt,
};

inline bool tells_ttl(TtlEffect effect) { return effect >= TtlEffect::kTtl && effect <= TtlEffect::kPExpireTime; }

/// When it does so, where that depends on what is there. Words are options behind the keys, and separated by spaces.
struct TtlCondition {
  std::string_view makes_with;     // makes what is missing only with one of these words ...
  std::string_view makes_without;  // ... only without these
  bool spares_present = false;     // does nothing where its target is there, unless it has this word:
  std::string_view spares_unless = {};
};

/// Whether a command's reply may be kept and given again: a reply that depends on one key alone.
enum class NearRead : uint8_t {
  kNo,
  kReply,  // on its first key, if it has no other (EXISTS)
  kString,  // likewise, and is that key's value, a string (GET)
  kByKey,  // each element on a key of its own, as the reply of GET would (MGET)
  kTtl,    // on what is known of a key that has such replies, in seconds
  kPttl,   // likewise, in milliseconds
};

// Bits of CommandSpec::flags, named as COMMAND INFO names them.
enum CommandFlag : uint32_t {
  kFlagWrite = 1u << 0, kFlagReadOnly = 1u << 1, kFlagDenyOom = 1u << 2, kFlagAdmin = 1u << 3, kFlagPubSub = 1u << 4,
  kFlagNoScript = 1u << 5, kFlagBlocking = 1u << 6, kFlagLoading = 1u << 7, kFlagStale = 1u << 8,
  kFlagSkipMonitor = 1u << 9, kFlagSkipSlowlog = 1u << 10, kFlagAsking = 1u << 11, kFlagFast = 1u << 12,
  kFlagNoAuth = 1u << 13, kFlagMayReplicate = 1u << 14, kFlagNoMandatoryKeys = 1u << 15, kFlagNoMulti = 1u << 16,
  kFlagMovableKeys = 1u << 17, kFlagAllowBusy = 1u << 18, kFlagNoAsyncLoading = 1u << 19,
};

// Bits of KeySpec::flags, named as COMMAND INFO names them.
enum KeyFlag : uint32_t {
  kKeyRo = 1u << 0, kKeyRw = 1u << 1, kKeyOw = 1u << 2, kKeyRm = 1u << 3, kKeyAccess = 1u << 4, kKeyUpdate = 1u << 5,
  kKeyInsert = 1u << 6, kKeyDelete = 1u << 7, kKeyNotKey = 1u << 8, kKeyIncomplete = 1u << 9, kKeyVariable = 1u << 10,
};
// clang-format on

/// A word that may stand among a command's options, for KeySpec::Begin::kOptions.
struct OptionWord {
  enum class Role : uint8_t {
    kSkip,         // its arguments are not keys, whatever they look like
    kKeys,         // keys follow it
    kBlock,        // skipped like kSkip, and the command may wait for data
    kNames,        // skipped; its argument says how keys are called that the command reads too (SORT's GET)
    kNamesByStar,  // likewise, but only if there is a '*' in it (BY)
  };
  std::string_view word;
  uint8_t arguments;  // that follow it; not counted for kKeys
  Role role;
};

/// Where some of a command's keys are: https://redis.io/docs/reference/key-specs. Indexes count the command's name as
/// 0.
///
/// kOptions is Corral's own form, for what Redis finds by code (SORT's STORE, the KEYS of MIGRATE): from begin_at on
/// the arguments are read as options, and the keys follow the word whose role is kKeys. If it takes a single key it may
/// be repeated, and the last one counts.
struct KeySpec {
  enum class Begin : uint8_t { kUnknown, kIndex, kKeyword, kOptions } begin;
  enum class Find : uint8_t { kUnknown, kRange, kKeyNum } find;
  uint32_t flags;  // of KeyFlag
  int16_t
      begin_at;  // kIndex: the argument; else where to start looking (kKeyword: negative is backwards, from the end)
  std::string_view keyword;   // kKeyword
  int16_t last, step, limit;  // kRange: last key relative to begin (negative: from the end), step, limit (see there)
  int16_t keynum, first_key;  // kKeyNum: where the count is and the first key, relative to begin; step as above
  std::span<const OptionWord> options = {};  // kOptions
  bool instead = false;  // if it finds keys, those of the specs before it must be empty arguments and are none
};

/// What the key specs' flags say at most and a request may mean less of: flags `drops` are not meant unless there is,
/// from argument `from` on, one of `words` (SET reads with GET only), or if `other_words`, something else than `words`
/// and their arguments (BITFIELD writes unless all it does is GET).
struct KeyVariation {
  uint32_t drops = 0;  // of KeyFlag; 0: the flags are always meant
  uint8_t from = 0;
  std::span<const OptionWord> words = {};
  bool other_words = false;
};

struct CommandSpec {
  std::string_view name;  // lower case; a subcommand's is "client|list"
  int16_t arity;          // as Redis: exact, or at least -arity; counts the command's name (and the subcommand's)
  uint32_t flags;         // of CommandFlag
  uint32_t categories;    // ACL categories, bit i: kCategoryNames[i]
  int16_t first_key, last_key, key_step;  // as in COMMAND INFO
  std::span<const KeySpec> keys;
  std::span<const CommandSpec> subcommands;
  Handling handling;
  Merge merge;
  Action action;
  uint16_t id;  // dense number, for statistics; commands that are looked up at run time share kUnlistedCommand
  /// Not 0: there is exactly one key and it is always this argument. The short way for GET, SET and most others.
  uint8_t only_key;
  /// Not 0: this argument is the number of a slot, whose owner the command is for (CLUSTER COUNTKEYSINSLOT).
  uint8_t slot_arg = 0;
  /// Of a kBlocking command, for blocking_timeout(). 0: the timeout stands behind a word, if anywhere; negative: from
  /// the end.
  int8_t timeout_arg = 0;
  bool timeout_in_ms = false;
  TtlEffect ttl = TtlEffect::kNone;
  TtlCondition ttl_condition = {};
  NearRead near_read = NearRead::kNo;
  /// Not 0: the argument so far behind each key becomes the key's value, a string (SET).
  uint8_t value_behind_key = 0;
  bool removes_keys = false;  // all of them (DEL)
  /// It writes, or its effect may reach the replicas though it is no write command (PUBLISH, EVAL ...).
  bool may_write = false;
  /// The command that does the same for the client and frees memory in the background (of DEL); empty: there is none.
  std::string_view lazy_form = {};
  KeyVariation key_variation = {};

  bool is(CommandFlag flag) const { return (flags & flag) != 0; }
  bool arity_fits(size_t argc) const {
    if (arity >= 0) return argc == static_cast<size_t>(arity);
    // Pairs up to the end (MSET): a server finds an odd one only after it has looked for the keys' owner.
    const bool pairs = key_step > 1 && last_key == -1;
    return argc >= static_cast<size_t>(-arity) && (!pairs || (argc - static_cast<size_t>(first_key)) % 2 == 0);
  }
};

inline constexpr uint16_t kUnlistedCommand = 0xFFFF;
/// Names in the table that Redis 7.0 does not have: CORRAL, and what newer clients send unasked.
extern const std::span<const std::string_view> kBeyondRedis70;
extern const std::span<const std::string_view> kCategoryNames;  // "@keyspace" is "keyspace"

/// All commands, subcommands within them.
std::span<const CommandSpec> all_commands();
/// CommandSpec::id is less than this, or kUnlistedCommand.
size_t command_id_count();
/// By name, any case; nullptr if the table lacks it. Allocates nothing; a few nanoseconds for the common commands.
const CommandSpec* find_command(std::string_view name);
/// Of a container ("client", "list"), any case; nullptr if it has no such subcommand.
const CommandSpec* find_subcommand(const CommandSpec& container, std::string_view name);

/// The key specs as the server declares them. spec.keys differs where those are incomplete (SORT, MIGRATE ...).
std::span<const KeySpec> declared_keys(const CommandSpec& spec);

/// The keys' argument indexes in the order of the request, duplicates included. False if the arguments do not make
/// sense (a numkeys that is no number or too large, a MSET without its last value ...): such a command is for any node
/// to refuse in its own words. The arity may be wrong too.
///
/// The channels of SPUBLISH, SSUBSCRIBE and SUNSUBSCRIBE are
/// told like keys, since they too have a slot; their KeySpec says kKeyNotKey.
bool find_keys(const CommandSpec& spec, const Command& command, std::vector<uint32_t>& indexes);

/// A key and what the command does to it.
struct KeyUse {
  uint32_t arg;
  uint32_t flags;  // of KeyFlag; in the order of the key specs
};
/// As find_keys(), but without channels.
bool find_key_uses(const CommandSpec& spec, const Command& command, std::vector<KeyUse>& uses);

/// The option by which the command also reads keys that its arguments do not name but describe (SORT's "by", "get");
/// empty if it does not.
std::string_view find_naming_option(const CommandSpec& spec, const Command& command);

/// Of find_keys(), those whose TTL the command may change by its TtlEffect.
bool find_written_keys(const CommandSpec& spec, const Command& command, std::vector<uint32_t>& indexes);

/// There may be keys that find_keys does not see: the spec says so (kUnknown, kKeyIncomplete), or none tells where the
/// movable keys are. Only for commands that the table lacks; COMMAND GETKEYS would tell.
bool keys_may_hide(const CommandSpec& spec);

/// kBlocking commands that will in fact not block (XREAD and XREADGROUP without BLOCK) are forwarded.
bool may_block(const CommandSpec& spec, const Command& command);

/// Which argument says how long a kBlocking command may wait at most; 0 there means for ever. What it holds has not
/// been looked at.
struct BlockingTimeout {
  uint32_t arg;
  bool milliseconds;  // a whole number of them; else seconds, which may have a fraction
};
/// None where the request has no such argument, does not block (XREAD without BLOCK), or the table does not know the
/// command.
std::optional<BlockingTimeout> blocking_timeout(const CommandSpec& spec, const Command& command);

/// A spec that owns what it points at, made from one element of a COMMAND INFO reply (RESP2 or RESP3): for commands
/// that the table lacks. Handling is kForward, or kBlocking where its flags say so. Null if the reply is not of that
/// form.
class UnlistedCommand {
 public:
  static std::unique_ptr<UnlistedCommand> from_command_info(const ReplyView& element);
  const CommandSpec& spec() const { return spec_; }

 private:
  UnlistedCommand() = default;
  bool read_keys(const ReplyView& list);
  bool read_subcommands(const ReplyView& list);
  void guess_keys();

  std::string name_;
  std::vector<std::string> strings_;
  std::vector<KeySpec> keys_;
  std::vector<CommandSpec> subcommands_;
  std::vector<std::unique_ptr<UnlistedCommand>> owned_;
  CommandSpec spec_{};
};

}  // namespace corral::resp

// The ways of writing.
#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "forms.h"

namespace corral::test {
namespace {

using A = WriteForm::Arguments;
using R = Request;

// Commands between MULTI and EXEC.
template <class Commands>
void in_multi(R& request, Commands commands) {
  request.add("MULTI");
  commands();
  request.add("EXEC");
}

void rename_onto(R& r, const A& a) {
  const std::string other = a.key.tag + "new:" + std::to_string(a.key.index) + ":" + std::to_string(a.version);
  r.add("SET", other, a.value);
  r.add("RENAME", other, a.key.name);
}

// The first command leaves the key there: where a slot moves, Redis refuses a script that goes on with a key that it
// has just removed, and does not take back what the script did before.
constexpr const char* kReplaceMembers =
    "redis.call('SADD', KEYS[1], ARGV[1]) redis.call('PERSIST', KEYS[1]) "
    "for _, m in ipairs(redis.call('SMEMBERS', KEYS[1])) do "
    "if m ~= ARGV[1] then redis.call('SREM', KEYS[1], m) end end return 1";

constexpr auto kPut = Effect::kPut, kPutWithTtl = Effect::kPutWithTtl, kDelete = Effect::kDelete;
constexpr auto kPlain = WriteForm::kPlain, kKeepsTtl = WriteForm::kKeepsTtl, kUndeclared = WriteForm::kUndeclared;

// clang-format off
const WriteForm kWrites[] = {
  {"SET", Kind::kString, kPut, 24, kPlain, [](R& r, const A& a) { r.add("SET", a.key.name, a.value); }},
  {"GETSET", Kind::kString, kPut, 4, kPlain, [](R& r, const A& a) { r.add("GETSET", a.key.name, a.value); }},
  {"SET GET", Kind::kString, kPut, 4, kPlain, [](R& r, const A& a) { r.add("SET", a.key.name, a.value, "GET"); }},
  {"MSET", Kind::kString, kPut, 6, kPlain, [](R& r, const A& a) { r.add("MSET", a.key.name, a.value); }},
  {"RENAME onto", Kind::kString, kPut, 4, kPlain, rename_onto},
  {"MULTI SET", Kind::kString, kPut, 6, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("SET", a.key.name, a.value); }); }},
  {"MULTI DEL APPEND", Kind::kString, kPut, 4, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("DEL", a.key.name), r.add("APPEND", a.key.name, a.value); }); }},
  {"MULTI DEL SETRANGE", Kind::kString, kPut, 4, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("DEL", a.key.name), r.add("SETRANGE", a.key.name, 0, a.value); }); }},
  {"EVAL SET", Kind::kString, kPut, 6, kPlain, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, a.key.name, a.value); }},
  {"EVAL SET of no declared key", Kind::kString, kPut, 2, kUndeclared, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('SET', ARGV[1], ARGV[2])", 0, a.key.name, a.value); }},
  {"SET PX", Kind::kString, kPutWithTtl, 24, kPlain, [](R& r, const A& a) {
    r.add("SET", a.key.name, a.value, "PX", a.ttl_ms); }},
  {"PSETEX", Kind::kString, kPutWithTtl, 8, kPlain, [](R& r, const A& a) {
    r.add("PSETEX", a.key.name, a.ttl_ms, a.value); }},
  {"MULTI SET PEXPIRE", Kind::kString, kPutWithTtl, 6, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("SET", a.key.name, a.value), r.add("PEXPIRE", a.key.name, a.ttl_ms); }); }},
  {"EVAL SET PEXPIRE", Kind::kString, kPutWithTtl, 6, kPlain, [](R& r, const A& a) {
    r.add("EVAL", "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('PEXPIRE', KEYS[1], ARGV[2])", 1, a.key.name,
          a.value, a.ttl_ms); }},
  {"PEXPIRE", Kind::kString, Effect::kExpire, 8, kPlain, [](R& r, const A& a) {
    r.add("PEXPIRE", a.key.name, a.ttl_ms); }},
  {"DEL", Kind::kString, kDelete, 8, kPlain, [](R& r, const A& a) { r.add("DEL", a.key.name); }},
  {"UNLINK", Kind::kString, kDelete, 4, kPlain, [](R& r, const A& a) { r.add("UNLINK", a.key.name); }},
  {"GETDEL", Kind::kString, kDelete, 4, kPlain, [](R& r, const A& a) { r.add("GETDEL", a.key.name); }},
  {"PEXPIRE -1", Kind::kString, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("PEXPIRE", a.key.name, -1); }},
  {"RENAME away", Kind::kString, kDelete, 2, kPlain, [](R& r, const A& a) {
    r.add("RENAME", a.key.name, a.key.tag + "old:" + std::to_string(a.key.index)); }},
  {"EVAL DEL", Kind::kString, kDelete, 2, kPlain, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('DEL', KEYS[1])", 1, a.key.name); }},
  {"EVAL DEL of no declared key", Kind::kString, kDelete, 1, kUndeclared, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('DEL', ARGV[1])", 0, a.key.name); }},

  {"HSET", Kind::kHash, kPut, 12, kKeepsTtl, [](R& r, const A& a) {
    r.add("HSET", a.key.name, "v", a.value, "w", a.value); }},
  {"HMSET", Kind::kHash, kPut, 4, kKeepsTtl, [](R& r, const A& a) {
    r.add("HMSET", a.key.name, "v", a.value, "w", a.value); }},
  {"EVAL HSET", Kind::kHash, kPut, 4, kKeepsTtl, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('HSET', KEYS[1], 'v', ARGV[1], 'w', ARGV[1])", 1, a.key.name, a.value); }},
  {"MULTI DEL HSET", Kind::kHash, kPut, 4, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("DEL", a.key.name), r.add("HSET", a.key.name, "v", a.value, "w", a.value); }); }},
  {"MULTI DEL HSET PEXPIRE", Kind::kHash, kPutWithTtl, 8, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] {
      r.add("DEL", a.key.name), r.add("HSET", a.key.name, "v", a.value, "w", a.value);
      r.add("PEXPIRE", a.key.name, a.ttl_ms); }); }},
  {"PEXPIRE", Kind::kHash, Effect::kExpire, 2, kPlain, [](R& r, const A& a) {
    r.add("PEXPIRE", a.key.name, a.ttl_ms); }},
  {"DEL", Kind::kHash, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("DEL", a.key.name); }},
  {"HDEL", Kind::kHash, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("HDEL", a.key.name, "v", "w"); }},

  {"LPUSH", Kind::kList, kPut, 4, kKeepsTtl, [](R& r, const A& a) { r.add("LPUSH", a.key.name, a.value); }},
  {"MULTI LPUSH LTRIM", Kind::kList, kPut, 8, kKeepsTtl, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("LPUSH", a.key.name, a.value), r.add("LTRIM", a.key.name, 0, 2); }); }},
  {"EVAL LPUSH LTRIM", Kind::kList, kPut, 4, kKeepsTtl, [](R& r, const A& a) {
    r.add("EVAL", "redis.call('LPUSH', KEYS[1], ARGV[1]) return redis.call('LTRIM', KEYS[1], 0, 1)", 1, a.key.name,
          a.value); }},
  {"DEL", Kind::kList, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("DEL", a.key.name); }},
  {"LTRIM to nothing", Kind::kList, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("LTRIM", a.key.name, 1, 0); }},

  {"ZADD", Kind::kZset, kPut, 12, kKeepsTtl, [](R& r, const A& a) { r.add("ZADD", a.key.name, a.version, "m"); }},
  {"MULTI ZADD", Kind::kZset, kPut, 4, kKeepsTtl, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("ZADD", a.key.name, a.version, "m"); }); }},
  {"EVAL ZADD", Kind::kZset, kPut, 4, kKeepsTtl, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('ZADD', KEYS[1], ARGV[1], 'm')", 1, a.key.name, a.version); }},
  {"DEL", Kind::kZset, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("DEL", a.key.name); }},
  {"ZREM", Kind::kZset, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("ZREM", a.key.name, "m"); }},

  {"MULTI DEL SADD", Kind::kSet, kPut, 8, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("DEL", a.key.name), r.add("SADD", a.key.name, a.value); }); }},
  {"EVAL SADD SREM", Kind::kSet, kPut, 4, kPlain, [](R& r, const A& a) {
    r.add("EVAL", kReplaceMembers, 1, a.key.name, a.value); }},
  {"MULTI DEL SADD PEXPIRE", Kind::kSet, kPutWithTtl, 8, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] {
      r.add("DEL", a.key.name), r.add("SADD", a.key.name, a.value), r.add("PEXPIRE", a.key.name, a.ttl_ms); }); }},
  {"DEL", Kind::kSet, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("DEL", a.key.name); }},
  {"SPOP", Kind::kSet, kDelete, 2, kPlain, [](R& r, const A& a) { r.add("SPOP", a.key.name); }},

  {"INCR", Kind::kCounter, kPut, 8, kPlain, [](R& r, const A& a) { r.add("INCR", a.key.name); }},
  {"INCRBY", Kind::kCounter, kPut, 4, kPlain, [](R& r, const A& a) { r.add("INCRBY", a.key.name, 2); }},
  {"MULTI INCR", Kind::kCounter, kPut, 4, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("INCR", a.key.name); }); }},
  {"EVAL INCR", Kind::kCounter, kPut, 4, kPlain, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('INCR', KEYS[1])", 1, a.key.name); }},
  {"seed", Kind::kCounter, kPut, 0, kPlain, [](R& r, const A& a) { r.add("SET", a.key.name, a.value); }},

  {"HINCRBY", Kind::kHashCounter, kPut, 8, kPlain, [](R& r, const A& a) { r.add("HINCRBY", a.key.name, "v", 1); }},
  {"EVAL HINCRBY", Kind::kHashCounter, kPut, 4, kPlain, [](R& r, const A& a) {
    r.add("EVAL", "return redis.call('HINCRBY', KEYS[1], 'v', 1)", 1, a.key.name); }},
  {"seed", Kind::kHashCounter, kPut, 0, kPlain, [](R& r, const A& a) { r.add("HSET", a.key.name, "v", a.value); }},

  {"ZINCRBY", Kind::kZsetCounter, kPut, 8, kPlain, [](R& r, const A& a) { r.add("ZINCRBY", a.key.name, 1, "m"); }},
  {"MULTI ZINCRBY", Kind::kZsetCounter, kPut, 4, kPlain, [](R& r, const A& a) {
    in_multi(r, [&] { r.add("ZINCRBY", a.key.name, 1, "m"); }); }},
  {"seed", Kind::kZsetCounter, kPut, 0, kPlain, [](R& r, const A& a) { r.add("ZADD", a.key.name, a.value, "m"); }},
};
// clang-format on

// The element of EXEC that failed, or its last one; any other reply is itself what counts.
const Reply& telling(const Reply& reply) {
  if (!reply.is_array() || reply.elements.empty()) return reply;
  const auto failed = std::ranges::find_if(reply.elements, [](const Reply& element) { return element.is_error(); });
  return failed != reply.elements.end() ? *failed : reply.elements.back();
}

}  // namespace

bool WriteForm::suits(const Key& key) const {
  if (kind != key.kind || weight == 0 || (trait == kKeepsTtl && key.expires)) return false;
  if (effect == Effect::kDelete) return key.may_vanish;
  return effect == Effect::kPut || key.expires;
}

std::span<const WriteForm> all_writes() { return kWrites; }

const WriteForm& seed_of(Kind kind) {
  return *std::ranges::find_if(
      kWrites, [&](const WriteForm& form) { return form.kind == kind && std::string_view(form.name) == "seed"; });
}

bool is_doubt(const Reply& reply) { return reply.is_error("INDOUBT"); }

bool is_refusal(const Reply& reply) {
  static constexpr const char* kCodes[] = {"MOVED",   "ASK",      "TRYAGAIN",   "CLUSTERDOWN",
                                           "LOADING", "READONLY", "MASTERDOWN", "EXECABORT"};
  if (std::ranges::any_of(kCodes, [&](const char* code) { return reply.is_error(code); })) return true;
  // A script that asked for a key which another node has by now; RENAME of what is not there.
  static constexpr const char* kTexts[] = {"non local key", "no such key"};
  return reply.is_error() &&
         std::ranges::any_of(kTexts, [&](const char* text) { return reply.text.find(text) != std::string::npos; });
}

KeyHistory::Outcome outcome_of(const Reply& reply, Effect effect) {
  const Reply& what = telling(reply);
  if (is_refusal(what)) return KeyHistory::Outcome::kRefused;
  if (what.is_error()) return KeyHistory::Outcome::kInDoubt;
  const bool no_key = effect == Effect::kExpire && what == Reply::number(0);
  return no_key ? KeyHistory::Outcome::kRefused : KeyHistory::Outcome::kDone;
}

uint64_t count_of(const Reply& reply) {
  const Reply& what = telling(reply);
  if (what.type == Reply::Type::kInteger) return static_cast<uint64_t>(what.integer);
  uint64_t number = 0;
  std::from_chars(what.text.data(), what.text.data() + what.text.size(), number);
  return number;
}

}  // namespace corral::test

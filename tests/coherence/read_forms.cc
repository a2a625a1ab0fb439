// The ways of reading. Most of them can be answered from a cache; a few cannot, and must agree with those that can.
#include <algorithm>
#include <charconv>

#include "forms.h"

namespace corral::test {
namespace {

using R = Request;
using Result = ReadForm::Result;

Result nothing() { return {{Seen::Type::kNothing, 0}, {}}; }
Result present() { return {{Seen::Type::kPresent, 0}, {}}; }
Result wrong(const Reply& reply) { return {{}, "a reply that nothing explains: " + to_string(reply)}; }

Result parse_number(const Reply& reply) {
  if (reply.is_nil()) return nothing();
  uint64_t number = 0;
  const char* end = reply.text.data() + reply.text.size();
  const auto [stop, error] = std::from_chars(reply.text.data(), end, number);
  if (error != std::errc() || stop != end) return wrong(reply);
  return {{Seen::Type::kVersion, number}, {}};
}

// Of one value, where an empty string is what some commands answer of a key that is not there.
Result parse_value(const Reply& reply, const Key& key) {
  if (reply.is_nil() || (reply.type == Reply::Type::kString && reply.text.empty())) return nothing();
  if (key.counts() || key.kind == Kind::kZset) return parse_number(reply);
  const auto version = version_in(reply.text, key.index);
  return version ? Result{{Seen::Type::kVersion, *version}, {}} : wrong(reply);
}

// The first of several values; all of them must be the same.
Result parse_same(const Reply& reply, const Key& key) {
  if (reply.elements.empty()) return nothing();
  const bool same = std::ranges::all_of(reply.elements, [&](const Reply& each) { return each == reply.elements[0]; });
  return same ? parse_value(reply.elements[0], key) : wrong(reply);
}

Result parse_first(const Reply& reply, const Key& key) {
  return reply.elements.empty() ? nothing() : parse_value(reply.elements[0], key);
}

Result parse_last(const Reply& reply, const Key& key) {
  return reply.elements.empty() ? wrong(reply) : parse_value(reply.elements.back(), key);
}

// Of HGETALL: fields v and w with the same value, or of a counter just v.
Result parse_fields(const Reply& reply, const Key& key) {
  if (reply.elements.empty()) return nothing();
  if (!key.counts() && reply.at("v") != reply.at("w")) return wrong(reply);
  return parse_value(reply.at("v"), key);
}

// Of a member with its score: in RESP3 a pair in an array.
Result parse_scored(const Reply& reply, const Key&) {
  if (reply.elements.empty()) return nothing();
  const Reply& last = reply.elements.back();
  return parse_number(last.is_array() && !last.elements.empty() ? last.elements.back() : last);
}

Result parse_present(const Reply& reply, const Key&) {
  if (reply.type != Reply::Type::kInteger) return wrong(reply);
  return reply.integer > 0 ? present() : nothing();
}

Result parse_type(const Reply& reply, const Key&) { return reply.text == "none" ? nothing() : present(); }

// -2: not there; -1: no TTL.
Result parse_pttl(const Reply& reply, const Key&) {
  if (reply.type != Reply::Type::kInteger) return wrong(reply);
  return reply.integer == -2 ? nothing() : present();
}

Result parse_strlen(const Reply& reply, const Key&) {
  if (reply.integer == 0) return nothing();
  const auto rest = static_cast<uint64_t>(reply.integer) - kValueHead;
  return rest < kLengths ? Result{{Seen::Type::kLength, rest}, {}} : wrong(reply);
}

template <class Command>
void in_multi(R& request, Command command) {
  request.add("MULTI");
  command();
  request.add("EXEC");
}

// clang-format off
const ReadForm kReads[] = {
  {"GET", Kind::kString, 30, [](R& r, const Key& k) { r.add("GET", k.name); }, parse_value},
  {"GETRANGE", Kind::kString, 6, [](R& r, const Key& k) { r.add("GETRANGE", k.name, 0, kValueHead - 1); }, parse_value},
  {"GETRANGE to the end", Kind::kString, 3, [](R& r, const Key& k) { r.add("GETRANGE", k.name, 0, -1); }, parse_value},
  {"STRLEN", Kind::kString, 6, [](R& r, const Key& k) { r.add("STRLEN", k.name); }, parse_strlen},
  {"EXISTS", Kind::kString, 3, [](R& r, const Key& k) { r.add("EXISTS", k.name); }, parse_present},
  {"TYPE", Kind::kString, 1, [](R& r, const Key& k) { r.add("TYPE", k.name); }, parse_type},
  {"PTTL", Kind::kString, 2, [](R& r, const Key& k) { r.add("PTTL", k.name); }, parse_pttl},
  {"MULTI GET", Kind::kString, 1, [](R& r, const Key& k) { in_multi(r, [&] { r.add("GET", k.name); }); }, parse_last},
  {"EVAL_RO GET", Kind::kString, 1, [](R& r, const Key& k) {
    r.add("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, k.name); }, parse_value},

  {"HGET", Kind::kHash, 12, [](R& r, const Key& k) { r.add("HGET", k.name, "v"); }, parse_value},
  {"HGET of the other field", Kind::kHash, 4, [](R& r, const Key& k) { r.add("HGET", k.name, "w"); }, parse_value},
  {"HGETALL", Kind::kHash, 12, [](R& r, const Key& k) { r.add("HGETALL", k.name); }, parse_fields},
  {"HMGET", Kind::kHash, 6, [](R& r, const Key& k) { r.add("HMGET", k.name, "v", "w"); }, parse_same},
  {"HVALS", Kind::kHash, 3, [](R& r, const Key& k) { r.add("HVALS", k.name); }, parse_same},
  {"HEXISTS", Kind::kHash, 2, [](R& r, const Key& k) { r.add("HEXISTS", k.name, "v"); }, parse_present},
  {"HLEN", Kind::kHash, 2, [](R& r, const Key& k) { r.add("HLEN", k.name); }, parse_present},

  {"LINDEX", Kind::kList, 8, [](R& r, const Key& k) { r.add("LINDEX", k.name, 0); }, parse_value},
  {"LRANGE", Kind::kList, 8, [](R& r, const Key& k) { r.add("LRANGE", k.name, 0, 0); }, parse_first},
  {"LRANGE of all", Kind::kList, 4, [](R& r, const Key& k) { r.add("LRANGE", k.name, 0, -1); }, parse_first},
  {"LLEN", Kind::kList, 2, [](R& r, const Key& k) { r.add("LLEN", k.name); }, parse_present},

  {"ZSCORE", Kind::kZset, 8, [](R& r, const Key& k) { r.add("ZSCORE", k.name, "m"); }, parse_value},
  {"ZMSCORE", Kind::kZset, 4, [](R& r, const Key& k) { r.add("ZMSCORE", k.name, "m"); }, parse_same},
  {"ZRANGE", Kind::kZset, 4, [](R& r, const Key& k) { r.add("ZRANGE", k.name, 0, -1, "WITHSCORES"); }, parse_scored},
  {"ZCARD", Kind::kZset, 2, [](R& r, const Key& k) { r.add("ZCARD", k.name); }, parse_present},

  {"SMEMBERS", Kind::kSet, 12, [](R& r, const Key& k) { r.add("SMEMBERS", k.name); }, parse_first},
  {"SCARD", Kind::kSet, 2, [](R& r, const Key& k) { r.add("SCARD", k.name); }, parse_present},

  {"GET", Kind::kCounter, 12, [](R& r, const Key& k) { r.add("GET", k.name); }, parse_value},
  {"GETRANGE", Kind::kCounter, 4, [](R& r, const Key& k) { r.add("GETRANGE", k.name, 0, -1); }, parse_value},
  {"MULTI GET", Kind::kCounter, 1, [](R& r, const Key& k) { in_multi(r, [&] { r.add("GET", k.name); }); }, parse_last},
  {"HGET", Kind::kHashCounter, 8, [](R& r, const Key& k) { r.add("HGET", k.name, "v"); }, parse_value},
  {"HGETALL", Kind::kHashCounter, 4, [](R& r, const Key& k) { r.add("HGETALL", k.name); }, parse_fields},
  {"ZSCORE", Kind::kZsetCounter, 8, [](R& r, const Key& k) { r.add("ZSCORE", k.name, "m"); }, parse_value},
  {"ZRANGE", Kind::kZsetCounter, 4, [](R& r, const Key& k) {
    r.add("ZRANGE", k.name, 0, -1, "WITHSCORES"); }, parse_scored},
};
// clang-format on

}  // namespace

std::span<const ReadForm> all_reads() { return kReads; }

Result parse_get(const Reply& reply, const Key& key) { return parse_value(reply, key); }

}  // namespace corral::test

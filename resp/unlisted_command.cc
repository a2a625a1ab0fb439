// Makes the spec of a command that the table lacks (of a module or a newer server) from what COMMAND INFO says of it.
// Source: https://redis.io/commands/command; before Redis 7.0 an element ends after the sixth or seventh field.
#include <algorithm>
#include <limits>

#include "resp/ascii.h"
#include "resp/command_table.h"

namespace corral::resp {
namespace {

using Begin = KeySpec::Begin;
using Find = KeySpec::Find;

constexpr std::string_view kCommandFlagNames[] = {"write",    "readonly",     "denyoom",       "admin",
                                                  "pubsub",   "noscript",     "blocking",      "loading",
                                                  "stale",    "skip_monitor", "skip_slowlog",  "asking",
                                                  "fast",     "no_auth",      "may_replicate", "no_mandatory_keys",
                                                  "no_multi", "movablekeys",  "allow_busy",    "no_async_loading"};
constexpr std::string_view kKeyFlagNames[] = {"RO",     "RW",     "OW",      "RM",         "access",        "update",
                                              "insert", "delete", "not_key", "incomplete", "variable_flags"};

/// The bits of the names in `list`; names that are not known have none.
uint32_t bits_of(const ReplyView& list, std::span<const std::string_view> names) {
  uint32_t bits = 0;
  for (const ReplyView& element : list.elements()) {
    std::string_view text = element.text();
    if (text.starts_with('@')) text.remove_prefix(1);
    auto found = std::find(names.begin(), names.end(), text);
    if (found != names.end()) bits |= 1u << (found - names.begin());
  }
  return bits;
}

bool read_number(const ReplyView& reply, int16_t& number) {
  std::optional<int64_t> value = reply.integer();
  if (!value || *value < std::numeric_limits<int16_t>::min() || *value > std::numeric_limits<int16_t>::max())
    return false;
  number = static_cast<int16_t>(*value);
  return true;
}

/// The value of `name` in a map (or an array of names and values in turn).
ReplyView member(const ReplyView& map, std::string_view name) {
  std::vector<ReplyView> elements = map.elements();
  for (size_t i = 0; i + 1 < elements.size(); i += 2)
    if (elements[i].text() == name) return elements[i + 1];
  return ReplyView();
}

bool read_begin(const ReplyView& begin, KeySpec& key, std::string& keyword) {
  ReplyView spec = member(begin, "spec");
  std::string_view type = member(begin, "type").text();
  if (type == "index") {
    key.begin = Begin::kIndex;
    return read_number(member(spec, "index"), key.begin_at);
  }
  if (type == "keyword") {
    key.begin = Begin::kKeyword;
    keyword = member(spec, "keyword").text();
    return read_number(member(spec, "startfrom"), key.begin_at);
  }
  return !type.empty();
}

bool read_find(const ReplyView& find, KeySpec& key) {
  ReplyView spec = member(find, "spec");
  std::string_view type = member(find, "type").text();
  if (type == "range") {
    key.find = Find::kRange;
    return read_number(member(spec, "lastkey"), key.last) && read_number(member(spec, "keystep"), key.step) &&
           read_number(member(spec, "limit"), key.limit);
  }
  if (type == "keynum") {
    key.find = Find::kKeyNum;
    return read_number(member(spec, "keynumidx"), key.keynum) && read_number(member(spec, "firstkey"), key.first_key) &&
           read_number(member(spec, "keystep"), key.step);
  }
  return !type.empty();
}

KeySpec unknown_key() { return {Begin::kUnknown, Find::kUnknown, 0, 0, "", 0, 1, 0, 0, 0}; }

/// Of a server that tells no key specs.
KeySpec key_of_range(const CommandSpec& spec) {
  KeySpec key = unknown_key();
  key.begin = Begin::kIndex;
  key.find = Find::kRange;
  key.flags = spec.is(kFlagWrite) ? kKeyRw | kKeyAccess | kKeyUpdate : kKeyRo | kKeyAccess;
  key.begin_at = spec.first_key;
  key.last = spec.last_key < 0 ? spec.last_key : static_cast<int16_t>(spec.last_key - spec.first_key);
  key.step = spec.key_step;
  return key;
}

bool read_head(const std::vector<ReplyView>& fields, CommandSpec& spec) {
  if (fields.size() < 6 || fields[0].text().empty() || !fields[2].is_aggregate()) return false;
  spec.flags = bits_of(fields[2], kCommandFlagNames);
  if (fields.size() > 6) spec.categories = bits_of(fields[6], kCategoryNames);
  spec.handling = spec.is(kFlagBlocking) ? Handling::kBlocking : Handling::kForward;
  spec.id = kUnlistedCommand;
  spec.may_write = spec.is(kFlagWrite);
  if (spec.may_write) spec.ttl = TtlEffect::kCreates;
  return read_number(fields[1], spec.arity) && read_number(fields[3], spec.first_key) &&
         read_number(fields[4], spec.last_key) && read_number(fields[5], spec.key_step);
}

}  // namespace

std::unique_ptr<UnlistedCommand> UnlistedCommand::from_command_info(const ReplyView& element) {
  std::vector<ReplyView> fields = element.elements();
  std::unique_ptr<UnlistedCommand> command(new UnlistedCommand);
  if (!read_head(fields, command->spec_)) return nullptr;
  command->name_ = lower_case(fields[0].text());
  command->spec_.name = command->name_;
  if (fields.size() < 9) command->guess_keys();
  if (fields.size() > 8 && !command->read_keys(fields[8])) return nullptr;
  if (fields.size() > 9 && !command->read_subcommands(fields[9])) return nullptr;
  return command;
}

bool UnlistedCommand::read_keys(const ReplyView& list) {
  std::vector<ReplyView> specs = list.elements();
  strings_.resize(specs.size());  // once: the specs point into it
  for (size_t i = 0; i < specs.size(); i++) {
    KeySpec key = unknown_key();
    key.flags = bits_of(member(specs[i], "flags"), kKeyFlagNames);
    if (!read_begin(member(specs[i], "begin_search"), key, strings_[i])) return false;
    if (!read_find(member(specs[i], "find_keys"), key)) return false;
    key.keyword = strings_[i];
    keys_.push_back(key);
  }
  spec_.keys = keys_;
  return true;
}

void UnlistedCommand::guess_keys() {
  if (spec_.first_key > 0) keys_.push_back(key_of_range(spec_));
  if (spec_.is(kFlagMovableKeys)) keys_.push_back(unknown_key());
  spec_.keys = keys_;
}

bool UnlistedCommand::read_subcommands(const ReplyView& list) {
  for (const ReplyView& element : list.elements()) {
    owned_.push_back(from_command_info(element));
    if (!owned_.back()) return false;
    subcommands_.push_back(owned_.back()->spec());
  }
  spec_.subcommands = subcommands_;
  return true;
}

}  // namespace corral::resp

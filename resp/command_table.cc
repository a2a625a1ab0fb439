// Builds the command table at compile time, from the generated facts and the handling that is said by hand, and finds
// commands in it.
#include "resp/command_table.h"

#include <algorithm>
#include <array>

#include "resp/ascii.h"
#include "resp/packed_name.h"

namespace corral::resp {
namespace {

using enum Handling;
using enum Action;
using Begin = KeySpec::Begin;
using Find = KeySpec::Find;
using Role = OptionWord::Role;

/// What a server says of one command; the key specs are kFactKeys[keys_at] and on.
struct Fact {
  std::string_view name;
  int16_t arity;
  uint32_t flags;
  uint32_t categories;
  int16_t first_key = 0, last_key = 0, key_step = 0;
  uint16_t keys_at = 0;
  uint16_t key_count = 0;
};

/// How the commands of `names` (separated by spaces) are handled.
struct HandlingLine {
  constexpr HandlingLine(Handling h, std::string_view n) : handling(h), names(n) {}
  constexpr HandlingLine(Handling h, Merge m, std::string_view n) : handling(h), merge(m), names(n) {}
  constexpr HandlingLine(Handling h, Action a, std::string_view n) : handling(h), action(a), names(n) {}
  constexpr HandlingLine(Handling h, Merge m, Action a, std::string_view n)
      : handling(h), merge(m), action(a), names(n) {}
  constexpr HandlingLine(Action a, std::string_view n) : handling(kLocal), action(a), names(n) {}

  Handling handling;
  Merge merge = Merge::kNone;
  Action action = Action::kNone;
  std::string_view names;
};

struct SlotArgument {
  std::string_view name;
  uint8_t argument;
};

/// Where the timeout of the blocking commands of `names` is: CommandSpec::timeout_arg, timeout_in_ms.
struct TimeoutLine {
  std::string_view names;
  int8_t argument;
  bool milliseconds;
};

/// What the commands of `names` do to the TTL of the keys that they write.
struct TtlLine {
  TtlEffect effect;
  std::string_view names;
};

struct TtlConditionLine {
  std::string_view names;
  TtlCondition condition;
};

struct NearLine {
  NearRead near_read;
  std::string_view names;
};

/// CommandSpec::value_behind_key
struct ValueLine {
  uint8_t behind_key;
  std::string_view names;
};

struct KeysByHand {
  std::string_view name;
  std::span<const KeySpec> keys;
};

struct KeyVariationLine {
  std::string_view name;
  KeyVariation variation;
};

/// The second does what the first does, and frees memory in the background.
struct LazyForm {
  std::string_view name, lazy;
};

#include "resp/command_facts.inc"
#include "resp/command_handling.inc"

constexpr bool is_subcommand(std::string_view name) { return name.find('|') != name.npos; }

constexpr std::string_view container_of(std::string_view name) { return name.substr(0, name.find('|')); }

constexpr size_t kFactCount = std::size(kFacts) + std::size(kOwnFacts);

/// All facts in the order of their names, so that each list below is walked once and what it names is looked up.
constexpr std::array<Fact, kFactCount> sorted_facts() {
  std::array<Fact, kFactCount> facts{};
  std::copy(std::begin(kOwnFacts), std::end(kOwnFacts), std::copy(std::begin(kFacts), std::end(kFacts), facts.begin()));
  std::sort(facts.begin(), facts.end(), [](const Fact& a, const Fact& b) { return a.name < b.name; });
  return facts;
}
constexpr std::array<Fact, kFactCount> kSortedFacts = sorted_facts();

/// kFactCount if there is none.
constexpr size_t find_fact(std::string_view name) {
  auto less = [](const Fact& fact, std::string_view text) { return fact.name < text; };
  auto found = std::lower_bound(kSortedFacts.begin(), kSortedFacts.end(), name, less);
  bool good = found != kSortedFacts.end() && found->name == name;
  return good ? static_cast<size_t>(found - kSortedFacts.begin()) : kFactCount;
}

/// What the lists by hand say of each fact. A throw fails the build, so that nothing falls through by oversight.
struct ByHand {
  const HandlingLine* line = nullptr;
  std::span<const KeySpec> keys;
  uint8_t slot_arg = 0;
  const TimeoutLine* timeout = nullptr;
  bool may_replicate = false;
  const TtlLine* ttl = nullptr;
  const TtlConditionLine* ttl_condition = nullptr;
  std::string_view lazy_form;
  NearRead near_read;
  uint8_t value_behind_key = 0;
  bool removes_keys = false;
  const KeyVariationLine* key_variation = nullptr;
};

consteval size_t fact_named_by_hand(std::string_view name) {
  size_t i = find_fact(name);
  if (i == kFactCount) throw "command_handling.inc: a name that no command has";
  return i;
}

/// Calls `visit` with the place of each fact that is named in `names`, which spaces separate.
template <class Visit>
consteval void for_each_name(std::string_view names, Visit visit) {
  while (!names.empty()) {
    std::string_view name = names.substr(0, names.find(' '));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    visit(fact_named_by_hand(name));
  }
}

consteval void collect_timeouts(std::array<ByHand, kFactCount>& all) {
  for (const TimeoutLine& line : kTimeouts) {
    for_each_name(line.names, [&](size_t fact) { all[fact].timeout = &line; });
  }
  for (const ByHand& by_hand : all) {
    bool blocks = by_hand.line && by_hand.line->handling == kBlocking;
    if (blocks != (by_hand.timeout != nullptr)) throw "kTimeouts: a blocking command is missing, or another is there";
  }
}

constexpr std::span<const KeySpec> keys_of_fact(const Fact& fact) {
  return std::span<const KeySpec>(kFactKeys).subspan(fact.keys_at, fact.key_count);
}

consteval void collect_ttl_effects(std::array<ByHand, kFactCount>& all) {
  for (const TtlLine& line : kTtlLines) {
    for_each_name(line.names, [&](size_t fact) {
      if (all[fact].ttl) throw "kTtlLines: a command is named twice";
      all[fact].ttl = &line;
    });
  }
  for (const TtlConditionLine& line : kTtlConditions) {
    for_each_name(line.names, [&](size_t fact) { all[fact].ttl_condition = &line; });
  }
  for (size_t i = 0; i < kFactCount; i++) {
    const auto keys = keys_of_fact(kSortedFacts[i]);
    bool updates = std::any_of(keys.begin(), keys.end(), [](const KeySpec& key) {
      return (key.flags & (kKeyInsert | kKeyUpdate)) != 0 && (key.flags & kKeyNotKey) == 0;
    });
    bool served = !all[i].line || all[i].line->handling != kLocal;
    if (updates && served && !all[i].ttl) throw "kTtlLines lacks a command that writes";
  }
}

consteval void collect_lazy_forms(std::array<ByHand, kFactCount>& all) {
  for (const LazyForm& form : kLazyForms) {
    const size_t i = fact_named_by_hand(form.name), lazy = fact_named_by_hand(form.lazy);
    if (kSortedFacts[i].arity != kSortedFacts[lazy].arity) throw "kLazyForms: their arguments differ";
    all[i].lazy_form = form.lazy;
  }
}

consteval void collect_near_reads(std::array<ByHand, kFactCount>& all) {
  for (const NearLine& line : kNearLines) {
    for_each_name(line.names, [&](size_t i) {
      const Fact& fact = kSortedFacts[i];
      if (!(fact.flags & kFlagReadOnly) || fact.first_key != 1) throw "kNearLines: not a read of its first argument";
      all[i].near_read = line.near_read;
    });
  }
}

consteval void collect_value_writes(std::array<ByHand, kFactCount>& all) {
  for (const ValueLine& line : kValueLines) {
    for_each_name(line.names, [&](size_t i) { all[i].value_behind_key = line.behind_key; });
  }
  for_each_name(kRemoving, [&](size_t i) { all[i].removes_keys = true; });
  for (size_t i = 0; i < kFactCount; i++) {
    const bool named = all[i].value_behind_key != 0 || all[i].removes_keys;
    if (named && !(kSortedFacts[i].flags & kFlagWrite)) throw "kValueLines, kRemoving: not a write";
  }
}

consteval void collect_key_variations(std::array<ByHand, kFactCount>& all) {
  for (const KeyVariationLine& line : kKeyVariations) {
    all[fact_named_by_hand(line.name)].key_variation = &line;
  }
  for (size_t i = 0; i < kFactCount; i++) {
    const auto keys = keys_of_fact(kSortedFacts[i]);
    const bool varies = std::any_of(keys.begin(), keys.end(), [](auto& key) { return key.flags & kKeyVariable; });
    if (varies != (all[i].key_variation != nullptr)) throw "kKeyVariations: a command is missing, or another is there";
  }
}

consteval std::array<ByHand, kFactCount> collect_by_hand() {
  std::array<ByHand, kFactCount> all{};
  for (const HandlingLine& line : kHandlingLines) {
    for_each_name(line.names, [&](size_t fact) {
      if (all[fact].line) throw "kHandlingLines: a command is named twice";
      all[fact].line = &line;
    });
  }
  for (const KeysByHand& keys : kKeysByHand) all[fact_named_by_hand(keys.name)].keys = keys.keys;
  for (const SlotArgument& slot : kSlotArguments) all[fact_named_by_hand(slot.name)].slot_arg = slot.argument;
  collect_timeouts(all);
  collect_ttl_effects(all);
  collect_lazy_forms(all);
  collect_near_reads(all);
  collect_value_writes(all);
  collect_key_variations(all);
  for (const std::string_view name : kMayReplicate) all[fact_named_by_hand(name)].may_replicate = true;
  for (size_t i = 0; i < kFactCount; i++)
    if (!all[i].line && kSortedFacts[i].key_count == 0) throw "kHandlingLines lacks a command that has no keys";
  return all;
}
constexpr std::array<ByHand, kFactCount> kByHand = collect_by_hand();

constexpr uint8_t only_key_of(std::span<const KeySpec> keys) {
  if (keys.size() != 1) return 0;
  const KeySpec& key = keys[0];
  bool fixed = key.begin == Begin::kIndex && key.find == Find::kRange && key.last == 0;
  return fixed && (key.flags & (kKeyNotKey | kKeyIncomplete)) == 0 ? static_cast<uint8_t>(key.begin_at) : 0;
}

constexpr CommandSpec make_spec(const Fact& fact, const ByHand& by_hand, size_t id) {
  CommandSpec spec{};
  spec.name = fact.name;
  spec.arity = fact.arity;
  spec.flags = fact.flags;
  spec.categories = fact.categories;
  spec.first_key = fact.first_key;
  spec.last_key = fact.last_key;
  spec.key_step = fact.key_step;
  spec.keys = by_hand.keys.empty() ? keys_of_fact(fact) : by_hand.keys;
  spec.handling = by_hand.line ? by_hand.line->handling : kForward;
  spec.merge = by_hand.line ? by_hand.line->merge : Merge::kNone;
  spec.action = by_hand.line ? by_hand.line->action : Action::kNone;
  spec.id = static_cast<uint16_t>(id);
  spec.only_key = only_key_of(spec.keys);
  spec.slot_arg = by_hand.slot_arg;
  if (by_hand.timeout) spec.timeout_arg = by_hand.timeout->argument;
  if (by_hand.timeout) spec.timeout_in_ms = by_hand.timeout->milliseconds;
  spec.ttl = by_hand.ttl ? by_hand.ttl->effect : TtlEffect::kNone;
  spec.lazy_form = by_hand.lazy_form;
  spec.near_read = by_hand.near_read;
  spec.value_behind_key = by_hand.value_behind_key;
  spec.removes_keys = by_hand.removes_keys;
  if (by_hand.key_variation) spec.key_variation = by_hand.key_variation->variation;
  if (by_hand.ttl_condition) spec.ttl_condition = by_hand.ttl_condition->condition;
  spec.may_write = (fact.flags & kFlagWrite) != 0 || by_hand.may_replicate;
  return spec;
}

constexpr size_t kSubcommandCount =
    std::count_if(kSortedFacts.begin(), kSortedFacts.end(), [](const Fact& fact) { return is_subcommand(fact.name); });
constexpr size_t kCommandCount = kFactCount - kSubcommandCount;

template <size_t kCount>
consteval std::array<CommandSpec, kCount> make_specs(bool subcommands, size_t first_id) {
  std::array<CommandSpec, kCount> specs{};
  size_t count = 0;
  for (size_t i = 0; i < kFactCount; i++) {
    if (is_subcommand(kSortedFacts[i].name) != subcommands) continue;
    specs[count] = make_spec(kSortedFacts[i], kByHand[i], first_id + count);
    count++;
  }
  return specs;
}

/// In the order of their names, so that those of one container are side by side.
constexpr std::array<CommandSpec, kSubcommandCount> kSubcommands = make_specs<kSubcommandCount>(true, kCommandCount);

consteval std::array<CommandSpec, kCommandCount> make_commands() {
  std::array<CommandSpec, kCommandCount> specs = make_specs<kCommandCount>(false, 0);
  std::span<const CommandSpec> subcommands = kSubcommands;
  for (size_t first = 0, end; first < kSubcommandCount; first = end) {
    std::string_view container = container_of(subcommands[first].name);
    for (end = first; end < kSubcommandCount && container_of(subcommands[end].name) == container;) end++;
    auto has_name = [&](const CommandSpec& spec) { return spec.name == container; };
    std::find_if(specs.begin(), specs.end(), has_name)->subcommands = subcommands.subspan(first, end - first);
  }
  return specs;
}
constexpr std::array<CommandSpec, kCommandCount> kCommands = make_commands();

constexpr auto kIndex = NameIndex<kCommandCount>::of([](size_t i) { return kCommands[i].name; });

}  // namespace

const std::span<const std::string_view> kCategoryNames = kCategories;
const std::span<const std::string_view> kBeyondRedis70 = kOwnNames;

std::span<const CommandSpec> all_commands() { return kCommands; }

size_t command_id_count() { return kFactCount; }

const CommandSpec* find_command(std::string_view name) {
  size_t i = kIndex.find(name);
  return i < kCommandCount ? &kCommands[i] : nullptr;
}

const CommandSpec* find_subcommand(const CommandSpec& container, std::string_view name) {
  size_t prefix = container.name.size() + 1;
  for (const CommandSpec& spec : container.subcommands)
    if (same_word(name, spec.name.substr(prefix))) return &spec;
  return nullptr;
}

std::span<const KeySpec> declared_keys(const CommandSpec& spec) {
  return spec.id == kUnlistedCommand ? spec.keys : keys_of_fact(kSortedFacts[find_fact(spec.name)]);
}

}  // namespace corral::resp

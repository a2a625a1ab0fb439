#include "proxy/core/seen_keys.h"

#include <algorithm>

#include "policy/key_table.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/worker.h"
#include "resp/decimal.h"
#include "resp/reply_view.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;

namespace {

constexpr size_t kMostSampled = 64;  // keys of one command

bool reads(const CommandSpec& spec) { return spec.is(resp::kFlagReadOnly) && !spec.is(resp::kFlagWrite); }

// Of the reply that begins so; 0: it is none of several elements.
uint64_t elements_of(std::string_view reply) {
  if (reply.empty() || (reply[0] != '*' && reply[0] != '~' && reply[0] != '%')) return 0;
  const auto count = resp::parse_decimal(reply.substr(1, std::min(reply.find('\r'), reply.size()) - 1));
  return static_cast<uint64_t>(std::max<int64_t>(count.value_or(0), 0));
}

}  // namespace

SeenKeys::SeenKeys(Worker& worker) : worker_(worker), hot_(worker.now64_ms()), ticked_ms_(worker.now64_ms()) {}

void SeenKeys::sample(const Session& session, const Command& command, const CommandSpec& spec) {
  const uint64_t random = worker_.transport().random();
  double weight = sampler_.take(random);
  if (!reads(spec) || !session.open()) return;  // with a connection that was closed its input is gone
  if (spec.only_key != 0) {
    const std::string_view key = command.arg(spec.only_key);
    return hot_.add(key, policy::KeyTable::hash(key), weight);
  }
  std::vector<uint32_t>& keys = worker_.scratch_indexes();
  keys.clear();
  if (!resp::find_keys(spec, command, keys) || keys.empty()) return;
  // Of very many keys some that follow each other stand for all.
  size_t first = 0, count = keys.size();
  if (count > kMostSampled) {
    first = random % count;
    weight *= static_cast<double>(count) / kMostSampled;
    count = kMostSampled;
  }
  for (size_t i = 0; i < count; ++i) {
    const std::string_view key = command.arg(keys[(first + i) % keys.size()]);
    hot_.add(key, policy::KeyTable::hash(key), weight);
  }
}

// The longest argument that is not its key.
void SeenKeys::note_request(const Session& session, const Command& command, const CommandSpec& spec) {
  if (!spec.may_write || spec.only_key == 0 || !session.open()) return;
  size_t longest = 0;
  for (size_t i = 1; i < command.argc(); ++i) {
    if (i != spec.only_key) longest = std::max(longest, command.arg(i).size());
  }
  note(command.arg(spec.only_key), longest, 0, spec);
}

void SeenKeys::note_reply(std::string_view request, std::string_view reply) {
  const ParsedRequest parsed(worker_, request);
  if (!parsed.spec() || parsed.spec()->merge != resp::Merge::kArrayByKey) {
    return on_large_reply(request, reply, reply.size());
  }
  const auto keys = parsed.keys();
  const auto elements = resp::ReplyView(reply).elements();
  for (size_t i = 0; i < std::min(keys.size(), elements.size()); ++i) {
    note(keys[i], elements[i].bytes().size(), 0, *parsed.spec());
  }
}

void SeenKeys::on_large_reply(std::string_view request, std::string_view start, uint64_t bytes) {
  const ParsedRequest parsed(worker_, request);
  const CommandSpec* spec = parsed.spec();
  if (!spec || spec->handling == resp::Handling::kScript) return;
  const auto keys = parsed.keys();
  if (keys.size() == 1) note(keys[0], bytes, elements_of(start), *spec);
}

void SeenKeys::on_large_argument(std::string_view key, uint64_t bytes, const CommandSpec& spec) {
  note(key, bytes, 0, spec);
}

void SeenKeys::note(std::string_view key, uint64_t bytes, uint64_t elements, const CommandSpec& spec) {
  big_.note(key, policy::KeyTable::hash(key), bytes, elements, spec.name, worker_.now64_ms());
}

void SeenKeys::tick() {
  const uint64_t now_ms = worker_.now64_ms(), requests = worker_.stats().requests.get();
  sampler_.adapt(requests - requests_, now_ms - ticked_ms_);
  requests_ = requests;
  ticked_ms_ = now_ms;
  hot_.decay(now_ms);
  big_.forget(now_ms);
}

}  // namespace corral::core

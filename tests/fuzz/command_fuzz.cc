// Commands: whatever the arguments are, keys lie within them; the same is found for the same, wherever it lies in
// memory; where the arguments make sense, what is found of kinds of keys is among all keys. The input is lines, each an
// argument.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "resp/command_table.h"
#include "resp/slot.h"

namespace corral::fuzz {
namespace {

using Indexes = std::vector<uint32_t>;

// Slices and bytes in memory of exactly their size.
class OwnCommand {
 public:
  explicit OwnCommand(const std::vector<std::string_view>& words)
      : count_(words.size()), slices_(std::make_unique<resp::Slice[]>(words.size())) {
    for (size_t i = 0; i < words.size(); ++i) {
      slices_[i] = {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(words[i].size())};
      text_ += words[i];
    }
    bytes_ = std::make_unique<ExactCopy>(text_);
  }
  resp::Command command() const {
    return {bytes_->data(), static_cast<uint32_t>(text_.size()), {slices_.get(), count_}};
  }

 private:
  size_t count_;
  std::unique_ptr<resp::Slice[]> slices_;
  std::string text_;
  std::unique_ptr<ExactCopy> bytes_;
};

struct Found {
  bool sensible = false, sensible_uses = false, sensible_written = false, may_block = false;
  Indexes keys, used, written;
  std::vector<uint32_t> flags;
  std::vector<uint16_t> slots;
  std::string naming;
  uint32_t timeout = 0;
  bool operator==(const Found&) const = default;
};

Found find_all(const resp::CommandSpec& spec, const resp::Command& command) {
  Found found;
  found.sensible = resp::find_keys(spec, command, found.keys);
  std::vector<resp::KeyUse> uses;
  found.sensible_uses = resp::find_key_uses(spec, command, uses);
  for (const resp::KeyUse& use : uses) {
    found.used.push_back(use.arg);
    found.flags.push_back(use.flags);
  }
  found.sensible_written = resp::find_written_keys(spec, command, found.written);
  for (const uint32_t key : found.keys) {
    check(key > 0 && key < command.argc(), "a key is one of the arguments");
    found.slots.push_back(resp::key_slot(command.arg(key)));
    check(found.slots.back() < resp::kSlots, "a slot is one of the slots");
  }
  found.naming = resp::find_naming_option(spec, command);
  found.may_block = resp::may_block(spec, command);
  if (const auto timeout = resp::blocking_timeout(spec, command)) found.timeout = timeout->arg;
  check(found.timeout < std::max<size_t>(command.argc(), 1), "a timeout is one of the arguments");
  return found;
}

bool is_subset(Indexes part, Indexes whole) {
  std::ranges::sort(part);
  std::ranges::sort(whole);
  const auto end = std::unique(part.begin(), part.end());
  whole.erase(std::unique(whole.begin(), whole.end()), whole.end());
  return std::includes(whole.begin(), whole.end(), part.begin(), end);
}

const resp::CommandSpec* spec_of(const std::vector<std::string_view>& words) {
  const resp::CommandSpec* const spec = resp::find_command(words[0]);
  if (!spec || spec->subcommands.empty() || words.size() < 2) return spec;
  const resp::CommandSpec* const subcommand = resp::find_subcommand(*spec, words[1]);
  return subcommand ? subcommand : spec;
}

void run(FuzzInput input) {
  std::vector<std::string_view> words;
  std::string_view rest = input.bytes();
  while (!rest.empty() && words.size() < 2000) {
    words.push_back(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), words.back().size() + 1));
  }
  if (words.empty()) return;
  const resp::CommandSpec* const spec = spec_of(words);
  if (!spec) return;
  const OwnCommand first(words), second(words);
  const Found found = find_all(*spec, first.command());
  check(find_all(*spec, second.command()) == found, "the same is found for the same");
  check(!found.sensible ? found.keys.empty() : true, "no keys where the arguments make no sense");
  if (found.sensible) {
    check(is_subset(found.used, found.keys), "what is used is a key");
    check(is_subset(found.written, found.keys), "what is written is a key");
  }
  if (found.sensible && spec->only_key && spec->arity_fits(words.size())) {
    check(found.keys == Indexes{spec->only_key}, "the only key is where the table says");
  }
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run(corral::fuzz::FuzzInput(data, size));
  return 0;
}

// Commands from lists of words, for the tests of the command table. Their arguments, and the list of them, end at an
// unreadable page, so that reading past either ends the test.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "resp/command_table.h"
#include "support.h"

namespace corral::test {

using Words = std::vector<std::string>;

inline Words split_words(std::string_view text) {
  Words words;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    words.emplace_back(word == "''" ? "" : word);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return words;
}

inline std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + (word.empty() ? "''" : word);
  return text;
}

class CommandMaker {
 public:
  /// Valid until the next call.
  resp::Command make(const Words& words) {
    std::string frame;
    std::vector<resp::Slice> slices;
    for (const std::string& word : words) {
      slices.push_back({static_cast<uint32_t>(frame.size()), static_cast<uint32_t>(word.size())});
      frame += word;
    }
    std::string_view raw(reinterpret_cast<const char*>(slices.data()), slices.size() * sizeof(resp::Slice));
    const auto* held = reinterpret_cast<const resp::Slice*>(slices_.hold(raw));
    return {frame_.hold(frame), static_cast<uint32_t>(frame.size()), {held, slices.size()}};
  }

 private:
  GuardedBytes frame_{64 * 1024}, slices_{64 * 1024};
};

/// The subcommand's where the words name one; nullptr if there is no such command.
inline const resp::CommandSpec* spec_of(const Words& words) {
  const resp::CommandSpec* spec = resp::find_command(words[0]);
  if (!spec || spec->subcommands.empty() || words.size() < 2) return spec;
  const resp::CommandSpec* subcommand = resp::find_subcommand(*spec, words[1]);
  return subcommand ? subcommand : spec;
}

/// What find_keys tells: the keys' texts one after another, or "false".
inline std::string keys_told(CommandMaker& maker, const resp::CommandSpec& spec, const Words& words) {
  std::vector<uint32_t> indexes;
  if (!resp::find_keys(spec, maker.make(words), indexes)) return indexes.empty() ? "false" : "false, but with indexes";
  Words keys;
  for (uint32_t index : indexes) keys.push_back(words.at(index));
  return joined(keys);
}

}  // namespace corral::test

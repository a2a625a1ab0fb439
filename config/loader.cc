// See loader.h.
#include "config/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "config/conflict.h"

namespace corral::config {
namespace {

std::string allowed_keys(std::string_view section) {
  std::vector<std::string_view> keys;
  for (const Field& field : fields()) {
    if (field.section == section) keys.push_back(field.key);
  }
  return fmt::format("[{}] has {}", section, fmt::join(keys, ", "));
}

// Walks a document and keeps the problem that stands first in the file.
class DocumentReader {
 public:
  explicit DocumentReader(const CommandCheck& is_command) : is_command_(is_command) {}

  void read(const toml::table& document) {
    for (const auto& [key, node] : document) read_section(key, node);
    if (first_) return;
    if (auto conflict = find_conflict(settings_)) {
      add(document[conflict->section][conflict->key].node()->source().begin.line, std::move(conflict->what));
    }
  }

  const Settings& settings() const { return settings_; }
  const std::optional<Problem>& problem() const { return first_; }

 private:
  void read_section(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    const uint32_t line = line_of(key, node);
    const auto sections = section_names();
    if (find_unserved(name, "")) {
      const std::string_view shown = node.is_array() ? "[[{}]]" : "[{}]";
      add(line,
          fmt::format("{} is not served by this version yet; leave it out", fmt::format(fmt::runtime(shown), name)));
    } else if (std::ranges::find(sections, name) == sections.end()) {
      add(line, fmt::format("unknown {} {}; the sections are {}", node.is_table() ? "section" : "setting", name,
                            fmt::join(sections, ", ")));
    } else if (!node.is_table()) {
      add(line, fmt::format("{} is {}; it must be a section, [{}]", name, describe_value(node), name));
    } else {
      for (const auto& [setting, value] : *node.as_table()) read_setting(name, setting, value);
    }
  }

  void read_setting(std::string_view section, const toml::key& key, const toml::node& node) {
    const std::string name = fmt::format("{}.{}", section, key.str());
    if (const Unserved* unserved = find_unserved(section, key.str())) {
      if (!asks_for_what_happens_anyway(*unserved, node)) add(line_of(key, node), refusal(*unserved, name));
    } else if (const Field* field = find_field(section, key.str())) {
      if (auto problem = read_field(*field, node, name, is_command_, settings_)) add(problem->line, problem->what);
    } else {
      add(line_of(key, node), fmt::format("unknown setting {}; {}", name, allowed_keys(section)));
    }
  }

  static bool asks_for_what_happens_anyway(const Unserved& unserved, const toml::node& node) {
    const auto* text = node.as_string();
    return unserved.harmless && text && text->get() == *unserved.harmless;
  }

  static std::string refusal(const Unserved& unserved, std::string_view name) {
    const std::string instead = unserved.harmless ? fmt::format(" or say \"{}\"", *unserved.harmless) : "";
    return fmt::format("{} is not served by this version yet; leave it out{}", name, instead);
  }

  static uint32_t line_of(const toml::key& key, const toml::node& node) {
    return key.source().begin ? key.source().begin.line : node.source().begin.line;
  }

  void add(uint32_t line, std::string what) {
    if (!first_ || line < first_->line) first_ = Problem{line, std::move(what)};
  }

  const CommandCheck& is_command_;
  Settings settings_;
  std::optional<Problem> first_;
};

Result<Settings> failure_at(const std::string& file, uint32_t line, std::string what) {
  std::ranges::replace(what, '\n', ' ');
  return Result<Settings>::failure(fmt::format("{}:{}: {}", file, line, what));
}

}  // namespace

Result<Settings> load_text(std::string_view toml, const std::string& file, const CommandCheck& is_command) {
  try {
    const toml::table document = toml::parse(toml, file);
    DocumentReader reader(is_command);
    reader.read(document);
    if (const auto& problem = reader.problem()) return failure_at(file, problem->line, problem->what);
    return Result<Settings>::of(reader.settings());
  } catch (const toml::parse_error& error) {
    return failure_at(file, error.source().begin.line, fmt::format("not valid TOML: {}", error.description()));
  }
}

Result<Settings> load_file(const std::string& file, const CommandCheck& is_command) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream || text.fail()) {
    const std::string_view why = errno ? std::strerror(errno) : "not a file";
    return Result<Settings>::failure(fmt::format("{}: cannot be read: {}", file, why));
  }
  return load_text(text.str(), file, is_command);
}

}  // namespace corral::config

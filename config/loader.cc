// See loader.h.
#include "config/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "config/units.h"

namespace corral::config {
namespace {

bool is_of_rule(std::string_view section) { return section.starts_with(kRule); }

std::string allowed_keys(std::string_view section) {
  std::vector<std::string> keys;
  for (const Field& field : is_of_rule(section) ? rule_fields() : fields()) {
    if (field.section == section) keys.emplace_back(field.key);
    if (field.section.starts_with(section) && field.section.size() > section.size()) {
      if (std::string name(field.section.substr(section.size() + 1)); keys.back() != name)
        keys.push_back(std::move(name));
    }
  }
  return fmt::format(fmt::runtime(section == kRule ? "[[{}]] has {}" : "[{}] has {}"), section, fmt::join(keys, ", "));
}

// Walks a document and keeps the problem that stands first in the file.
class DocumentReader {
 public:
  DocumentReader(const CommandCheck& is_command, const FileCheck& check) : is_command_(is_command), check_(check) {}

  void read(const toml::table& document) {
    for (const auto& [key, node] : document) {
      key.str() == kRule ? read_rules(key, node) : read_section(key, node);
    }
    if (first_) return;
    auto conflict = find_conflict(settings_);
    if (!conflict && check_) conflict = check_(settings_);
    if (!conflict) return;
    const auto culprit = document.at_path(fmt::format("{}.{}", conflict->section, conflict->key));
    add(culprit.node()->source().begin.line, std::move(conflict->what));
  }

  const Settings& settings() const { return settings_; }
  const std::optional<Problem>& problem() const { return first_; }

 private:
  void read_section(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    const uint32_t line = line_of(key, node);
    auto sections = section_names();
    if (find_unserved(name, "")) {
      const std::string_view shown = node.is_array() ? "[[{}]]" : "[{}]";
      add(line,
          fmt::format("{} is not served by this version yet; leave it out", fmt::format(fmt::runtime(shown), name)));
    } else if (std::ranges::find(sections, name) == sections.end() || name.find('.') != name.npos) {
      sections.push_back(kRule);
      add(line, fmt::format("unknown {} {}; the sections are {}", node.is_table() ? "section" : "setting", name,
                            fmt::join(sections, ", ")));
    } else if (!node.is_table()) {
      add(line, fmt::format("{} is {}; it must be a section, [{}]", name, describe_value(node), name));
    } else {
      for (const auto& [setting, value] : *node.as_table()) {
        const std::string inner = fmt::format("{}.{}", name, setting.str());
        std::ranges::find(sections, inner) == sections.end() ? read_setting(name, setting, value)
                                                             : read_tls(inner, setting, value);
      }
    }
  }

  void read_tls(std::string_view section, const toml::key& key, const toml::node& node) {
    section == kServerTls ? (void)settings_.server.tls.emplace() : (void)settings_.upstream.tls.emplace();
    read_part(section, key, node);
  }

  void read_rules(const toml::key& key, const toml::node& node) {
    constexpr std::string_view kWanted = "it must be a list of sections, [[rule]]";
    if (!node.is_array()) {
      return add(line_of(key, node), fmt::format("{} is {}; {}", kRule, describe_value(node), kWanted));
    }
    for (const toml::node& element : *node.as_array()) {
      const uint32_t line = element.source().begin.line;
      if (const toml::table* table = element.as_table()) {
        read_rule(*table, line);
      } else {
        add(line, fmt::format("{} has {}; {}", kRule, describe_value(element), kWanted));
      }
    }
    check_names();
  }

  void read_rule(const toml::table& table, uint32_t line) {
    RuleSettings& rule = settings_.rules.emplace_back();
    rule_lines_.push_back(line);
    rule.name = fmt::format("rule-{}", settings_.rules.size());
    for (const auto& [key, node] : table) {
      if (key.str() == kRuleTtl.substr(kRule.size() + 1)) {
        read_ttl(key, node);
      } else if (key.str() == kRuleNear.substr(kRule.size() + 1)) {
        rule.near_cache.emplace();
        read_part(kRuleNear, key, node);
      } else if (key.str() == kRuleStampede.substr(kRule.size() + 1)) {
        read_stampede(key, node);
      } else {
        if (key.str() == "name") rule_lines_.back() = line_of(key, node);
        read_setting(kRule, key, node);
      }
    }
    check_on_error(table);
    if (!table.contains("match")) {
      add(line, fmt::format("rule.match is left out; it must be {}", describe_allowed(*find_field(kRule, "match"))));
    }
  }

  // A section within another; null: it is none.
  const toml::table* read_part(std::string_view section, const toml::key& key, const toml::node& node) {
    const toml::table* table = node.as_table();
    if (!table) {
      add(line_of(key, node),
          fmt::format("{} is {}; it must be a section, [{}]", section, describe_value(node), section));
      return nullptr;
    }
    for (const auto& [name, value] : *table) read_setting(section, name, value);
    return table;
  }

  void read_ttl(const toml::key& key, const toml::node& node) {
    const TtlSettings& ttl = settings_.rules.back().ttl.emplace();
    const toml::table* table = read_part(kRuleTtl, key, node);
    if (!table) return;
    if (ttl.max_ms == 0 || ttl.default_ms <= ttl.max_ms) return;
    const bool given = table->contains("default");
    const toml::node& culprit = *table->get(given ? "default" : "max");
    add(culprit.source().begin.line,
        fmt::format("{}.default is \"{}\"{} and {}.max is \"{}\"; the default must not be more than the maximum",
                    kRuleTtl, format_duration(ttl.default_ms), given ? "" : " if it is left out", kRuleTtl,
                    format_duration(ttl.max_ms)));
  }

  void read_stampede(const toml::key& key, const toml::node& node) {
    const StampedeSettings& stampede = settings_.rules.back().stampede.emplace();
    const toml::table* table = read_part(kRuleStampede, key, node);
    if (!table || stampede.wait_shared_ms <= stampede.wait_ms) return;
    const bool given = table->contains("wait");
    add(table->get("wait_shared")->source().begin.line,
        fmt::format("{}.wait_shared is \"{}\" and {}.wait is \"{}\"{}; it must not be more than that", kRuleStampede,
                    format_duration(stampede.wait_shared_ms), kRuleStampede, format_duration(stampede.wait_ms),
                    given ? "" : " if it is left out"));
  }

  // What is served stale comes from the near cache.
  void check_on_error(const toml::table& table) {
    if (first_) return;
    RuleSettings& rule = settings_.rules.back();
    const auto line_at = [&](const char* key) { return table.get(key)->source().begin.line; };
    if (rule.on_upstream_error != "stale") {
      if (rule.stale_if_error_ms == 0) return;
      return add(
          line_at("stale_if_error"),
          fmt::format("rule.stale_if_error is set and rule.on_upstream_error is \"{}\"{}; it goes with \"stale\" "
                      "only",
                      rule.on_upstream_error, table.contains("on_upstream_error") ? "" : " if it is left out"));
    }
    if (rule.stale_if_error_ms == 0) rule.stale_if_error_ms = kStaleIfErrorMs;
    if (rule.near_cache) return;
    add(line_at("on_upstream_error"),
        "rule.on_upstream_error is \"stale\" and the rule has no near_cache; it must have one, or nothing is known to "
        "be told");
  }

  // Each rule's name is its own: what tells of a rule tells it by its name.
  void check_names() {
    const auto& rules = settings_.rules;
    for (size_t i = 0; i < rules.size(); ++i) {
      for (size_t earlier = 0; earlier < i; ++earlier) {
        if (rules[earlier].name != rules[i].name) continue;
        add(rule_lines_[i],
            fmt::format("rule.name is \"{}\", as that of an earlier rule; each must have its own", rules[i].name));
      }
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
  const FileCheck& check_;
  Settings settings_;
  std::vector<uint32_t> rule_lines_;  // of the rules' names, or of where they begin
  std::optional<Problem> first_;
};

Result<Settings> failure_at(const std::string& file, uint32_t line, std::string what) {
  std::ranges::replace(what, '\n', ' ');
  return Result<Settings>::failure(fmt::format("{}:{}: {}", file, line, what));
}

}  // namespace

Result<Settings> load_text(std::string_view toml, const std::string& file, const CommandCheck& is_command,
                           const FileCheck& check) {
  try {
    const toml::table document = toml::parse(toml, file);
    DocumentReader reader(is_command, check);
    reader.read(document);
    if (const auto& problem = reader.problem()) return failure_at(file, problem->line, problem->what);
    return Result<Settings>::of(reader.settings());
  } catch (const toml::parse_error& error) {
    return failure_at(file, error.source().begin.line, fmt::format("not valid TOML: {}", error.description()));
  }
}

Result<Settings> load_file(const std::string& file, const CommandCheck& is_command, const FileCheck& check) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  const bool empty = stream.peek() == std::ifstream::traits_type::eof() && stream.eof();  // nothing to read is no error
  if (stream && !empty) text << stream.rdbuf();
  if ((!stream && !empty) || text.fail()) {
    const std::string_view why = errno ? std::strerror(errno) : "not a file";
    return Result<Settings>::failure(fmt::format("{}: cannot be read: {}", file, why));
  }
  return load_text(text.str(), file, is_command, check);
}

}  // namespace corral::config

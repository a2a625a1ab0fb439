// See printer.h.
#include "config/printer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "config/units.h"

namespace corral::config {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

std::string quoted_list(std::vector<std::string> elements) {
  for (std::string& element : elements) element = quoted(element);
  return fmt::format("[{}]", fmt::join(elements, ", "));
}

struct PrintValue {
  Settings& settings;

  std::string operator()(const WholeNumber& k) const { return std::to_string(k.at(settings)); }
  std::string operator()(const Flag& k) const { return k.at(settings) ? "true" : "false"; }
  std::string operator()(const Fraction& k) const { return fmt::format("{}", k.at(settings)); }
  std::string operator()(const Duration& k) const { return quoted(format_duration(k.at(settings))); }
  std::string operator()(const Size& k) const { return quoted(format_size(k.at(settings))); }
  std::string operator()(const Text& k) const { return quoted(k.at(settings)); }
  std::string operator()(const Name& k) const { return quoted(k.at(settings)); }
  std::string operator()(const Choice& k) const { return quoted(k.at(settings)); }
  std::string operator()(const OptionalAddress& k) const { return quoted(k.at(settings)); }
  std::string operator()(const AddressList& k) const {
    std::vector<std::string> texts;
    for (const Address& address : k.at(settings)) texts.push_back(format_address(address));
    return quoted_list(std::move(texts));
  }
  std::string operator()(const CommandList& k) const { return quoted_list(k.at(settings)); }
  std::string operator()(const UserList& k) const { return quoted_list(k.at(settings)); }
  std::string operator()(const GlobList& k) const { return quoted_list(k.at(settings)); }
};

// Of a setting that can only be left out.
struct IsNone {
  Settings& settings;

  bool operator()(const Duration& k) const { return k.at(settings) < k.min_ms; }
  bool operator()(const Size& k) const { return k.at(settings) < k.min; }
  bool operator()(const auto&) const { return false; }
};

std::string print_field(const Field& field, Settings& settings, bool annotated) {
  const std::string value = std::visit(PrintValue{settings}, field.kind);
  if (!annotated) return fmt::format("{} = {}\n", field.key, value);
  std::string allowed = describe_allowed(field);
  allowed[0] = static_cast<char>(toupper(static_cast<unsigned char>(allowed[0])));
  return fmt::format("# {}\n#   {}\n{} = {}\n", field.about, allowed, field.key, value);
}

// The rule that is last in the settings.
std::string print_rule(Settings& settings, bool annotated) {
  std::string out = fmt::format("[[{}]]\n", kRule);
  std::string_view section = kRule;
  for (const Field& field : rule_fields()) {
    if (field.section == kRuleTtl && !settings.rules.back().ttl) continue;
    if (field.section == kRuleNear && !settings.rules.back().near_cache) continue;
    if (field.section == kRuleStampede && !settings.rules.back().stampede) continue;
    if (field.section != section) {
      section = field.section;
      out += fmt::format("[{}]\n", section);
    }
    if (!std::visit(IsNone{settings}, field.kind)) out += print_field(field, settings, annotated);
  }
  return out;
}

std::string commented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    out += fmt::format("# {}", text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

// What a rule looks like, as a comment.
std::string print_rule_example() {
  Settings settings;
  RuleSettings& rule = settings.rules.emplace_back();
  rule.name = "pages";
  rule.match = {"cache:*", "page:*"};
  rule.max_value_bytes = 1u << 20;
  rule.ttl.emplace().max_ms = 3'600'000;
  rule.near_cache.emplace();
  rule.stampede = {.stale_while_revalidate_ms = 30'000, .early_refresh = 1};
  rule.on_upstream_error = "stale";
  rule.stale_if_error_ms = kStaleIfErrorMs;
  return commented(print_rule(settings, /*annotated=*/true));
}

// What a section that is left out would say, as a comment.
std::string print_left_out(std::string_view section) {
  Settings defaults;
  std::string out = fmt::format("[{}]\n", section);
  for (const Field& field : fields()) {
    if (field.section == section) out += print_field(field, defaults, /*annotated=*/true);
  }
  return commented(out);
}

std::string_view about_section(std::string_view section) {
  if (section == kServerTls)
    return "# TLS, for the listening addresses that begin with \"tls://\". A reload reads the files again.\n";
  if (section == kUpstreamTls)
    return "# If this section is there, TLS is spoken with all nodes and sentinels. A reload reads the files again.\n";
  return {};
}

}  // namespace

std::vector<std::string> find_fixed_changes(const Settings& running, const Settings& wanted) {
  Settings before = running, after = wanted;  // the table finds members of what may be changed
  std::vector<std::string> names;
  for (const Field& field : fields()) {
    if (field.live || std::visit(PrintValue{before}, field.kind) == std::visit(PrintValue{after}, field.kind)) continue;
    names.push_back(fmt::format("{}.{}", field.section, field.key));
  }
  for (const std::string_view section : {kServerTls, kUpstreamTls}) {
    if (is_left_out(running, section) != is_left_out(wanted, section)) names.emplace_back(section);
  }
  return names;
}

std::string print_settings(const Settings& settings) {
  Settings copy = settings;  // the table finds members of what may be changed
  std::string out =
      "# Settings of Corral: each with its value, what it is for and what is allowed.\n"
      "# What is left out has its default. An unknown setting is an error.\n";
  std::string_view section;
  for (const Field& field : fields()) {
    if (field.section != section) {
      section = field.section;
      out += '\n' + std::string(about_section(section));
      out += is_left_out(settings, section) ? print_left_out(section) : fmt::format("[{}]\n", section);
    }
    if (!is_left_out(settings, section)) out += print_field(field, copy, /*annotated=*/true);
  }
  out +=
      "\n# Rules say what becomes of the keys that they match: the first rule that matches a key applies to it. What "
      "a\n"
      "# rule leaves out is off for its keys; a key that no rule matches passes through untouched.\n#\n";
  out += print_rule_example();
  for (const RuleSettings& rule : settings.rules) {
    Settings one;
    one.rules.push_back(rule);
    out += '\n' + print_rule(one, /*annotated=*/false);
  }
  return out;
}

}  // namespace corral::config

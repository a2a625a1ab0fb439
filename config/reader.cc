// See reader.h.
#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "config/units.h"
#include "policy/acl.h"

namespace corral::config {
namespace {

// One visitor over the kinds of field. Each way out with a problem goes through `wrong` or `problem_at`.
class FieldReader {
 public:
  FieldReader(const Field& field, const toml::node& node, std::string_view subject, const CommandCheck& is_command,
              Settings& settings)
      : field_(field), node_(node), subject_(subject), is_command_(is_command), settings_(settings) {}

  std::optional<Problem> operator()(const WholeNumber& kind) {
    const auto value = integer();
    if (!value || *value < kind.min || *value > kind.max) return wrong(node_);
    kind.at(settings_) = static_cast<uint32_t>(*value);
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Flag& kind) {
    const auto* value = node_.as_boolean();
    if (!value) return wrong(node_);
    kind.at(settings_) = value->get();
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Fraction& kind) {
    const auto* number = node_.as_floating_point();
    const auto whole = integer();
    if (!number && !whole) return wrong(node_);
    const double value = number ? number->get() : static_cast<double>(*whole);
    if (!(value >= kind.min && value <= kind.max)) return wrong(node_);  // nor is it a NaN
    kind.at(settings_) = value;
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Duration& kind) {
    const auto text = string(node_);
    const auto value = text ? parse_duration_ms(*text) : std::nullopt;
    if (!value || *value < kind.min_ms || *value > kind.max_ms) return wrong(node_);
    kind.at(settings_) = *value;
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Size& kind) {
    const auto text = string(node_);
    auto value = text ? parse_size(*text) : std::nullopt;
    if (node_.is_integer() && node_.as_integer()->get() == 0) value = 0;  // needs no unit
    if (!value || *value < kind.min || *value > kind.max) return wrong(node_);
    kind.at(settings_) = *value;
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Text& kind) {
    const auto text = string(node_);
    if (!text && kind.secret) return hidden_wrong(node_);
    if (!text) return wrong(node_);
    kind.at(settings_) = *text;
    return std::nullopt;
  }

  std::optional<Problem> operator()(const UserList& kind) {
    if (!node_.is_array()) return hidden_wrong(node_);
    std::vector<std::string> lines;
    policy::Acl acl;  // finds out what does not go together
    const auto add = [&](const toml::node& element) -> std::optional<Problem> {
      const auto text = string(element);
      if (!text) return hidden_wrong(element);
      policy::AclLine line;
      std::string error = line.read(*text);
      if (error.empty()) error = acl.add(line);
      if (!error.empty()) return problem_at(element, fmt::format("has a line that is wrong: {}", error));
      lines.push_back(line.without_passwords());
      return std::nullopt;
    };
    if (auto problem = for_each_element(add, /*single_allowed=*/false)) return problem;
    kind.at(settings_) = std::move(lines);
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Name& kind) {
    const auto text = string(node_);
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (!text || text->empty() || std::ranges::any_of(*text, is_control)) return wrong(node_);
    kind.at(settings_) = *text;
    return std::nullopt;
  }

  std::optional<Problem> operator()(const Choice& kind) {
    const auto text = string(node_);
    if (!text || std::ranges::find(kind.choices, *text) == kind.choices.end()) return wrong(node_);
    kind.at(settings_) = *text;
    return std::nullopt;
  }

  std::optional<Problem> operator()(const OptionalAddress& kind) {
    const auto text = string(node_);
    const auto address = text ? parse_address(*text) : std::nullopt;
    if (!text || (!text->empty() && (!address || address->is_unix() || address->tls))) return wrong(node_);
    kind.at(settings_) = address ? format_address(*address) : "";
    return std::nullopt;
  }

  std::optional<Problem> operator()(const AddressList& kind) {
    std::vector<Address> found;
    const auto add = [&](const toml::node& element) -> std::optional<Problem> {
      const auto text = string(element);
      const auto address = text ? parse_address(*text) : std::nullopt;
      if (!address || ((address->is_unix() || address->tls) && !kind.for_listening)) return wrong(element);
      const auto is_same = [&](const Address& one) { return one.host == address->host && one.port == address->port; };
      if (std::ranges::any_of(found, is_same)) {
        return problem_at(element,
                          fmt::format("names {} twice; each address may be there once", describe_value(element)));
      }
      found.push_back(*address);
      return std::nullopt;
    };
    if (auto problem = for_each_element(add, /*single_allowed=*/true)) return problem;
    if (found.empty()) return problem_at(node_, fmt::format("is empty; it must be {}", describe_allowed(field_)));
    kind.at(settings_) = std::move(found);
    return std::nullopt;
  }

  std::optional<Problem> operator()(const CommandList& kind) {
    std::vector<std::string> found;
    const auto add = [&](const toml::node& element) -> std::optional<Problem> {
      auto name = string(element);
      if (!name || !is_command_name(*name)) return wrong(element);
      std::ranges::transform(*name, name->begin(), [](unsigned char c) { return static_cast<char>(toupper(c)); });
      if (is_command_ && !is_command_(*name)) {
        return problem_at(element, fmt::format("names {}; no such command is known", describe_value(element)));
      }
      found.push_back(std::move(*name));
      return std::nullopt;
    };
    if (auto problem = for_each_element(add, /*single_allowed=*/false)) return problem;
    kind.at(settings_) = std::move(found);
    return std::nullopt;
  }

  std::optional<Problem> operator()(const GlobList& kind) {
    std::vector<std::string> found;
    const auto add = [&](const toml::node& element) -> std::optional<Problem> {
      auto glob = string(element);
      if (!glob || glob->empty()) return wrong(element);
      found.push_back(std::move(*glob));
      return std::nullopt;
    };
    if (auto problem = for_each_element(add, /*single_allowed=*/true)) return problem;
    if (found.empty()) return problem_at(node_, fmt::format("is empty; it must be {}", describe_allowed(field_)));
    kind.at(settings_) = std::move(found);
    return std::nullopt;
  }

 private:
  template <class Add>
  std::optional<Problem> for_each_element(Add add, bool single_allowed) {
    const toml::array* list = node_.as_array();
    if (!list) return single_allowed ? add(node_) : wrong(node_);
    for (const toml::node& element : *list) {
      if (auto problem = add(element)) return problem;
    }
    return std::nullopt;
  }

  // A word, or a word, one space and a word.
  static bool is_command_name(std::string_view name) {
    const auto in_word = [](unsigned char c) { return isalnum(c) || c == '-' || c == '_' || c == '.'; };
    const auto is_word = [&](std::string_view word) { return !word.empty() && std::ranges::all_of(word, in_word); };
    const size_t space = name.find(' ');
    if (space == std::string_view::npos) return is_word(name);
    return is_word(name.substr(0, space)) && is_word(name.substr(space + 1));
  }

  std::optional<int64_t> integer() const {
    const auto* value = node_.as_integer();
    return value ? std::optional(value->get()) : std::nullopt;
  }

  static std::optional<std::string> string(const toml::node& node) {
    const auto* value = node.as_string();
    return value ? std::optional(value->get()) : std::nullopt;
  }

  // `culprit` is the value or one element of it.
  std::optional<Problem> wrong(const toml::node& culprit) const {
    const std::string_view verb = &culprit == &node_ ? "is" : "has";
    return problem_at(culprit,
                      fmt::format("{} {}; it must be {}", verb, describe_value(culprit), describe_allowed(field_)));
  }

  // Likewise, where the value may be a secret.
  std::optional<Problem> hidden_wrong(const toml::node& culprit) const {
    const std::string_view verb = &culprit == &node_ ? "is" : "has";
    return problem_at(culprit, fmt::format("{} something else; it must be {}", verb, describe_allowed(field_)));
  }

  std::optional<Problem> problem_at(const toml::node& culprit, std::string_view what) const {
    return Problem{culprit.source().begin.line, fmt::format("{} {}", subject_, what)};
  }

  const Field& field_;
  const toml::node& node_;
  std::string_view subject_;
  const CommandCheck& is_command_;
  Settings& settings_;
};

}  // namespace

std::optional<Problem> read_field(const Field& field, const toml::node& node, std::string_view subject,
                                  const CommandCheck& is_command, Settings& settings) {
  return std::visit(FieldReader(field, node, subject, is_command, settings), field.kind);
}

std::string describe_value(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::floating_point:
      return fmt::format("{}", node.as_floating_point()->get());  // the shortest text, as people write it
    default:
      break;
  }
  std::ostringstream text;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) {
      text << toml::default_formatter(toml::table{{"v", value}}, toml::format_flags::none);
    }
  });
  // The formatter writes `v = VALUE`: what follows the sign is the value with its quotes and escapes.
  const std::string line = text.str();
  return line.substr(line.find('=') + 2);
}

}  // namespace corral::config

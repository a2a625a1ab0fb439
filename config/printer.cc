// See printer.h.
#include "config/printer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "config/schema.h"
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
  std::string operator()(const Duration& k) const { return quoted(format_duration(k.at(settings))); }
  std::string operator()(const Size& k) const { return quoted(format_size(k.at(settings))); }
  std::string operator()(const Text& k) const { return quoted(k.at(settings)); }
  std::string operator()(const Choice& k) const { return quoted(k.at(settings)); }
  std::string operator()(const OptionalAddress& k) const { return quoted(k.at(settings)); }
  std::string operator()(const AddressList& k) const {
    std::vector<std::string> texts;
    for (const Address& address : k.at(settings)) texts.push_back(format_address(address));
    return quoted_list(std::move(texts));
  }
  std::string operator()(const CommandList& k) const { return quoted_list(k.at(settings)); }
};

}  // namespace

std::string print_settings(const Settings& settings) {
  Settings copy = settings;  // the table finds members of what may be changed
  std::string out =
      "# Settings of Corral: each with its value, what it is for and what is allowed.\n"
      "# What is left out has its default. An unknown setting is an error.\n";
  std::string_view section;
  for (const Field& field : fields()) {
    if (field.section != section) {
      section = field.section;
      out += fmt::format("\n[{}]\n", section);
    }
    std::string allowed = describe_allowed(field);
    allowed[0] = static_cast<char>(toupper(static_cast<unsigned char>(allowed[0])));
    const std::string value = std::visit(PrintValue{copy}, field.kind);
    out += fmt::format("# {}\n#   {}\n{} = {}\n", field.about, allowed, field.key, value);
  }
  return out;
}

}  // namespace corral::config

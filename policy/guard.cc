#include "policy/guard.h"

#include <algorithm>

#include "resp/ascii.h"

namespace corral::policy {

namespace {

// "CONFIG SET" -> "config|set", as the table names it.
std::string table_name(std::string_view written) {
  std::string name;
  for (const char c : written) {
    if (c == ' ' || c == '|') {
      if (!name.empty() && name.back() != '|') name += '|';
    } else {
      name += resp::lower(c);
    }
  }
  return name;
}

bool covers(std::string_view denied, std::string_view name) {
  return name == denied || (name.size() > denied.size() && name.starts_with(denied) && name[denied.size()] == '|');
}

}  // namespace

Guard::Guard(std::span<const std::string> denied) : denied_ids_(resp::command_id_count(), false) {
  for (const std::string& written : denied) {
    const std::string name = table_name(written);
    for (const resp::CommandSpec& command : resp::all_commands()) {
      if (covers(name, command.name)) denied_ids_[command.id] = true;
      for (const resp::CommandSpec& sub : command.subcommands) {
        if (covers(name, sub.name)) denied_ids_[sub.id] = true;
      }
    }
    if (!name.empty()) denied_names_.push_back(name);
  }
}

bool Guard::denies_by_name(std::string_view name) const {
  return std::any_of(denied_names_.begin(), denied_names_.end(),
                     [name](const std::string& denied) { return covers(denied, name); });
}

}  // namespace corral::policy

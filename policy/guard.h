// The guard: commands that no client may use, whatever the key. Checked after authentication and before anything else
// is decided about a command.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command_table.h"

namespace corral::policy {

class Guard {
 public:
  /// Names of commands ("DEBUG") and subcommands ("CONFIG SET"), any case; a container's name denies all of it. Names
  /// that the table lacks are for commands of modules and newer servers.
  explicit Guard(std::span<const std::string> denied);

  /// Whether `spec` (a subcommand's, where the command has them) is denied. Allocates nothing.
  bool denies(const resp::CommandSpec& spec) const {
    if (spec.id < denied_ids_.size()) return denied_ids_[spec.id];
    return !denied_names_.empty() && denies_by_name(spec.name);
  }

 private:
  bool denies_by_name(std::string_view name) const;

  std::vector<bool> denied_ids_;           // by CommandSpec::id
  std::vector<std::string> denied_names_;  // lower case, "config|set"; of commands that are not in the table
};

}  // namespace corral::policy

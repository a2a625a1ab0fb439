// The command line: which settings file, what overrides it, and what is asked of the program besides serving.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "config/loader.h"
#include "config/result.h"
#include "config/settings.h"

namespace corral::config {

// Settings given as flags; they stand above the file, also when it is loaded again. Kept as they were typed.
struct Overrides {
  std::vector<std::string> listen;
  std::optional<std::string> upstream, workers, admin, log_level;
};

struct Invocation {
  Settings settings;        // of the file and the flags, checked; meaningless if exit_status is set and not 0
  std::string config_file;  // empty: none
  Overrides overrides;
  bool check = false, print_config = false;  // already done: exit_status is set
  bool takeover = false;                     // start by taking over the listening sockets of the running corral
  std::optional<int> exit_status;            // set: the program ends with it; all that is to be said has been said
};

// Never throws, never ends the program. An error is one line on `err` and the status 2.
Invocation parse_command_line(int argc, const char* const* argv, std::ostream& out, std::ostream& err,
                              const CommandCheck& is_command = {}, const FileCheck& check = {});

// The settings again, for a reload: of the file as it is now, below the same flags. The error is one line.
Result<Settings> load_again(const Invocation& invocation, const CommandCheck& is_command = {},
                            const FileCheck& check = {});

}  // namespace corral::config

// Values that are over the limit of the guard or of a rule: refused from the length that is declared for them, before
// they have come; what comes of them is dropped, and the connection lives on.
#pragma once

#include <string>

#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Worker;
struct PartialInput;

/// Why a whole request is refused ("TOOBIG ..."); empty if it is not. The caller has seen that it is longer than the
/// least limit.
std::string too_big(Worker& worker, const resp::Command& command, const resp::CommandSpec& spec);

/// The same of a request of which only the beginning has come, up to the length of the argument that is coming.
std::string too_big_already(Worker& worker, const PartialInput& input);

}  // namespace corral::core

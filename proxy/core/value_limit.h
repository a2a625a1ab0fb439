// Values that are over the limit of the guard or of a rule: refused from the length that is declared for them, before
// they have come; what comes of them is dropped, and the connection lives on.
#pragma once

#include <string>

#include "resp/command.h"
#include "resp/command_table.h"
#include "resp/request_scanner.h"

namespace corral::core {

class Worker;

/// Why a whole request is refused ("TOOBIG ..."); empty if it is not. The caller has seen that it is longer than the
/// least limit.
std::string too_big(Worker& worker, const resp::Command& command, const resp::CommandSpec& spec);

/// The same of a request of which only the beginning has come, up to the length of the argument `partial`. `spec`: null
/// if it cannot be told yet. What cannot be told is told when the request is whole.
std::string too_big_already(Worker& worker, const resp::RequestScanner::Head& head, const resp::CommandSpec* spec,
                            const resp::RequestScanner::Partial& partial);

}  // namespace corral::core

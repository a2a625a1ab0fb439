// A request read again from its bytes: for the slow ways that get hold of a request after it was sent.
#pragma once

#include <string_view>

#include "proxy/core/worker.h"
#include "resp/command_table.h"
#include "resp/request_scanner.h"

namespace corral::core {

class ParsedRequest {
 public:
  /// `bytes`: one whole request in multibulk form; they must stay.
  ParsedRequest(Worker& worker, std::string_view bytes);

  const resp::Command& command() const { return command_; }
  /// Null if neither the table nor the upstream knows the command.
  const resp::CommandSpec* spec() const { return spec_; }
  /// The keys in their order; empty also if they cannot be told.
  std::vector<std::string_view> keys() const;

 private:
  resp::RequestScanner scanner_;
  resp::Command command_{};
  const resp::CommandSpec* spec_ = nullptr;
};

/// The spec of a command or of its subcommand, from the table or as the upstream told; null if there is none (yet).
const resp::CommandSpec* find_spec(Worker& worker, const resp::Command& command);

/// Whether two requests have a key in common, or might have: one whose keys cannot be told shares any.
bool share_key(Worker& worker, std::string_view a, std::string_view b);

}  // namespace corral::core

// The parts of a command that is cut by its keys, and the one reply that is made of theirs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/collected.h"
#include "proxy/core/handlers.h"
#include "proxy/core/request.h"
#include "resp/command_table.h"

namespace corral::core {

class Worker;

class SplitTask final : public Task {
 public:
  /// `whole` is answered when all parts are. `keys`: how many there are.
  SplitTask(Worker& worker, const Request& whole, resp::Merge merge, uint32_t keys);

  /// The number of a part that asks for the keys with these places in the request.
  uint32_t add_part(std::vector<uint32_t> places);
  /// Of a part that asks for one key by itself, as GET does, for an element of an array.
  uint32_t add_single(uint32_t place);
  /// An element that is known already.
  void set_element(uint32_t place, std::string element) { elements_[place] = std::move(element); }

  void on_reply(uint32_t part, std::string_view bytes) override;

 private:
  struct Asked {
    std::vector<uint32_t> places;
    bool single;
  };

  void take(const Asked& part, std::string_view bytes);
  void place(const Asked& part, const resp::ReplyView& reply);
  void finish();

  Worker& worker_;
  const Request whole_;  // holds a reference to the session
  const resp::Merge merge_;
  std::vector<Asked> parts_;
  uint32_t awaited_ = 0;
  bool any_executed_ = false;
  std::string error_;
  int64_t sum_ = 0;
  std::vector<std::string> elements_;
  Collected collected_;
};

/// One part for each group of keys (by their place in `keys`, which holds their arguments), with what follows each key
/// up to the next one (MSET).
std::vector<Part> make_parts(Worker& worker, SplitTask* task, const Request& whole, const resp::Command& command,
                             const resp::CommandSpec& spec, const std::vector<uint32_t>& keys,
                             const std::vector<std::vector<uint32_t>>& groups);

/// The places of keys, grouped by their slots. `places`: of which; indexes into `keys`.
std::vector<std::vector<uint32_t>> group_by_slot(Worker& worker, const resp::Command& command,
                                                 const std::vector<uint32_t>& keys,
                                                 const std::vector<uint32_t>& places);

}  // namespace corral::core

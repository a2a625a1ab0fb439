// Touches of the near cache (policy/near_cache.h): which of the keys that a command writes, or reads over an ordinary
// connection, the cache must know of, from before the command is sent until its client is about to be answered.
//
// A touch hangs on the command's own request (Request::touch), which is answered exactly once, whatever becomes of the
// parts that are made of it and of its client.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/near_cache.h"
#include "proxy/core/leases.h"
#include "proxy/core/touch.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;
class Worker;

struct NearTouch {
  policy::NearTouched first;  // of the keys, if there is any; most have one
  std::vector<policy::NearTouched> more;
  bool any = false;
  bool write = false;
  bool of_all = false;              // of keys that are not known
  bool of_part = false;             // of a part that is answered by itself
  bool overwrites = false;          // the client was told that there is nothing to overwrite (Leases::may_overwrite)
  std::unique_ptr<LeaseRead> read;  // what it finds is to be judged
  std::unique_ptr<LeaseWrites> writes;  // of keys that may be leased

  /// Another key. `session` is that of a read.
  void add(policy::NearTouched key, Session& session);
};

class NearTouches {
 public:
  NearTouches(Worker& worker, policy::NearCache& cache) : worker_(worker), cache_(cache) {}

  /// The session's next request will touch what the command does, if that concerns the cache. False: replies that the
  /// session waits for have to come first.
  bool begin(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  /// Likewise for a plain read that the cache has counted already (NearCache::Answer::kPlain).
  NearTouch* begin_read(Session& session);
  /// The same of one key of which nothing is kept: no object is taken.
  Touch begin_read(policy::NearTouched key, Session& session);
  /// One that passes by a key, in this era.
  static Touch pass(uint64_t hash, uint32_t era, Session& session);
  /// A key that is passed by is one of those that `touch` reads.
  static void pass(NearTouch& touch, uint64_t hash, uint32_t era, Session& session);
  /// Its command has been answered: nothing more was sent (an empty reply), or the client is about to be told.
  void end(const Touch& touch, Session& session, std::string_view reply);
  /// The same of one that passed by a key.
  void end_passed(const Touch& touch, Session& session, std::string_view reply);

 private:
  struct Wanted {
    std::vector<policy::NearTouched> keys;
    struct Leased {
      std::string_view key;
      std::optional<std::string_view> value;  // what it becomes, if that is known
      const resp::CommandSpec* spec;
      const policy::Rule* rule;
    };
    std::vector<Leased> leased;  // of a rule with `stampede`, and written
    bool write = false;
    bool all = false;
  };

  void look_at(const resp::Command& command, const resp::CommandSpec& spec);
  void look_at_transaction(Session& session);
  void look_at_key(const resp::Command& command, const resp::CommandSpec& spec, uint32_t index);
  bool may_overwrite(Session& session) const;
  void begin_lease_writes(Session& session, NearTouch& touch, bool alone);
  NearTouch* take();
  void end_object(NearTouch* touch, Session& session, bool executed);
  void end_key(const policy::NearTouched& key, bool write, Session& session, bool executed);

  Worker& worker_;
  policy::NearCache& cache_;
  Wanted wanted_;  // scratch
  std::vector<std::unique_ptr<NearTouch>> all_;
  std::vector<NearTouch*> spare_;
};

}  // namespace corral::core

// The versions that each key has had at the nodes, and whether what clients are told of it keeps the guarantees of the
// near cache (section 6 of the design):
//   G1  after a write through a process is answered, no read through it returns what the write replaced
//   G2  of two reads through one process that do not overlap, the later never sees an older value
//   G3  what is written past it is seen within a bound; a key whose time is over is gone likewise
//
// Times are those of the clients: a request is sent before the core has it, a reply comes after the core has given it.
// So what is demanded here is a little less than what the core owes, and never more.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::sim {

/// Which request of which client wrote a value.
using Writer = std::pair<uint32_t, uint32_t>;
constexpr uint32_t kDirectWriter = 9999;  // stands for all who write past the proxies

class KeyLog {
 public:
  /// For so long what has been replaced may still be told.
  int64_t bound_us = 0;

  /// At a node; null: the key is gone.
  void on_written(const std::string& key, const Writer* writer, int64_t at_us);

  /// A request about the key is sent over `process`: what its reply must not be older than.
  struct Sent {
    int64_t us = 0;
    int64_t floor = 0;    // the version that some client of the process has certainly seen
    int64_t current = 0;  // the version at the node
  };
  Sent on_sent(uint32_t process, const std::string& key, int64_t now_us);

  /// Who asks: its replies come in the order of its requests.
  struct Asker {
    uint32_t process = 0, client = 0;
  };
  /// What is wrong with a value that was read, or with nothing; empty: all is well.
  std::string on_value(const Asker& asker, const std::string& key, const Sent& sent, const Writer& writer);
  std::string on_nothing(const Asker& asker, const std::string& key, const Sent& sent, int64_t now_us);
  /// Whether the key has been absent at some time within [since, now]; also, if `blind`, in the eyes of somebody who does
  /// not see what is written past the proxies.
  bool was_absent(const std::string& key, int64_t since_us, bool blind) const;
  /// A write has been answered: of a value, or a removal of so many keys.
  void on_stored(const Asker& asker, const std::string& key, const Sent& sent, const Writer& writer);
  void on_removed(const Asker& asker, const std::string& key, const Sent& sent, bool was_there);

 private:
  struct Version {
    int64_t from_us;
    bool absent;
    Writer writer;
  };
  struct Key {
    std::vector<Version> versions = {{0, true, {}}};
    std::map<Writer, int64_t> places;        // the last
    std::map<uint32_t, int64_t> floors;      // by process
    std::map<uint32_t, int64_t> own_floors;  // by client
  };

  bool too_old(const Key& key, int64_t place, const Sent& sent) const;
  static void raise(Key& key, const Asker& asker, int64_t floor);

  std::map<std::string, Key> keys_;
};

}  // namespace corral::sim

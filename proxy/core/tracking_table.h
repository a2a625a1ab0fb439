// Which clients have read which keys, of those that want to hear when a key changes (CLIENT TRACKING): the table of one
// worker.
//
// A reader is a client together with the kind of the links over which it read, since a node tells each of its
// connections separately. Like Redis' own table it is bounded by its keys; the one that was first read longest ago goes
// first, and its readers are told as if it had changed.
// Source: https://redis.io/docs/manual/client-side-caching; Redis 7.0, tracking.c.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/core/link_kind.h"
#include "proxy/core/pubsub_frame.h"

namespace corral::core {

class TrackingTable {
 public:
  struct Reader {
    uint64_t client;  // its id
    LinkKind kind;
    auto operator<=>(const Reader&) const = default;
  };
  using Readers = std::vector<Reader>;

  explicit TrackingTable(size_t most_keys) : most_keys_(most_keys) {}

  size_t keys() const { return entries_.size(); }
  /// Pairs of a key and a reader.
  size_t items() const { return items_; }

  void add(std::string_view key, uint16_t slot, Reader reader);
  /// Takes out those readers of a key whose links are of this kind; `except`, a client's id, stays. They are appended
  /// to `out`.
  void take(std::string_view key, LinkKind kind, uint64_t except, Readers& out);
  /// Takes out all for which `which` is true; what is left in `out` may name a client many times.
  using Which = std::function<bool(std::string_view key, uint16_t slot, const Reader& reader)>;
  void take_if(const Which& which, const std::function<void(std::string_view key, const Reader& reader)>& taken);
  /// The table is over its bound: takes out a whole key, which is valid until the next call. Empty if it is not.
  std::string_view evict(Readers& out);

 private:
  struct Entry {
    std::string key;
    uint16_t slot;
    Readers readers;  // in order, each once
  };
  using Order = std::list<Entry>;  // as they were first read

  void erase(Order::iterator entry);

  const size_t most_keys_;
  size_t items_ = 0;
  Order order_;
  std::unordered_map<std::string_view, Order::iterator, NameHash> entries_;  // by the key in the entry
  std::string evicted_;
};

}  // namespace corral::core

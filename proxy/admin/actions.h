// What the live page's buttons do, from a thread that is no worker's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "proxy/admin/collector.h"

namespace corral::admin {

class Actions {
 public:
  explicit Actions(Post post) : post_(std::move(post)) {}

  /// Has the settings loaded again; empty if they are in force, else one line that says why not.
  std::string reload() const;
  /// Drops what matches the glob from the near cache, and tells how many keys that were; nothing if it takes too long,
  /// and then goes on.
  std::optional<size_t> purge(const std::string& glob) const;

 private:
  const Post post_;
};

}  // namespace corral::admin

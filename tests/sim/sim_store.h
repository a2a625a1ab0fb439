// What a simulated node holds: strings and lists, some of them with an end.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace corral::sim {

struct Entry {
  std::string text;               // of a string
  std::deque<std::string> items;  // of a list, which is never empty
  int64_t expire_us = 0;          // virtual time; 0: it has no end
  bool end_told = false;          // the checker knows that it is over, though the node may not have noticed yet
  bool is_list() const { return !items.empty(); }
};

using Store = std::map<std::string, Entry>;
using Args = std::vector<std::string>;

/// The keys that a command names; `writes`: whether it may change them.
struct Named {
  std::vector<std::string> keys;
  bool writes = true;
};
/// `name`: in lower case.
Named find_named(const std::string& name, const Args& args);

/// SET's and PEXPIRE's options.
struct SetOptions {
  bool nx = false, xx = false, get = false, keep_ttl = false, lt = false, gt = false;
  int64_t ttl_ms = 0;  // 0: none was said
  bool absolute = false;
};
SetOptions read_options(const Args& args, size_t from);

}  // namespace corral::sim

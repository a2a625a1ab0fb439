#include "sim_store.h"

#include <algorithm>
#include <set>

#include "resp/ascii.h"

namespace corral::sim {

Named find_named(const std::string& name, const Args& args) {
  static const std::set<std::string> kMany = {"mget", "mset", "del", "unlink", "exists", "watch", "blpop"};
  static const std::set<std::string> kReads = {"get", "mget", "exists", "pttl", "ttl", "watch", "llen"};
  static const std::set<std::string> kKeyless = {"publish", "ping", "flushall"};
  Named named;
  named.writes = !kReads.contains(name);
  if (kKeyless.contains(name)) return named;
  const size_t first = name == "eval" ? 3 : 1;
  size_t end = std::min(args.size(), first + 1);
  if (kMany.contains(name)) end = args.size() - (name == "blpop" ? 1 : 0);
  for (size_t i = first; i < end; i += name == "mset" ? 2 : 1) named.keys.push_back(args[i]);
  return named;
}

SetOptions read_options(const Args& args, size_t from) {
  SetOptions options;
  for (size_t i = from; i < args.size(); ++i) {
    const std::string word = resp::lower_case(args[i]);
    if (word == "nx") options.nx = true;
    if (word == "xx") options.xx = true;
    if (word == "get") options.get = true;
    if (word == "keepttl") options.keep_ttl = true;
    if (word == "lt") options.lt = true;
    if (word == "gt") options.gt = true;
    if (i + 1 == args.size()) continue;
    const bool seconds = word == "ex" || word == "exat";
    if (!seconds && word != "px" && word != "pxat") continue;
    options.absolute = word.ends_with("at");
    options.ttl_ms = std::stoll(args[++i]) * (seconds ? 1000 : 1);
  }
  return options;
}

}  // namespace corral::sim

#include "core_node.h"

#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "resp/reply_builder.h"
#include "resp/request_scanner.h"
#include "resp/slot.h"

namespace corral::fuzz {

namespace {

using Words = NodeState::Words;

std::string upper(std::string_view text) {
  std::string made(text);
  std::ranges::transform(made, made.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return made;
}

std::string bulk(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}

std::string array(size_t count, std::string_view element) {
  std::string out;
  resp::append_array(out, count);
  for (size_t i = 0; i < count; ++i) out += element;
  return out;
}

std::string sentinel(const Words& words) {
  const std::string what = words.size() > 1 ? upper(words[1]) : "";
  if (what == "MASTER") return "*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n";
  if (what == "SENTINELS") return "*0\r\n";
  return "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n7001\r\n";
}

using Names = std::unordered_set<std::string_view>;

const Names kIntegers = {"EXISTS",   "DEL",    "UNLINK", "INCR",  "INCRBY", "DECR",    "APPEND",  "STRLEN",
                         "LPUSH",    "RPUSH",  "LLEN",   "SADD",  "SREM",   "SCARD",   "HSET",    "HDEL",
                         "HLEN",     "ZADD",   "ZREM",   "ZCARD", "EXPIRE", "PEXPIRE", "PERSIST", "PUBLISH",
                         "SPUBLISH", "DBSIZE", "SETNX",  "WAIT",  "TOUCH",  "COPY"};
const Names kOks = {"SET",      "MSET",   "ASKING", "READONLY", "SELECT", "AUTH",
                    "FLUSHALL", "RENAME", "SETEX",  "PSETEX",   "WATCH",  "UNWATCH"};
const Names kArrays = {"KEYS",    "SMEMBERS", "LRANGE",  "BLPOP",  "BRPOP",
                       "HGETALL", "ZRANGE",   "SLOWLOG", "PUBSUB", "XREAD"};

}  // namespace

std::string NodeState::answer(std::string& written, std::string_view flavours) {
  std::string out;
  size_t at = 0;
  resp::RequestScanner scanner;
  while (at < written.size()) {
    const char* const start = written.data() + at;
    if (scanner.scan(start, written.size() - at, {}) != resp::ScanStatus::kFrame) break;
    const resp::Command command = scanner.command(start);
    Words words;
    for (size_t i = 0; i < command.argc(); ++i) words.push_back(command.arg(i));
    const uint8_t flavour = flavours.empty() ? 0 : static_cast<uint8_t>(flavours[0]);
    flavours.remove_prefix(std::min<size_t>(flavours.size(), 1));
    if (!words.empty()) out += flavour == 0 ? proper(words) : flavoured(words, flavour);
    at += scanner.consumed();
  }
  written.erase(0, at);
  return out;
}

std::string NodeState::proper(const Words& words) { return queueing_ ? in_transaction(words) : plain(words); }

std::string NodeState::in_transaction(const Words& words) {
  const std::string name = upper(words[0]);
  if (name != "EXEC" && name != "DISCARD") {
    queued_.push_back(plain(words));
    return "+QUEUED\r\n";
  }
  queueing_ = false;
  std::string out = array(name == "EXEC" ? queued_.size() : 0, {});
  if (name == "DISCARD") out = resp::kOk;
  for (const std::string& reply : std::exchange(queued_, {})) out += name == "EXEC" ? reply : "";
  return out;
}

std::string NodeState::plain(const Words& words) {
  const std::string name = upper(words[0]);
  if (name == "MULTI") queueing_ = true;
  if (name == "MULTI" || kOks.contains(name)) return std::string(resp::kOk);
  if (kIntegers.contains(name)) return ":1\r\n";
  if (name == "PTTL" || name == "TTL") return ":5000\r\n";
  if (kArrays.contains(name)) return array(2, "$1\r\na\r\n");
  if (name == "MGET" || name == "HMGET") return array(words.size() - 1, "$1\r\nv\r\n");
  if (name == "SCAN") return "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$3\r\nbar\r\n";
  if (name == "CLUSTER") return cluster(words);
  if (name == "SENTINEL") return sentinel(words);
  if (name == "ROLE") return "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
  if (name == "COMMAND") return "*1\r\n*-1\r\n";
  if (name == "INFO") return bulk("redis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\nloading:0\r\n");
  if (name == "PING") return "+PONG\r\n";
  if (name == "SCRIPT") {
    return words.size() > 1 && upper(words[1]) == "LOAD" ? bulk(std::string(40, 'a'))
                                                         : array(words.size() - 2, ":1\r\n");
  }
  if (name.ends_with("SUBSCRIBE")) return subscription(words, name);
  return handshake(words);
}

std::string NodeState::handshake(const Words& words) {
  const std::string name = upper(words[0]);
  if (name == "HELLO") {
    resp3_ = words.size() > 1 && words[1] == "3";
    return resp3_ ? "%1\r\n$5\r\nproto\r\n:3\r\n" : "*2\r\n$5\r\nproto\r\n:2\r\n";
  }
  if (name != "CLIENT") return bulk("value");
  const std::string what = words.size() > 1 ? upper(words[1]) : "";
  if (what == "INFO") return bulk("id=7 addr=10.9.9.9:7 laddr=10.0.0.1:7001 name=corral\n");
  if (what == "ID") return ":7\r\n";
  return what == "UNBLOCK" ? ":1\r\n" : std::string(resp::kOk);
}

std::string NodeState::cluster(const Words& words) const {
  const std::string what = words.size() > 1 ? upper(words[1]) : "";
  if (what == "SLOTS" && tells_topology_) {
    return "*2\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$8\r\n10.0.0.1\r\n:7001\r\n$4\r\naaaa\r\n"
           "*3\r\n:8192\r\n:16383\r\n*3\r\n$8\r\n10.0.0.2\r\n:7002\r\n$4\r\nbbbb\r\n";
  }
  if (what == "INFO") return bulk("cluster_state:ok\r\ncluster_current_epoch:3\r\ncluster_my_epoch:1\r\n");
  if (what == "NODES") {
    const std::string a = is_b_ ? "master" : "myself,master", b = is_b_ ? "myself,master" : "master";
    return bulk("aaaa 10.0.0.1:7001@17001 " + a + " - 0 0 1 connected 0-8191\n" + "bbbb 10.0.0.2:7002@17002 " + b +
                " - 0 0 2 connected 8192-16383\n");
  }
  return what == "GETKEYSINSLOT" ? "*0\r\n" : "-ERR unknown subcommand\r\n";
}

std::string NodeState::subscription(const Words& words, std::string_view name) {
  const bool leaves = name.find("UNSUB") != name.npos;
  std::string kind(name), out;
  std::ranges::transform(kind, kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (size_t i = 1; i < std::max<size_t>(words.size(), 2); ++i) {
    subscriptions_ = leaves ? subscriptions_ - std::min<size_t>(subscriptions_, 1) : subscriptions_ + 1;
    out += (resp3_ ? ">3\r\n" : "*3\r\n") + bulk(kind) + (i < words.size() ? bulk(words[i]) : "$-1\r\n");
    resp::append_integer(out, static_cast<int64_t>(subscriptions_));
  }
  return out;
}

// 1 to 31 are what nodes do say now and then; above, one bit of the proper reply is another.
std::string NodeState::flavoured(const Words& words, uint8_t flavour) {
  const std::string slot = std::to_string(resp::key_slot(words.size() > 1 ? words[1] : ""));
  const std::string other = flavour % 2 == 0 ? " 10.0.0.2:7002\r\n" : " 10.0.0.1:7001\r\n";
  switch (flavour) {
    case 1:
      return resp3_ ? "_\r\n" : "$-1\r\n";
    case 2:
      return "-ERR what\r\n";
    case 3:
    case 4:
      return "-MOVED " + slot + other;
    case 5:
    case 6:
      return "-ASK " + slot + other;
    case 7:
      return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
    case 8:
      return "-CLUSTERDOWN The cluster is down\r\n";
    case 9:
      return "-LOADING Redis is loading the dataset in memory\r\n";
    case 10:
      return "-READONLY You can't write against a read only replica.\r\n";
    case 11:
      return "-MASTERDOWN Link with MASTER is down\r\n";
    case 12:
      return "-NOSCRIPT No matching script\r\n";
    case 13:
      return "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    case 14:
      return "-BUSY Redis is busy running a script\r\n";
    case 15:
      return "-NOAUTH Authentication required.\r\n";
    case 16:
      return "-NOPERM no\r\n";
    case 17:
      return "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    case 18:
      return "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
    case 19:
      return "-EXECABORT Transaction discarded because of previous errors.\r\n";
    case 20:
      return ":-2\r\n";
    case 21:
      return ":9223372036854775807\r\n";
    case 22:
      return "*-1\r\n";
    case 23:
      return "*3\r\n*1\r\n:1\r\n%1\r\n+a\r\n~1\r\n#t\r\n$-1\r\n";
    case 24:
      return bulk(std::string(20'000, 'x'));
    case 25:
      return bulk(std::string(200'000, 'x'));
    case 26:
      return "|1\r\n+ttl\r\n:3\r\n" + proper(words);
    case 27:
      return proper(words) + proper(words);
    case 28:
      return {};  // nothing, ever
    case 29:
      return (resp3_ ? ">2\r\n$10\r\ninvalidate\r\n*1\r\n"
                     : "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n") +
             bulk(words.size() > 1 ? words[1] : "a") + proper(words);
    case 30:
      return ">2\r\n$10\r\ninvalidate\r\n_\r\n" + proper(words);
    case 31:
      return "$1000000\r\n" + proper(words);
    default:
      break;
  }
  std::string reply = proper(words);
  if (!reply.empty()) reply[(flavour >> 3) * 7u % reply.size()] ^= static_cast<char>(1 << (flavour & 7));
  return reply;
}

}  // namespace corral::fuzz

// An endless random mix of commands for the conformance test, from a seed.
//
// The commands are lines of a table with placeholders (see command_mix.cc), over a small keyspace, so that commands
// meet each other's keys, also keys of the wrong type; some are broken on purpose. Two servers that are given the same
// mix must give the same replies, but for what `Compare` says.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "support/client.h"

namespace corral::test {

enum class Compare {
  kExact,      // the same bytes
  kUnordered,  // an array whose elements have no order
  kPairs,      // an array of pairs that have no order
  kScan,       // a cursor and an array without order
  kShape,      // random: the same type and number of elements
  kClock,      // depends on when it ran: integers that are close
};

struct Step {
  Args args;
  Compare compare = Compare::kExact;
};

// An empty text if the replies agree, otherwise what does not.
std::string difference(const Step& step, const Reply& expected, const Reply& actual);

class CommandMix {
 public:
  explicit CommandMix(uint64_t seed) : random_(seed) {}
  Step next();
  // The bytes of a command: mostly RESP, sometimes inline where it can be said so.
  std::string encode_somehow(const Args& args);
  // A number from 0 to below `limit`.
  size_t below(size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random_); }

 private:
  std::string fill(const std::string& placeholder);
  std::string key(const std::string& type);
  std::string member();
  std::string value();
  std::string integer();
  std::string number();
  std::string stream_id();
  void damage(Args& args);

  std::mt19937_64 random_;
  std::string tag_;  // of the step's keys, so that they share a slot
  uint64_t steps_ = 0;
};

}  // namespace corral::test

// An endless random mix of write commands for the test of the TTL rules, from a seed: the forms of ttl_command_forms.h
// over a small keyspace, so that commands meet each other's keys, also keys of the wrong type; some are broken on
// purpose, some come within MULTI and EXEC.
#pragma once

#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/client.h"

namespace corral::test {

// How the replies of two servers compare that were given the same calls, one of them behind a rule.
enum class Like {
  kSame,          // the same bytes, but for the order of RESP3's sets and maps and for the ids that a clock gave
  kUnordered,     // nor does the order of arrays count
  kAside,         // they tell of a TTL: the same type, or the same error
  kErrors,        // both are errors
  kNotInCluster,  // a cluster may refuse it
};

struct TtlStep {
  Args args;
  Like like = Like::kSame;
  std::vector<Like> inner = {};  // of EXEC: of the commands before it
};

// An empty text if the replies agree, otherwise what does not.
std::string difference(const TtlStep& step, const Reply& expected, const Reply& actual);

class TtlCommandMix {
 public:
  struct Material {
    std::vector<std::string> dumps, shas;
    int64_t now_s = 0;
  };
  TtlCommandMix(uint64_t seed, Material material) : random_(seed), material_(std::move(material)) {}

  // A pipeline for one connection, whose keys' tags are {FIRST} and {FIRST + 1}; with transactions in it.
  std::vector<TtlStep> pipeline(char first_tag);
  // A number from 0 to below `limit`.
  size_t below(size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random_); }

  // Of the forms, in lower case: the commands ("set", "xgroup|create"), and all words that one has.
  static std::set<std::string> commands();
  static std::set<std::string> words_of(const std::string& command);

 private:
  TtlStep next();
  void append_transaction(std::vector<TtlStep>& out);
  std::vector<std::string> choose(const char* form);
  std::string fill(const std::string& placeholder);
  std::string key(const std::string& type, char tag);
  std::string value();
  int64_t ttl_s();
  void damage(Args& args);

  std::mt19937_64 random_;
  const Material material_;
  char first_tag_ = 'a';
  char tag_ = 'a';          // of the step's keys, so that they share a slot
  bool fixed_tag_ = false;  // within a transaction
  uint64_t steps_ = 0;
};

}  // namespace corral::test

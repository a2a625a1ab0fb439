// The commands of the coherence test: the many ways in which a version is written to a key, or the key removed, and in
// which it is read back.
#pragma once

#include <span>
#include <string>

#include "history.h"
#include "keys.h"
#include "support/client.h"

namespace corral::test {

// Commands to be sent in one piece. The last reply of a form's commands is the one that counts.
struct Request {
  std::string bytes;
  size_t replies = 0;

  template <class... Words>
  void add(const Words&... words) {
    bytes += encode(Args{to_arg(words)...});
    ++replies;
  }
};

enum class Effect : uint8_t { kPut, kPutWithTtl, kDelete, kExpire };

struct WriteForm {
  struct Arguments {
    const Key& key;
    uint64_t version;
    std::string value;
    int64_t ttl_ms;
  };
  enum Trait : uint8_t {
    kPlain,
    kKeepsTtl,   // of what was there: not for keys that expire
    kUndeclared  // it is not known beforehand which key it writes, so it has no place among its connection's commands
  };
  const char* name;
  Kind kind;
  Effect effect;
  int weight;  // how often; 0: only where asked for by name
  Trait trait;
  void (*build)(Request& request, const Arguments& arguments);

  bool suits(const Key& key) const;
};

struct ReadForm {
  // What was seen, or what is wrong with the reply whatever the history.
  struct Result {
    Seen seen;
    std::string wrong;
  };
  const char* name;
  Kind kind;
  int weight;
  void (*build)(Request& request, const Key& key);
  Result (*parse)(const Reply& reply, const Key& key);
};

std::span<const WriteForm> all_writes();
std::span<const ReadForm> all_reads();
// The form that gives a counter a number, whatever it had.
const WriteForm& seed_of(Kind kind);

// What became of a write whose last reply is this one.
KeyHistory::Outcome outcome_of(const Reply& reply, Effect effect);
// Whether it is an error that says that nothing was done, or that it is not known. Other errors are not expected.
bool is_refusal(const Reply& reply);
bool is_doubt(const Reply& reply);
// The number that a write to a counter was answered.
uint64_t count_of(const Reply& reply);
// As GET and each element of MGET answer.
ReadForm::Result parse_get(const Reply& reply, const Key& key);

}  // namespace corral::test

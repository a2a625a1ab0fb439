// One client of the coherence test: sends batches of writes and reads by one way, and has its reads judged.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "field.h"
#include "forms.h"
#include "support/client.h"

namespace corral::test {

struct CallerOptions {
  Way way = kDirect;
  uint16_t port = 0;  // of the proxy; direct ones go where the field says
  bool resp3 = false;
  size_t pipeline = 1;  // operations that are sent at once
  int group = -1;       // whose keys it keeps to; -1: all
  uint64_t seed = 0;
  int number = 0;  // for reports
};

class Caller {
 public:
  Caller(Field& field, const CallerOptions& options);

  // Sends one batch and judges what comes back. Lost connections are made anew by the next one.
  void batch();
  // Writes a fresh version, again and again until it is done. Only for direct ones.
  void settle(size_t key);

 private:
  struct Operation {
    size_t key;
    const WriteForm* write = nullptr;
    const ReadForm* read = nullptr;  // neither: an element of MGET or MSET
    bool writes = false;
    const char* name = "";
    size_t reply = 0;  // the last one of its commands
    int element = -1;  // of that reply; -1: all of it
    uint64_t id = 0;   // of a write
    ReadMark mark = {};
    Seen seen = {};  // of a read that was judged
    bool answered = false;
    uint64_t count = 0;  // of a write to a counter
  };

  uint64_t pick(uint64_t below) { return random_() % below; }
  size_t pick_key();
  bool connect(size_t key);
  void build(bool may_write);
  void add_write(size_t key);
  void add_write(size_t key, const WriteForm& form);
  void add_read(size_t key);
  void add_many(bool writes);
  void begin_read(Operation& operation);
  void push(Operation operation);
  static bool has_no_place(const Operation& write);
  void send();
  void judge(const std::vector<Reply>& replies);
  void judge_write(Operation& operation, const Reply& reply, Nanos now);
  void judge_read(Operation& operation, const Reply& reply, Nanos now);
  void judge_order();
  void replay(size_t key, ReadForm::Result& result);
  void follow(size_t key, const Reply& reply);
  void complain(const std::string& text);
  void lose_all();

  Field& field_;
  const CallerOptions options_;
  std::mt19937_64 random_;
  std::map<uint16_t, std::unique_ptr<Client>> clients_;  // by port
  Client* client_ = nullptr;                             // of this batch
  uint16_t port_ = 0;
  Request request_;
  std::vector<Operation> operations_;
  std::map<size_t, Seen> had_;  // what was seen of each key, to be replayed
};

}  // namespace corral::test

// A crowd that asks for one key at once, as when a page that everybody wants has just expired: who is told that it is
// missing, who gets a value, and how long after it was there.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/crowd.h"

namespace corral::test {

class Rush {
 public:
  // What a client does when it is told that the key is missing; `nth` counts these clients, from 0.
  using OnNil = std::function<void(size_t nth, size_t client)>;

  Rush(Crowd& crowd, std::string key) : crowd_(crowd), key_(std::move(key)) {}

  // Each client asks (GET, unless told otherwise). Until all that did not go away meanwhile are answered, and all is
  // done that was to be done later.
  void run(const OnNil& on_nil);
  void run(const OnNil& on_nil, const Args& ask);

  // The client writes the value (SET, unless told otherwise), which is when others can have it.
  void fill(size_t client, const std::string& value) { fill(client, {"SET", key_, value}, value); }
  void fill(size_t client, const Args& write, const std::string& value);
  void del(size_t client);
  void leave(size_t client);
  void after(milliseconds delay, std::function<void()> action);

  size_t nils() const { return nils_; }
  size_t filled() const { return filled_; }  // clients that got a value that was written before they got it
  size_t others() const { return others_; }  // clients that were told anything else
  // From the question on: the first and the last client to be told nil that had to wait for it, and the last answer.
  milliseconds second_nil() const;
  milliseconds last() const;
  // "1 nil, 999 values ...", for the test's output.
  std::string report() const;

 private:
  void answer(size_t client, const Reply& reply, const OnNil& on_nil);

  Crowd& crowd_;
  const std::string key_;
  size_t waiting_ = 0, to_do_ = 0, nils_ = 0, filled_ = 0, others_ = 0;
  std::vector<bool> waits_;
  std::vector<std::string> values_;  // written, or on the way to be
  Clock::time_point asked_, acknowledged_;
  std::vector<Clock::time_point> nil_at_, value_at_;
  std::string odd_;  // the first answer that is neither nil nor a value
};

}  // namespace corral::test

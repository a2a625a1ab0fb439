// A client that keeps what it has read for as long as the server does not tell it that it has changed (CLIENT
// TRACKING): what it keeps in the end must be what the server has.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/corral.h"

namespace corral::test {

class CachingClient {
 public:
  enum class Mode { kAll, kOptIn, kOptOut, kNoLoop, kBroadcast, kBroadcastNoLoop, kLast = kBroadcastNoLoop };

  // `redirects`: it speaks RESP2, and another connection hears what has changed.
  CachingClient(const Corral& corral, Mode mode, bool redirects, std::string name)
      : mode_(mode), redirects_(redirects), name_(std::move(name)), client_(corral.connect()) {
    Args on = {"CLIENT", "TRACKING", "ON"};
    if (redirects) {
      ears_.emplace(corral.connect());
      const Reply id = ears_->command("CLIENT", "ID");
      ears_->command("SUBSCRIBE", "__redis__:invalidate");
      on.insert(on.end(), {"REDIRECT", std::to_string(id.integer)});
    } else {
      client_.command("HELLO", 3);
    }
    if (mode == Mode::kOptIn) on.push_back("OPTIN");
    if (mode == Mode::kOptOut) on.push_back("OPTOUT");
    if (mode == Mode::kNoLoop || mode == Mode::kBroadcastNoLoop) on.push_back("NOLOOP");
    if (is_broadcast()) on.insert(on.end(), {"BCAST", "PREFIX", "a:", "PREFIX", "b:"});
    if (const Reply reply = client_.command(on); reply != Reply::status("OK")) throw std::runtime_error(reply.text);
  }

  // A pipeline of reads, and perhaps writes, of some of the keys.
  void step(std::mt19937_64& random, const std::vector<std::string>& keys) {
    random_ = &random;
    for (uint64_t i = 1 + random() % 6; i > 0; --i) add_command(keys);
    flush();
    if (random() % 2) drain();
  }

  // Takes in what has come.
  void drain() {
    while (client_.readable(milliseconds(0))) {
      const Reply reply = client_.read_reply();
      if (!reply.is_push()) throw std::runtime_error("a reply to nothing");
      hear(reply.elements.at(1));
    }
    while (ears_ && ears_->readable(milliseconds(0))) hear(ears_->read_reply().elements.at(2));
  }

  const std::map<std::string, Reply>& kept() const { return kept_; }
  const std::string& name() const { return name_; }
  uint64_t invalidations() const { return invalidations_; }

 private:
  using OnReply = std::function<void(const Reply&)>;

  bool is_broadcast() const { return mode_ == Mode::kBroadcast || mode_ == Mode::kBroadcastNoLoop; }
  bool no_loop() const { return mode_ == Mode::kNoLoop || mode_ == Mode::kBroadcastNoLoop; }

  void expect(
      const Args& args, OnReply on_reply = [](const Reply&) {}) {
    bytes_ += encode(args);
    awaited_.push_back(std::move(on_reply));
  }

  void keep(const std::string& key, const Reply& value) {
    const bool plain = value.is_nil() || value.type == Reply::Type::kString;
    if (plain && under_way_.contains(key)) kept_[key] = value;
  }

  void add_command(const std::vector<std::string>& keys) {
    const auto any = [&] { return keys[(*random_)() % keys.size()]; };
    const std::string key = any(), other = any();
    if ((*random_)() % 8 == 0) return add_write(key);
    bool keeps = true;
    if (mode_ == Mode::kOptIn || mode_ == Mode::kOptOut) {
      const bool said = (*random_)() % 2;
      keeps = said == (mode_ == Mode::kOptIn);
      if (said) expect({"CLIENT", "CACHING", mode_ == Mode::kOptIn ? "YES" : "NO"});
    }
    for (const std::string& read : {key, other}) {
      if (keeps) under_way_.insert(read);
    }
    const auto keep_value = [=, this](const Reply& reply) {
      if (keeps) keep(key, reply);
    };
    switch ((*random_)() % 4) {
      case 0:
        return expect({"MGET", key, other}, [=, this](const Reply& reply) {
          if (!keeps || reply.elements.size() != 2) return;
          keep(key, reply.elements[0]);
          keep(other, reply.elements[1]);
        });
      case 1:
        expect({"MULTI"});
        expect({"GET", key});
        return expect({"EXEC"}, [=](const Reply& reply) {
          if (reply.elements.size() == 1) keep_value(reply.elements[0]);
        });
      case 2:
        return expect({"EVAL", "return redis.call('get', KEYS[1])", "1", key}, keep_value);
      default:
        return expect({"GET", key}, keep_value);
    }
  }

  // With NOLOOP it is not told of its own changes. It is of those that come after them only if it asked for a prefix.
  void add_write(const std::string& key) {
    const std::string value = name_ + ":" + std::to_string(++writes_);
    const bool only_if_absent = (*random_)() % 2;
    Args args = {"SET", key, value};
    if (only_if_absent) args.push_back("NX");
    expect(args, [=, this](const Reply& reply) {
      if (!no_loop() || reply.is_nil()) return;
      kept_.erase(key);
      const bool ordered = is_broadcast() && !redirects_;
      if (ordered && reply == Reply::status("OK")) kept_[key] = Reply::string(value);
    });
  }

  void flush() {
    client_.send(bytes_);
    for (const OnReply& on_reply : awaited_) {
      Reply reply = client_.read_reply();
      for (; reply.is_push(); reply = client_.read_reply()) hear(reply.elements.at(1));
      on_reply(reply);
    }
    bytes_.clear();
    awaited_.clear();
    if (!redirects_) under_way_.clear();  // else what is heard late is still about it
  }

  void hear(const Reply& keys) {
    ++invalidations_;
    if (keys.is_nil()) {
      kept_.clear();
      under_way_.clear();
    }
    for (const Reply& key : keys.elements) {
      kept_.erase(key.text);
      // On one connection all is in order: what comes before a reply is not about it.
      if (redirects_) under_way_.erase(key.text);
    }
  }

  const Mode mode_;
  const bool redirects_;
  const std::string name_;
  Client client_;
  std::optional<Client> ears_;
  std::mt19937_64* random_ = nullptr;
  std::string bytes_;
  std::vector<OnReply> awaited_;
  std::set<std::string> under_way_;
  std::map<std::string, Reply> kept_;
  uint64_t writes_ = 0;
  uint64_t invalidations_ = 0;
};

}  // namespace corral::test

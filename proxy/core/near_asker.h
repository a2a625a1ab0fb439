// One read as the near cache sees it, and what is done for it: what a client's own command, an element of MGET and a
// read that is made again have in common. `Target` is which of these it is:
//   kIsCommand;                     // a client's whole one, to be counted as that if it is served
//   Session& session();
//   bool is_alone();                // its client waits for nothing else
//   Request request();              // that is to be answered; once
//   void serve(const KeyReply&);    // what is kept, at once and under the lock
//   void read_plainly(NearTouched, std::unique_ptr<LeaseRead>, std::string_view frame);  // over an ordinary connection
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/core/near.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"

namespace corral::core {

/// Whether reads under this rule pass the near cache: also those of which only is remembered when they go.
inline bool is_near(const policy::Rule& rule) {
  return rule.near || rule.stampede || rule.on_upstream_error != policy::OnUpstreamError::kError;
}

/// Whether the reply of the command is judged before it is given (leases.h).
inline bool may_be_judged(const policy::Rule& rule, const resp::CommandSpec& spec) {
  const bool is_string = spec.near_read == resp::NearRead::kString;
  switch (rule.on_upstream_error) {
    case policy::OnUpstreamError::kStale:
      return true;
    case policy::OnUpstreamError::kMiss:
      return is_string;
    default:
      return is_string && rule.stampede;
  }
}

inline bool concerns(const policy::Rule& rule, const resp::CommandSpec& spec) {
  return rule.near || may_be_judged(rule, spec);
}

/// Whether reads under this rule may be passed by when the cache is narrowed: nothing but a near cache is wanted.
inline bool may_pass(const policy::Rule& rule) {
  return rule.near && !rule.stampede && rule.on_upstream_error == policy::OnUpstreamError::kError;
}

template <class Target>
class Near::Asker {
 public:
  Asker(Near& near, Target& target, const policy::Rule& rule, const resp::CommandSpec& spec,
        const policy::NearRead& read, std::string_view frame, uint8_t tries)
      : near_(near),
        target_(target),
        rule_(rule),
        spec_(spec),
        read_(read),
        frame_(frame),
        tries_(tries),
        alone_(target.is_alone()) {
    if (!rule.stampede || spec.near_read != resp::NearRead::kString) return;
    leased_ = true;
    mark_ = near.worker_.leases().table().mark(read.hash);
  }

  void serve(const policy::KeyReply& reply, uint64_t deadline_ms) {
    if (leased_ && near_.worker_.leases().is_to_be_judged(*rule_.stampede, reply.size(), deadline_ms)) [[unlikely]] {
      return set_aside(reply, deadline_ms);
    }
    target_.serve(reply);
  }
  // A key that one MGET names twice may have two fills under way: who comes behind both joins neither.
  void join(policy::NearFill& fill) {
    Session& session = target_.session();
    const bool other = session.near_fills.may_be(read_.hash) && session.near_fill != fill.serial();
    session.near_fills.begin();
    session.near_fills.mark(read_.hash);
    session.near_fill = other ? 0 : fill.serial();
    static_cast<Fill&>(fill).add(near_.worker_, target_.request(), alone_);
  }
  // To know when a key goes takes a fill.
  bool admit() {
    if (leased_ && Leases::wants_deadlines(*rule_.stampede)) return true;
    return rule_.near && near_.budget_.take();
  }
  policy::NearPlace place() { return near_.place_of(read_, where_); }
  policy::NearFill& make_fill() {
    fill_ = new Fill(where_, rule_.near ? *rule_.near : kNothing, std::string(frame_), lease_read(0), judged());
    return *fill_;
  }
  void read_plainly(policy::NearTouched touched, uint64_t deadline_ms) {
    touched_ = touched;
    deadline_ms_ = deadline_ms;
  }

  /// When the lock has been let go.
  void finish(policy::NearCache::Answer answer) {
    if (answer == policy::NearCache::Answer::kFill) fill_->start(near_.worker_);
    if (answer == policy::NearCache::Answer::kPlain) {
      target_.read_plainly(touched_, judged() ? std::make_unique<LeaseRead>(lease_read(deadline_ms_)) : nullptr,
                           frame_);
    }
    if (aside_) {
      auto read = std::move(aside_);
      read->request = target_.request();
      near_.worker_.leases().deliver(std::move(read), bytes_);
    }
  }

 private:
  static constexpr policy::NearRule kNothing{.ttl_ms = 86'400'000, .max_value_bytes = 0};

  bool judged() const { return may_be_judged(rule_, spec_); }
  LeaseRead lease_read(uint64_t deadline_ms) const {
    LeaseRead read;
    read.spec = &spec_;
    read.key = read_.key;
    read.args = read_.args;
    read.hash = read_.hash;
    read.database = read_.database;
    read.mark = mark_;
    read.sent_ms = near_.worker_.now64_ms();
    read.deadline_ms = deadline_ms;
    read.tries = tries_;
    read.alone = alone_;
    read.gives_up_early = rule_.on_upstream_error != policy::OnUpstreamError::kError;
    return read;
  }
  void set_aside(const policy::KeyReply& reply, uint64_t deadline_ms) {
    aside_ = std::make_unique<LeaseRead>(lease_read(deadline_ms));
    aside_->chance = near_.worker_.leases().take_chance();
    bytes_.resize(reply.size());
    reply.copy_to(bytes_.data());
  }

  Near& near_;
  Target& target_;
  const policy::Rule& rule_;
  const resp::CommandSpec& spec_;
  const policy::NearRead& read_;
  const std::string_view frame_;
  const uint8_t tries_;
  const bool alone_;
  bool leased_ = false;
  uint32_t mark_ = 0;
  Fill::Where where_{};
  Fill* fill_ = nullptr;
  policy::NearTouched touched_;
  uint64_t deadline_ms_ = 0;
  std::unique_ptr<LeaseRead> aside_;  // what is kept is to be judged first
  std::string bytes_;
};

template <class Target>
policy::NearCache::Answer Near::ask(Target& target, const policy::Rule& rule, const resp::CommandSpec& spec,
                                    const policy::NearRead& read, std::string_view frame, uint8_t tries) {
  Asker<Target> asker(*this, target, rule, spec, read, frame, tries);
  const auto right_now = [this] { return worker_.transport().clock_ms(); };
  const policy::NearCache::Answer answer = cache_.read(read, worker_.now64_ms(), right_now, asker);
  if (answer == policy::NearCache::Answer::kServed) {
    count_hit(rule, Target::kIsCommand ? &spec : nullptr);
  } else if (answer != policy::NearCache::Answer::kWait) {
    count_miss(rule, answer);
  }
  asker.finish(answer);
  return answer;
}

}  // namespace corral::core

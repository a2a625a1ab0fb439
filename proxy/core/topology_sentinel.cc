// The sentinels that watch a master (https://redis.io/docs/reference/sentinel-clients).
//
// In each round all sentinels known are asked for the master's address, the epoch of that configuration and the other
// sentinels. Sentinels agree among themselves that the configuration of the highest epoch counts, so it does here too:
// a sentinel that was cut off may still name the old master. An epoch below the one that is followed (all sentinels
// were set up anew) is believed only from most of them. The node that is named must say itself that it is a master
// (ROLE), since a failover may not have come that far.
//
// A sentinel that is asked during a failover names the new master as soon as it is one, with the higher epoch; that
// ends the round at once. Otherwise it ends when all have answered.
#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/topology_source.h"
#include "proxy/core/upstream_facts.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::ReplyView;

namespace {

constexpr uint32_t kIntervalMs = 1000;  // a switch shows no other way while the old master goes on
constexpr uint32_t kMostGapMs = 500;    // a failover takes seconds: it is not to take much more for this
constexpr size_t kMostSentinels = 16;

std::string text_of(const config::Address& address) { return address.host + ':' + std::to_string(address.port); }

std::optional<config::Address> parse_address(std::string_view host, std::string_view port) {
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0 || host.empty()) return {};
  return config::Address{std::string(host), number};
}

// The value of `name` in a map that RESP2 tells as an array of names and values in turn.
std::string_view member(const std::vector<ReplyView>& pairs, std::string_view name) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (pairs[i].text() == name) return pairs[i + 1].text();
  }
  return {};
}

uint64_t number(std::string_view digits) {
  uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// What one sentinel says.
struct Word {
  std::optional<config::Address> master;
  uint64_t epoch = 0;
  uint64_t sentinels = 1;  // that it knows of, itself too
};

class SentinelSource final : public TopologySource {
 public:
  SentinelSource(Worker& worker, std::function<void()> ask_again)
      : worker_(worker), ask_again_(std::move(ask_again)), sentinels_(worker.settings().upstream.seeds) {}

  Pace pace() const override {
    const auto interval = static_cast<uint32_t>(worker_.settings().upstream.refresh_interval_ms);
    return {std::min(kIntervalMs, interval), kMostGapMs};
  }
  void ask(Done done) override;
  void conclude() override;

 private:
  class Round;

  const std::string& master_name() const { return worker_.settings().upstream.master; }
  bool is_newer(const Word& word) const { return followed_ && word.epoch > *followed_; }
  void finish(const Round& round);
  void learn_sentinels(const std::vector<config::Address>& named);
  void log_change(std::string failure);

  Worker& worker_;
  const std::function<void()> ask_again_;
  std::vector<config::Address> sentinels_;  // the seeds, and what the last answers named
  std::optional<uint64_t> followed_;        // the epoch of the master that was found last
  std::string failure_;                     // of the last round, if it found none
  Round* round_ = nullptr;                  // the one under way
  Done done_;
};

/// Lives until all that was asked is answered. What comes after finish() is of no use any more, except that it may tell
/// of a newer epoch.
class SentinelSource::Round final : public Task {
 public:
  Round(SentinelSource& source, std::vector<config::Address> asked)
      : source_(source), asked_(std::move(asked)), words_(asked_.size()), untold_(asked_.size()) {}

  void start() {
    const std::string& name = source_.master_name();
    for (uint32_t i = 0; i < asked_.size(); ++i) {
      const uint32_t first = i * kSentinelParts;
      ask_sentinel(first + kState, {"SENTINEL", "MASTER", name});
      ask_sentinel(first + kOthers, {"SENTINEL", "SENTINELS", name});
      ask_sentinel(first + kAddress,
                   {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name});  // last: never older than the epoch
    }
    done_one();
  }

  void on_reply(uint32_t part, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (part >= kNodeParts) {
      on_node_reply(part - kNodeParts, reply);
    } else {
      on_sentinel_reply(part / kSentinelParts, part % kSentinelParts, reply);
    }
    done_one();
  }

  void finish() {
    if (!std::exchange(finished_, true)) source_.finish(*this);
  }

  /// The word that counts, if the node that it names has said that it is a master.
  const Word* found() const { return verdict_ == Verdict::kMaster ? &*candidate_ : nullptr; }
  /// A name for the master's data: another one after a restart.
  const std::string& run_id() const { return run_id_; }
  size_t told() const { return static_cast<size_t>(std::count_if(words_.begin(), words_.end(), has_master)); }
  const std::vector<config::Address>& sentinels() const { return sentinels_; }
  const std::string& failure() const { return failure_; }

 private:
  enum Part : uint32_t { kState, kOthers, kAddress, kSentinelParts };
  enum NodePart : uint32_t { kRole, kInfo, kNodePartsEach };
  static constexpr uint32_t kNodeParts = 1u << 16;  // added to the numbers of what is asked of the master itself
  enum class Verdict { kUnknown, kMaster, kNotMaster };

  // Our own error: the link has said in the log what is wrong with it.
  static bool is_unreachable(const ReplyView& reply) { return reply.text().starts_with("CLUSTERDOWN"); }
  static bool has_master(const Word& word) { return word.master.has_value(); }

  void ask_sentinel(uint32_t part, std::initializer_list<std::string_view> command) {
    Worker& worker = source_.worker_;
    std::string bytes;
    resp::append_command(bytes, command);
    worker.send_to_sentinel(request(part), worker.process().node_id(asked_[part / kSentinelParts]), bytes);
  }

  void ask_node(uint32_t part, std::initializer_list<std::string_view> command) {
    Worker& worker = source_.worker_;
    std::string bytes;
    resp::append_command(bytes, command);
    worker.send_to_node(request(part), worker.process().node_id(*candidate_->master), bytes, true);
  }

  Request request(uint32_t part) {
    ++awaited_;
    Request request;
    request.task = this;
    request.ticket = part;
    request.flags = kReadOnly;
    return request;
  }

  void on_sentinel_reply(uint32_t sentinel, uint32_t part, const ReplyView& reply) {
    Word& word = words_[sentinel];
    if (part == kState) {
      const auto pairs = reply.elements();
      word.epoch = number(member(pairs, "config-epoch"));
      word.sentinels = number(member(pairs, "num-other-sentinels")) + 1;
    } else if (part == kOthers) {
      if (!reply.is_error()) learn(asked_[sentinel]);
      for (const ReplyView& other : reply.elements()) {
        const auto pairs = other.elements();
        if (auto address = parse_address(member(pairs, "ip"), member(pairs, "port"))) learn(*address);
      }
    } else {
      on_address(sentinel, reply);
    }
  }

  void learn(const config::Address& address) {
    if (std::find(sentinels_.begin(), sentinels_.end(), address) == sentinels_.end()) sentinels_.push_back(address);
  }

  void on_address(uint32_t sentinel, const ReplyView& reply) {
    Word& word = words_[sentinel];
    const auto parts = reply.elements();
    if (parts.size() == 2) word.master = parse_address(parts[0].text(), parts[1].text());
    if (finished_) {
      if (word.master && source_.is_newer(word)) source_.ask_again_();
      return;
    }
    --untold_;
    if (!word.master && failure_.empty() && !is_unreachable(reply)) {
      failure_ = "sentinel " + text_of(asked_[sentinel]) +
                 (reply.is_error() ? ": " + std::string(reply.text()) : " does not know this name");
    }
    verify_best();
    check_done();
  }

  void verify_best() {
    const Word* best = best_word();
    if (!best) return;
    const bool is_new = !candidate_ || candidate_->master != best->master;
    candidate_ = *best;
    if (!is_new) return;
    verdict_ = Verdict::kUnknown;
    run_id_.clear();
    const uint32_t first = kNodeParts + ++verification_ * kNodePartsEach;
    ask_node(first + kInfo, {"INFO", "server"});
    ask_node(first + kRole, {"ROLE"});
  }

  // The highest epoch counts; where several addresses are said to have it, the one that most name.
  const Word* best_word() const {
    const auto votes = [this](const Word& word) {
      return std::count_if(words_.begin(), words_.end(),
                           [&](auto& other) { return other.epoch == word.epoch && other.master == word.master; });
    };
    const Word* best = nullptr;
    for (const Word& word : words_) {
      if (!word.master || (best && word.epoch < best->epoch)) continue;
      if (!best || word.epoch > best->epoch || votes(word) > votes(*best)) best = &word;
    }
    return best;
  }

  void on_node_reply(uint32_t part, const ReplyView& reply) {
    if (finished_ || part / kNodePartsEach != verification_) return;  // of a candidate that counts no more
    if (part % kNodePartsEach == kInfo) {
      run_id_ = info_field(reply.text(), "run_id:");
      return;
    }
    const auto role = reply.elements();
    // A node that does not let us ask is taken for what the sentinels say it is.
    const bool may_not_ask = reply.text().starts_with("NOPERM") || reply.text().starts_with("ERR unknown command");
    const bool is_master = may_not_ask || (!role.empty() && role[0].text() == "master");
    verdict_ = is_master ? Verdict::kMaster : Verdict::kNotMaster;
    if (!is_master) {
      const std::string said = is_unreachable(reply) ? "does not answer"
                               : role.empty()        ? "says: " + std::string(reply.text())
                                                     : "is a replica";
      failure_ = text_of(*candidate_->master) + ", which the sentinels name, " + said;
    }
    check_done();
  }

  void check_done() {
    const bool is_master = verdict_ == Verdict::kMaster;
    const bool settled = !candidate_ || verdict_ != Verdict::kUnknown;
    if ((is_master && source_.is_newer(*candidate_)) || (untold_ == 0 && settled)) finish();
  }

  void done_one() {
    if (--awaited_ > 0) return;
    finish();
    delete this;
  }

  SentinelSource& source_;
  const std::vector<config::Address> asked_;
  std::vector<Word> words_;  // of each that is asked
  size_t untold_;            // of these, how many have not answered yet
  uint32_t awaited_ = 1;     // replies, and start() itself until all is asked
  bool finished_ = false;
  std::optional<Word> candidate_;  // the best word so far
  uint32_t verification_ = 0;      // its number: replies of an earlier one do not count
  Verdict verdict_ = Verdict::kUnknown;
  std::string run_id_, failure_;
  std::vector<config::Address> sentinels_;  // that answered, or that these named
};

void SentinelSource::ask(Done done) {
  done_ = std::move(done);
  round_ = new Round(*this, sentinels_);
  round_->start();
}

void SentinelSource::conclude() {
  if (round_) round_->finish();
}

void SentinelSource::finish(const Round& round) {
  round_ = nullptr;
  std::optional<ClusterView> view;
  std::string failure = round.failure().empty() ? "no sentinel answered" : round.failure();
  if (const Word* word = round.found()) {
    if (followed_ && word->epoch < *followed_ && round.told() <= word->sentinels / 2) {
      failure = "too few sentinels answered to follow an older configuration than before";
    } else {
      followed_ = word->epoch;
      view = view_of_one_owner(round.run_id().empty() ? text_of(*word->master) : round.run_id(), *word->master);
      failure.clear();
    }
  }
  learn_sentinels(round.sentinels());
  log_change(std::move(failure));
  std::exchange(done_, {})(view);
}

void SentinelSource::learn_sentinels(const std::vector<config::Address>& named) {
  if (named.empty()) return;
  sentinels_ = worker_.settings().upstream.seeds;
  for (const config::Address& address : named) {
    const bool is_known = std::find(sentinels_.begin(), sentinels_.end(), address) != sentinels_.end();
    if (!is_known && sentinels_.size() < kMostSentinels) sentinels_.push_back(address);
  }
}

void SentinelSource::log_change(std::string failure) {
  if (failure == failure_) return;
  failure_ = std::move(failure);
  if (failure_.empty()) return;
  worker_.transport().log(LogLevel::kWarn, "no master '" + master_name() + "': " + failure_);
}

}  // namespace

std::unique_ptr<TopologySource> make_sentinel_source(Worker& worker, std::function<void()> ask_again) {
  return std::make_unique<SentinelSource>(worker, std::move(ask_again));
}

}  // namespace corral::core

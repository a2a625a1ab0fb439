#include "proxy/core/lease_fleet.h"

#include <algorithm>
#include <utility>

#include "proxy/core/leases.h"
#include "proxy/core/near.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"
#include "resp/slot_tag.h"

namespace corral::core {

using policy::Finding;
using policy::KeyLease;
using policy::LeaseKey;
using policy::LeaseReader;
using resp::ReplyView;

namespace {

constexpr std::string_view kPrefix = "corral:lease:{", kBehindTag = "}:";
constexpr std::string_view kRelease =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
constexpr uint32_t kTracked = 3;  // RESP version of the links that nodes track (near_links.h)

std::string token_of(const Worker& worker, uint64_t serial) {
  return worker.process().run_id() + ':' + std::to_string(serial);
}

Link* tracked_link(Worker& worker, std::string_view key, uint16_t database) {
  return worker.usable_link(worker.map().owner[worker.slot_of(key)], LinkKind(kTracked, database, Tracking::kOptIn));
}

}  // namespace

std::string lease_key_of(const Worker& worker, std::string_view key) {
  const std::string_view tag = resp::slot_tag(worker.one_owner() ? 0 : resp::key_slot(key));
  std::string name(kPrefix);
  return name.append(tag).append(kBehindTag).append(key);
}

std::string_view key_of_lease(std::string_view name) {
  if (!name.starts_with(kPrefix)) return {};
  const size_t end = name.find(kBehindTag, kPrefix.size());
  return end == std::string_view::npos ? std::string_view() : name.substr(end + kBehindTag.size());
}

bool has_lease_keys(const Worker& worker) {
  const auto rules = worker.policies().rules.rules();
  return std::any_of(rules.begin(), rules.end(),
                     [](const policy::Rule& rule) { return rule.stampede && rule.stampede->for_all_proxies; });
}

// Asks for one lease.
class LeaseAsk final : public Piece {
 public:
  LeaseAsk(Leases& leases, std::unique_ptr<LeaseRead> read, std::string reply, uint64_t serial)
      : leases_(leases), read_(std::move(read)), reply_(std::move(reply)), serial_(serial) {}

  void send(Worker& worker, int64_t lease_ms) {
    Link* link = tracked_link(worker, read_->key, read_->database);
    if (!link) return on_reply(0, {});
    const std::string name = lease_key_of(worker, read_->key);
    std::string bytes;
    resp::append_command(bytes, {"CLIENT", "CACHING", "YES"});
    resp::append_command(bytes, {"MULTI"});
    resp::append_command(bytes, {"SET", name, token_of(worker, serial_), "NX", "PX", std::to_string(lease_ms)});
    resp::append_command(bytes, {"GET", name});
    resp::append_command(bytes, {"PTTL", name});
    resp::append_command(bytes, {"GET", read_->key});
    resp::append_command(bytes, {"PTTL", read_->key});
    resp::append_command(bytes, {"EXEC"});
    Request request;
    request.task = this;
    request.slot = worker.slot_of(read_->key);
    request.flags = kPiece | kNodeBound;
    link->send(request, bytes);
  }

  void begin() override { taken_ = 0; }
  bool take(std::string_view reply) override {
    if (++taken_ < kReplies) return false;
    exec_ = reply;
    return true;
  }
  std::string_view verdict() override { return exec_; }

  // Where nobody could be asked, this process decides by itself.
  void on_reply(uint32_t, std::string_view) override {
    const auto elements = exec_.starts_with('*') ? ReplyView(exec_).elements() : std::vector<ReplyView>();
    if (elements.size() == 5 && !elements[3].is_error()) {
      leases_.on_asked(std::move(read_), reply_, elements[3].bytes(), serial_, read(elements));
    } else {
      leases_.on_asked(std::move(read_), reply_, reply_, serial_, unasked());
    }
    delete this;
  }

 private:
  static constexpr uint32_t kReplies = 8;

  static KeyLease::Asked unasked() {
    KeyLease::Asked asked;
    asked.granted = true;
    return asked;
  }
  static KeyLease::Asked read(const std::vector<ReplyView>& elements) {
    KeyLease::Asked asked;
    asked.granted = asked.at_node = !elements[0].is_null();
    const int64_t others_left_ms = elements[2].integer().value_or(-1);
    if (others_left_ms < 0) asked.granted = true;  // it would stay for ever: no lease of ours
    asked.others_left_ms = static_cast<uint64_t>(std::max<int64_t>(0, others_left_ms));
    if (elements[3].is_null()) return asked;
    asked.finding.what = Finding::What::kValue;
    const int64_t left_ms = elements[4].integer().value_or(Finding::kUnknown);
    asked.finding.left_ms = left_ms == -1 ? Finding::kForever : left_ms;
    return asked;
  }

  Leases& leases_;
  std::unique_ptr<LeaseRead> read_;
  const std::string reply_;  // what its reader found before
  const uint64_t serial_;
  uint32_t taken_ = 0;
  std::string exec_;
};

void Leases::ask(std::unique_ptr<LeaseRead> read, std::string_view reply, uint64_t serial) {
  const policy::Rule* rule = rule_of(read->key);
  const int64_t lease_ms = rule && rule->stampede ? rule->stampede->lease_ms : policy::StampedeRule().lease_ms;
  const std::string found(reply.empty() ? nil_for(*read) : reply);
  auto* task = new LeaseAsk(*this, std::move(read), found, serial);
  task->send(worker_, lease_ms);
}

void Leases::on_asked(std::unique_ptr<LeaseRead> read, const std::string& found, std::string_view reply,
                      uint64_t serial, KeyLease::Asked asked) {
  const policy::Rule* rule = rule_of(read->key);
  const std::string name = read->key;
  const LeaseKey key{name, read->hash, read->database};
  if (!rule || !rule->stampede || !read->request.session->open()) {
    Wakes wakes;
    table_.on_holder_gone(key, serial, worker_.now64_ms(), wakes);
    if (asked.at_node) release_at_node(key, serial);
    watch_end(key, lease_end_ms(rule));  // of one that has been fed meanwhile
    answer(*read, found);
    return wake(key, std::move(wakes));
  }
  if (!asked.at_node && asked.granted) asked.finding = judge_reply(*rule, *read, found);
  if (asked.finding.what == Finding::What::kNothing) reply = nil_for(*read);
  const LeaseReader reader = reader_of(*rule->stampede, *read);  // more may have come, or a lease
  const policy::LeaseMoment moment{.now_ms = worker_.now64_ms(),
                                   .random = worker_.transport().random(),
                                   .guess_ms = counters_[rule->name].mean_compute_ms};
  Wakes wakes;
  const Told told = table_.on_asked(key, *rule->stampede, asked, reader, serial, moment, wakes);
  // What was sent behind it may have run already.
  const std::string before = read->request.session->due() > 1 ? found : std::string(reply);
  if (!asked.granted) watch_end(key, worker_.now64_ms() + asked.others_left_ms + 1);
  act(*rule, std::move(read), before, told, reader);
  wake(key, std::move(wakes));
}

// If it gets lost on the way, the key beside the data goes by itself.
void Leases::release_at_node(const LeaseKey& key, uint64_t serial) {
  Link* link = worker_.usable_link(worker_.map().owner[worker_.slot_of(key.key)], LinkKind(2, key.database));
  if (!link) return;
  std::string bytes;
  resp::append_command(bytes, {"EVAL", kRelease, "1", lease_key_of(worker_, key.key), token_of(worker_, serial)});
  Request request;
  request.flags = kDiscard;
  request.slot = worker_.slot_of(key.key);
  link->send(request, bytes);
}

void Leases::on_released_elsewhere(std::string_view name, uint64_t hash, uint16_t database) {
  const LeaseKey key{name, hash, database};
  Wakes wakes;
  table_.on_released_elsewhere(key, worker_.now64_ms(), wakes);
  wake(key, std::move(wakes));
}

}  // namespace corral::core

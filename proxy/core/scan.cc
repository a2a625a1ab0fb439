// Commands that walk over the keyspace of the whole cluster: SCAN, KEYS and RANDOMKEY.
#include <charconv>
#include <unordered_set>

#include "proxy/core/handlers.h"
#include "proxy/core/lease_fleet.h"
#include "proxy/core/scan_step.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;
using resp::ReplyView;

namespace {

constexpr size_t kKeysReplyBytes = 64u << 20;  // KEYS answers no more than this

// KEYS as a walk in steps, so that no node is blocked by it. The client's later commands wait, as they would on one
// server.
class KeysWalk {
 public:
  static void start(Session& session, std::string_view pattern) {
    auto* walk = new KeysWalk(session, pattern);
    session.pause(Session::kWalk);
    walk->step(0);
  }

 private:
  KeysWalk(Session& session, std::string_view pattern)
      : session_(session), whole_(session.request_for_reply(0, kReadOnly)), pattern_(pattern) {}

  void step(uint64_t cursor) {
    ScanStep::start(session_, cursor, {"MATCH", pattern_, "COUNT", "1000"},
                    [this](ScanResult result) { on_step(std::move(result)); });
  }

  void on_step(ScanResult result) {
    if (!result.error.empty()) return finish(result.error);
    for (std::string& key : result.keys) {
      const size_t size = key.size();
      if (keys_.insert(std::move(key)).second) bytes_ += size;
    }
    const uint32_t most = session_.worker().settings().limits.keys_reply;
    if (keys_.size() > most || bytes_ > kKeysReplyBytes) {
      return finish("-ERR KEYS would answer more than " + std::to_string(most) + " keys or " +
                    std::to_string(kKeysReplyBytes >> 20) + " MiB; use SCAN\r\n");
    }
    if (!session_.open()) return finish("-ERR the client is gone\r\n");
    if (result.cursor != 0) return step(result.cursor);
    std::string reply;
    resp::append_array(reply, keys_.size());
    for (const std::string& key : keys_) resp::append_bulk(reply, key);
    finish(reply);
  }

  void finish(std::string_view reply) {
    session_.resume(Session::kWalk);
    session_.worker().answer(whole_, reply);
    delete this;
  }

  Session& session_;
  const Request whole_;  // holds a reference to the session
  const std::string pattern_;
  std::unordered_set<std::string> keys_;
  size_t bytes_ = 0;
};

// Asks every master how many keys it has, then one of them, chosen in proportion, for one.
class RandomKeyTask final : public Task {
 public:
  static void start(Session& session) {
    auto* task = new RandomKeyTask(session);
    const auto masters = session.worker().map().masters;
    if (masters.empty()) return task->finish("-CLUSTERDOWN no master of the cluster is known\r\n");
    task->awaited_ = static_cast<uint32_t>(masters.size());
    for (const auto& master : masters) task->ask("DBSIZE", master.first_slot);
  }

  void on_reply(uint32_t slot, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (reply.is_error()) {
      error_ = bytes;
    } else if (!choosing_) {
      if (!is_lease_key(reply.text()) || ++tries_ == kMostTries) return finish(bytes);
      return ask("RANDOMKEY", static_cast<uint16_t>(slot));  // Corral's own keys are nobody's
    } else {
      sizes_.emplace_back(static_cast<uint16_t>(slot), reply.integer().value_or(0));
    }
    if (--awaited_ == 0) error_.empty() ? choose() : finish(error_);
  }

 private:
  explicit RandomKeyTask(Session& session)
      : worker_(session.worker()), whole_(session.request_for_reply(0, kReadOnly)) {}

  void ask(std::string_view what, uint16_t slot) {
    std::string bytes;
    resp::append_command(bytes, {what});
    Request part = whole_;
    part.task = this;
    part.slot = slot;
    part.ticket = slot;
    part.session->add_reference();
    worker_.send(part, bytes);
  }

  void choose() {
    choosing_ = false;
    int64_t total = 0;
    for (const auto& [slot, size] : sizes_) total += size;
    if (total == 0) return finish(whole_.session->resp() == 3 ? "_\r\n" : "$-1\r\n");
    int64_t place = static_cast<int64_t>(worker_.transport().random() % static_cast<uint64_t>(total));
    awaited_ = 1;
    for (const auto& [slot, size] : sizes_) {
      if (place < size) return ask("RANDOMKEY", slot);
      place -= size;
    }
  }

  void finish(std::string_view reply) {
    worker_.answer(whole_, reply);
    delete this;
  }

  Worker& worker_;
  const Request whole_;  // holds a reference to the session
  static constexpr uint32_t kMostTries = 100;

  bool choosing_ = true;
  uint32_t tries_ = 0;
  uint32_t awaited_ = 0;
  std::vector<std::pair<uint16_t, int64_t>> sizes_;  // of each master, by a slot that it owns
  std::string error_;
};

}  // namespace

void handle_scan(Session& session, const Command& command) {
  const std::string_view digits = command.arg(1);
  uint64_t cursor = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), cursor);
  if (error != std::errc() || end != digits.data() + digits.size()) return session.reply_error("ERR invalid cursor");
  // One server's own cursor is as good as any; that of a master that may be replaced is not.
  const bool is_one_server = session.worker().settings().upstream.mode == "standalone";
  if (is_one_server && !has_lease_keys(session.worker())) return session.forward(command.bytes(), 0, kReadOnly);
  std::vector<std::string> options;
  for (size_t i = 2; i < command.argc(); ++i) options.emplace_back(command.arg(i));
  const Request whole = session.request_for_reply(0, kReadOnly);
  ScanStep::start(session, cursor, std::move(options), [&session, whole](const ScanResult& result) {
    std::string reply = result.error;
    if (reply.empty()) {
      resp::append_array(reply, 2);
      resp::append_bulk(reply, std::to_string(result.cursor));
      resp::append_array(reply, result.keys.size());
      for (const std::string& key : result.keys) resp::append_bulk(reply, key);
    }
    session.worker().answer(whole, reply);
  });
}

void handle_keys(Session& session, const Command& command) { KeysWalk::start(session, command.arg(1)); }

void handle_random_key(Session& session, const Command& command) {
  const bool is_one = session.worker().one_owner() && !has_lease_keys(session.worker());
  if (is_one) return session.forward(command.bytes(), 0, kReadOnly);
  RandomKeyTask::start(session);
}

}  // namespace corral::core

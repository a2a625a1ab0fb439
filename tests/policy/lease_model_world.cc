// The leases' model: time, clients, writes, and what happens past the proxies.
#include <algorithm>

#include "lease_model.h"

namespace corral::policy::lease_model {

Model::Model(uint64_t seed, const Config& config, bool trace)
    : random_(seed), config_(config), trace_(trace), node_(now_ms_), clients_(config.clients), tokens_(1) {
  for (Proxy& proxy : proxies_) {
    proxy.table = std::make_unique<LeaseTable>(config.most_keys);
    const size_t most = std::max<size_t>(1, config.most_keys / 16);
    proxy.ledger = std::make_unique<Ledger>(config_.rule, *proxy.table, now_ms_, most, config.lag_ms);
  }
  for (size_t number = 0; number < clients_.size(); ++number) {
    connect(number);
    after(below(config.think_ms + 1), [this, number] { turn(number); });
  }
  for (int proxy = 0; proxy < kProxies; ++proxy) after(0, [this, proxy] { sweep(proxy); });
  if (config.past > 0) after(0, [this] { write_past(); });
  if (config.goes_down) after(1'000, [this] { go_down(); });
}

void Model::run(uint64_t events) {
  for (const uint64_t end = counts_.events + events; counts_.events < end && violation_.empty();) step();
}

void Model::step() {
  const auto first = queue_.begin();
  now_ms_ = first->first.first;
  const auto work = std::move(first->second);
  queue_.erase(first);
  ++counts_.events;
  work();
  push_changes();
  check();
}

void Model::settle() {
  calm_ = true;
  node_.is_up = true;
  while (!queue_.empty() && violation_.empty()) step();
  expect(reads_.empty(), "a read is never answered");
  for (int key = 0; key < kKeys; ++key) {
    const Node::Held& held = node_.held(key);
    if (held.proxy < 0) continue;
    const Ledger::Lease& lease = proxies_[held.proxy].ledger->lease(key);
    expect(lease.phase == Ledger::Phase::kLeased && lease.serial == held.serial, "a lease is never released");
  }
  now_ms_ += static_cast<uint64_t>(config_.rule.lease_ms) + config_.lag_ms;
  for (int proxy = 0; proxy < kProxies; ++proxy) sweep(proxy);
  while (!queue_.empty() && violation_.empty()) step();
  for (int place = 0; place < kProxies; ++place) {
    const Proxy& proxy = proxies_[place];
    expect(proxy.ledger->waiting() == 0, "somebody waits for ever");
    for (int key = 0; key < kKeys; ++key) {
      expect(proxy.ledger->lease(key).phase == Ledger::Phase::kNone, "a lease never ends");
      expect(proxy.ledger->lease(key).writes == 0, "a write never ends");
    }
    check_barred(place);
  }
}

// Many other keys come, and what is barred is remembered for its time, but not longer.
void Model::check_barred(int place) {
  LeaseTable& table = *proxies_[place].table;
  const Ledger& ledger = *proxies_[place].ledger;
  const auto read = [&](const LeaseKey& key) {
    LeaseWakes wakes;
    const Finding nothing{.what = Finding::What::kNothing};
    const Told told = table.on_read(key, {}, nothing, {.client = 1}, {.now_ms = now_ms_}, wakes);
    if (told.what == Told::What::kLease) table.on_holder_gone(key, told.serial, now_ms_, wakes);
    return told.what;
  };
  for (uint64_t i = 0; i < 64; ++i) read({"other", i << 4 | i << 32, 1});
  for (int key = 0; key < kKeys; ++key) {
    const Ledger::Lease& lease = ledger.lease(key);
    const bool is_barred = lease.barred_until_ms > now_ms_;
    if (is_barred && !lease.bar_is_sure) continue;
    const Told::What told = read(Ledger::key_of(key));
    expect(!is_barred || told == Told::What::kNil, "a barred key is forgotten");
  }
  now_ms_ += KeyLease::kBarMs;
  for (int key = 0; key < kKeys; ++key) {
    expect(read(Ledger::key_of(key)) == Told::What::kLease, "a key that is not barred any more is not leased");
  }
  now_ms_ -= KeyLease::kBarMs;
}

// --- what is checked after each event ---

void Model::check() {
  for (int place = 0; place < kProxies; ++place) {
    Ledger& ledger = *proxies_[place].ledger;
    ledger.check_table();
    if (!ledger.violation().empty() && violation_.empty()) violation_ = ledger.violation();
    for (int key = 0; key < kKeys; ++key) {
      for (const auto& [at, waiter] : ledger.lease(key).waiters) {
        const uint64_t latest_ms = ledger.latest_ms(key, waiter) + 2 * (config_.late_ms + config_.lag_ms);
        expect(now_ms_ <= latest_ms, "somebody waits for longer than it may");
        expect(reads_.contains(waiter.number), "somebody waits who is gone, or has been answered");
      }
    }
  }
  check_leases_of_all();
}

void Model::check_leases_of_all() {
  for (int key = 0; key < kKeys; ++key) {
    int live = 0;
    for (const Proxy& proxy : proxies_) {
      const Ledger::Lease& lease = proxy.ledger->lease(key);
      live += lease.phase == Ledger::Phase::kLeased && lease.at_node && proxy.node_until_ms[key] > now_ms_;
    }
    expect(live <= 1, "two proxies have the lease of all proxies at once");
  }
}

// --- what goes on ---

void Model::connect(size_t number) {
  clients_[number] = {
      .id = ++ids_, .proxy = static_cast<int>(below(kProxies)), .worker = static_cast<uint32_t>(below(2))};
}

void Model::disconnect(size_t number) {
  const Client gone = clients_[number];
  say("client ", gone.id, " goes");
  connect(number);
  for (auto it = reads_.begin(); it != reads_.end();) {
    const Read& read = it->second;
    if (read.client_id != gone.id) {
      ++it;
      continue;
    }
    if (read.parked) {
      proxies_[read.proxy].table->leave(Ledger::key_of(read.key), read.place);
      proxies_[read.proxy].ledger->on_left(read.key, read.place);
    }
    it = reads_.erase(it);
  }
  for (const Held& held : gone.held) give_back(gone.proxy, held.key, held.serial);
}

// More has come behind a read that waits.
void Model::hurry(size_t number) {
  const auto it = std::find_if(reads_.begin(), reads_.end(),
                               [&](const auto& item) { return item.second.parked && item.second.client == number; });
  if (it == reads_.end()) return;
  Read& read = it->second;
  Proxy& proxy = proxies_[read.proxy];
  proxy.table->leave(Ledger::key_of(read.key), read.place);
  proxy.ledger->on_left(read.key, read.place);
  give_up(read);
}

void Model::turn(size_t number) {
  if (calm_) return;
  after(1 + below(2 * config_.think_ms), [this, number] { turn(number); });
  if (chance(config_.leaves)) return chance(50) ? disconnect(number) : hurry(number);
  if (clients_[number].under_way >= 2) return;
  const int key = static_cast<int>(std::min({below(kKeys), below(kKeys), below(kKeys)}));
  if (!chance(config_.writes)) return read(number, key);
  if (chance(10)) return write_all(clients_[number].proxy);
  constexpr LeaseWrite kWrites[] = {LeaseWrite::kValue, LeaseWrite::kValue, LeaseWrite::kRemoves, LeaseWrite::kOther};
  write(number, key, kWrites[below(std::size(kWrites))]);
}

void Model::write_past() {
  if (calm_) return;
  after(1 + below(20 * config_.think_ms), [this] { write_past(); });
  if (!chance(config_.past)) return;
  const int key = static_cast<int>(below(kKeys));
  say("past: key ", key);
  const uint64_t kind = below(4), token = new_token(key);
  if (kind == 0) return void(node_.write(key, {}));
  if (kind == 1) return void(node_.change(key, token));
  node_.write(key, random_state(token));
}

void Model::go_down() {
  if (calm_) return;
  node_.is_up = !node_.is_up;
  say("the node is ", node_.is_up ? "up" : "down");
  after(below(node_.is_up ? 3'000 : 1'000), [this] { go_down(); });
}

void Model::sweep(int place) {
  Proxy& proxy = proxies_[place];
  if (!calm_) after(1 + below(50 + 2 * config_.late_ms), [this, place] { sweep(place); });
  for (int key = 0; key < kKeys; ++key) {
    const Ledger::Lease& lease = proxy.ledger->lease(key);
    if (lease.phase == Ledger::Phase::kNone || lease.end_ms > now_ms_) continue;
    const uint64_t clock_ms = clock();
    LeaseWakes wakes;
    say("proxy ", place, " key ", key, ": time");
    proxy.table->on_time(Ledger::key_of(key), clock_ms, wakes);
    proxy.ledger->on_time(key, clock_ms, wakes);
    wake(place, key, wakes);
  }
}

void Model::push_changes() {
  for (const Node::Push& push : std::exchange(node_.pushes, {})) {
    if (chance(config_.unpushed)) continue;
    after(delay(), [this, push] {
      Proxy& proxy = proxies_[push.proxy];
      LeaseWakes wakes;
      say("proxy ", push.proxy, " key ", push.key, push.what == Node::Push::kChanged ? " has changed" : " is free");
      if (push.what == Node::Push::kChanged) {
        proxy.table->on_invalidated(Ledger::key_of(push.key), wakes);
        proxy.ledger->on_invalidated(push.key, wakes);
      } else {
        const uint64_t clock_ms = clock();
        proxy.table->on_released_elsewhere(Ledger::key_of(push.key), clock_ms, wakes);
        proxy.ledger->on_released_elsewhere(push.key, clock_ms, wakes);
      }
      wake(push.proxy, push.key, wakes);
    });
  }
}

// --- writes ---

uint64_t Model::new_token(int key) {
  tokens_.push_back({.key = key});
  return tokens_.size() - 1;
}

Node::State Model::random_state(uint64_t token) {
  const bool stays = chance(10);
  const uint64_t ttl_ms = 1 + below(2 * config_.ttl_ms) + static_cast<uint64_t>(config_.rule.stale_ms);
  return {.there = true, .token = token, .expires_ms = stays ? kNever : now_ms_ + ttl_ms};
}

void Model::write(size_t number, int key, LeaseWrite what) {
  Client& client = clients_[number];
  Proxy& proxy = proxies_[client.proxy];
  ++client.under_way;
  auto write = std::make_shared<Write>();
  *write = {.client = number, .client_id = client.id, .proxy = client.proxy, .key = key, .write = {}};
  write->token = new_token(key);
  write->number = ++numbers_;
  const LeaseTable::Begun begun = proxy.table->begin_write(Ledger::key_of(key), config_.feeds);
  proxy.ledger->on_write_begun(key, begun);
  write->write = {.what = what, .counted = begun.counted, .feeds = config_.feeds};
  if (what == LeaseWrite::kValue && begun.wants_value) {
    write->write.value = std::make_shared<const std::string>(std::to_string(write->token));
  }
  auto& under_way = proxy.under_way[key];
  const bool alone = under_way.empty() && proxy.of_all == 0;
  for (auto& [other, is_alone] : under_way) is_alone = false;
  under_way[write->number] = alone;
  say("proxy ", client.proxy, " key ", key, " write ", (int)what, " token ", write->token, " begun, counted ",
      begun.counted, " wanted ", begun.wants_value);
  after(delay(), [this, write] {
    execute(*write);
    after(delay(), [this, write] { end_write(*write); });
  });
}

// What is not known to have been executed may have been, or be so later.
void Model::execute(Write& write) {
  if (!node_.is_up) {
    write.outcome = LeaseOutcome::kNodeGone;
  } else if (!chance(config_.fails)) {
    apply(write);
  } else if (chance(40)) {
    write.outcome = LeaseOutcome::kNotDone;
  } else {
    write.outcome = chance(50) ? LeaseOutcome::kUnknown : LeaseOutcome::kNodeGone;
    if (chance(30)) return apply(write);
    if (chance(30)) after(below(500), [this, late = std::make_shared<Write>(write)] { apply(*late); });
  }
}

void Model::apply(Write& write) {
  if (write.write.what == LeaseWrite::kRemoves) {
    write.version = node_.write(write.key, {});
  } else if (write.write.what == LeaseWrite::kOther) {
    write.version = node_.change(write.key, write.token);
  } else {
    write.version = node_.write(write.key, random_state(write.token));
  }
  tokens_[write.token].version = write.version;
  say("key ", write.key, " token ", write.token, " is version ", write.version);
}

void Model::end_write(const Write& write) {
  Proxy& proxy = proxies_[write.proxy];
  const bool alone = proxy.under_way[write.key].at(write.number);
  proxy.under_way[write.key].erase(write.number);
  const bool done = write.outcome == LeaseOutcome::kDone;
  const auto token = write.write.value ? std::optional(write.token) : std::nullopt;
  if (write.outcome == LeaseOutcome::kNodeGone && config_.feeds) tokens_[write.token].fed = proxy.writes[write.key];
  const uint64_t clock_ms = clock();
  LeaseWakes wakes;
  const auto took_ms = proxy.table->end_write(Ledger::key_of(write.key), write.write, write.outcome, clock_ms, wakes);
  say("proxy ", write.proxy, " key ", write.key, " token ", write.token, " ended as ", (int)write.outcome, ": filled ",
      wakes.filled.size(), " again ", wakes.again.size());
  expect(!took_ms || *took_ms < now_ms_, "a value took longer to compute than there was time");
  proxy.ledger->on_write_ended(write.key, write.write, write.outcome, token, alone, clock_ms, wakes);
  if (done && !wakes.again.empty() && token) ++counts_.overlapped;
  wake(write.proxy, write.key, wakes);
  if (done) {
    proxy.least[write.key] = std::max(proxy.least[write.key], write.version);
    ++proxy.writes[write.key];
    if (write.write.what != LeaseWrite::kRemoves) ++proxy.sets[write.key];
  }
  Client& client = clients_[write.client];
  if (client.id == write.client_id) --client.under_way;
}

// A script, say, that does not declare its keys.
void Model::write_all(int place) {
  Proxy& proxy = proxies_[place];
  ++proxy.of_all;
  for (auto& writes : proxy.under_way) {
    for (auto& [number, is_alone] : writes) is_alone = false;
  }
  after(delay(), [this, place] {
    std::vector<std::pair<int, uint64_t>> written;
    for (int key = 0; key < kKeys && node_.is_up; ++key) {
      if (chance(50)) continue;
      const uint64_t token = new_token(key);
      written.emplace_back(key, node_.write(key, chance(30) ? Node::State{} : random_state(token)));
    }
    after(delay(), [this, place, written] { end_write_of_all(place, written); });
  });
}

void Model::end_write_of_all(int place, const std::vector<std::pair<int, uint64_t>>& written) {
  Proxy& proxy = proxies_[place];
  --proxy.of_all;
  LeaseWakes wakes;
  proxy.table->end_write_of_all(wakes);
  proxy.ledger->on_all_written(wakes);
  wake(place, 0, wakes);
  for (const auto& [key, version] : written) proxy.least[key] = std::max(proxy.least[key], version);
  for (int key = 0; key < kKeys; ++key) {
    ++proxy.writes[key];
    ++proxy.sets[key];
  }
}

}  // namespace corral::policy::lease_model

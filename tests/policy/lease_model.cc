// The leases' model: what a proxy does with what its table says, and what of it is checked.
#include "lease_model.h"

#include <algorithm>

namespace corral::policy::lease_model {

namespace {

using What = Told::What;

constexpr int kMostTries = 3;

}  // namespace

// --- reads ---

void Model::read(size_t number, int key) {
  Client& client = clients_[number];
  ++client.under_way;
  Read& read = reads_[++numbers_];
  read = {.number = numbers_, .client_id = client.id, .client = number, .proxy = client.proxy, .key = key};
  send(read);
}

void Model::send(Read& read) {
  Proxy& proxy = proxies_[read.proxy];
  read.mark = proxy.table->mark(Ledger::key_of(read.key).hash);
  read.sent_ms = now_ms_;
  read.sent_clock_ms = clock();
  read.least = proxy.least[read.key];
  after(delay(), [this, number = read.number] {
    const auto it = reads_.find(number);
    if (it == reads_.end()) return;
    const Found found = look(it->second);
    after(delay(), [this, number, found] { on_found(number, found); });
  });
}

Found Model::look(const Read& read) {
  Found found{.finding = {.what = Finding::What::kFailed, .sent_ms = read.sent_clock_ms}, .sent_ms = read.sent_ms};
  if (!node_.is_up) return found;
  const Node::Seen seen = node_.read(read.key, read.proxy);
  found.version = seen.version;
  found.finding.what = seen.there ? Finding::What::kValue : Finding::What::kNothing;
  if (seen.there && config_.deadlines) found.finding.left_ms = seen.left_ms;
  return found;
}

// Where somebody is to compute the value, what the read has seen must not have been replaced meanwhile.
void Model::on_found(uint64_t number, const Found& found) {
  const auto it = reads_.find(number);
  if (it == reads_.end()) return;
  Read& read = it->second;
  Proxy& proxy = proxies_[read.proxy];
  const Finding& finding = found.finding;
  if (finding.what == Finding::What::kFailed && !config_.feeds) return answer(read);
  const LeaseKey& key = Ledger::key_of(read.key);
  const bool may_be_due =
      finding.left_ms >= 0 && (config_.rule.early_refresh > 0 || finding.left_ms <= config_.rule.stale_ms);
  if ((finding.what == Finding::What::kNothing || may_be_due) && read.tries < kMostTries &&
      proxy.table->is_old(key.hash, read.mark)) {
    ++read.tries;
    return send(read);
  }
  const LeaseReader reader = reader_of(read);
  const LeaseMoment now = moment();
  LeaseWakes wakes;
  const Told told = proxy.table->on_read(key, config_.rule, finding, reader, now, wakes);
  say("read ", number, " of proxy ", read.proxy, " key ", read.key, " by ", reader.client, " found ", (int)finding.what,
      " version ", found.version, " left ", finding.left_ms, ": told ", (int)told.what, " serial ", told.serial,
      " place ", told.place);
  proxy.ledger->on_read(read.key, found, reader, now, told, wakes);
  const int place = read.proxy, of = read.key;
  act(read, found, told, reader);
  wake(place, of, wakes);
}

void Model::act(Read& read, const Found& found, const Told& told, const LeaseReader& reader) {
  switch (told.what) {
    case What::kFound:
    case What::kOld:
      ++(told.what == What::kOld ? counts_.old : counts_.found);
      return answer_value(read, found.version);
    case What::kFed:
      ++counts_.fed;
      check_fed(read.proxy, read.key, std::stoull(*told.value));
      return answer(read);
    case What::kNil:
      ++counts_.nil;
      check_nil(read, found);
      return answer(read);
    case What::kLease:
      if (told.kind == LeaseKind::kEarly) ++counts_.early;
      check_nil(read, found);
      return hold(read, told.serial);
    case What::kWait:
      expect(reader.may_wait_ms > 0, "who may not wait is to wait");
      return park(read, told.place);
    case What::kAsk:
      return ask(read, told.serial);
  }
}

LeaseReader Model::reader_of(const Read& read) const {
  const Client& client = clients_[read.client];
  const bool holds = std::any_of(client.held.begin(), client.held.end(), [&](const Held& held) {
    return proxies_[client.proxy].table->is_held(Ledger::key_of(held.key), held.serial);
  });
  const bool may_wait = client.under_way <= 1 && !holds;
  return {.client = client.id,
          .number = read.number,
          .worker = client.worker,
          .may_wait_ms = may_wait ? config_.rule.wait_ms : 0};
}

void Model::park(Read& read, uint64_t place) {
  ++counts_.waits;
  read.parked = true;
  read.woken = false;
  read.place = place;
  read.sets = proxies_[read.proxy].sets[read.key];
  after(static_cast<uint64_t>(config_.rule.wait_ms) + below(config_.late_ms + 1), [this, number = read.number, place] {
    if (Read* const waiting = find_parked(number); waiting && waiting->place == place) on_timer(number);
  });
}

void Model::on_timer(uint64_t number) {
  Read& read = *find_parked(number);
  Proxy& proxy = proxies_[read.proxy];
  const uint64_t clock_ms = clock();
  const auto until_ms = proxy.table->on_wait_over(Ledger::key_of(read.key), read.place, clock_ms);
  proxy.ledger->on_wait_over(read.key, read.place, clock_ms, until_ms);
  if (!until_ms) return give_up(read);
  after(*until_ms - clock_ms + below(config_.late_ms + 1), [this, number, place = read.place] {
    if (Read* const waiting = find_parked(number); waiting && waiting->place == place) on_timer(number);
  });
}

// Who has been woken already, and has not been told yet, is told nil as well.
void Model::give_up(Read& read) {
  say("read ", read.number, " gives up");
  ++counts_.timed_out;
  if (!read.woken) check_nil_of_waiter(read);
  answer(read);
}

// --- leases of all proxies ---

void Model::ask(Read& read, uint64_t serial) {
  ++counts_.asked;
  Proxy& proxy = proxies_[read.proxy];
  read.mark = proxy.table->mark(Ledger::key_of(read.key).hash);
  read.sent_ms = now_ms_;
  read.sent_clock_ms = clock();
  read.least = proxy.least[read.key];
  proxy.link_free_ms = std::max(proxy.link_free_ms, now_ms_ + delay());
  at(proxy.link_free_ms, [this, sent = read, serial] {
    const Found found = look(sent);
    KeyLease::Asked asked{.granted = true, .finding = found.finding};
    if (node_.is_up) {
      const auto lease_ms = static_cast<uint64_t>(config_.rule.lease_ms);
      asked.granted = asked.at_node = node_.hold(sent.key, sent.proxy, serial, lease_ms);
      const uint64_t until_ms = node_.held(sent.key).expires_ms;
      if (!asked.granted) asked.others_left_ms = until_ms - now_ms_;
      if (asked.granted) proxies_[sent.proxy].node_until_ms[sent.key] = until_ms;
      if (asked.granted) at(until_ms, [this, key = sent.key] { node_.held(key); });
    }
    after(delay(),
          [this, sent, serial, asked, found] { on_asked(sent.number, sent.proxy, sent.key, serial, asked, found); });
  });
}

void Model::on_asked(uint64_t number, int place, int of, uint64_t serial, const KeyLease::Asked& asked,
                     const Found& found) {
  Proxy& proxy = proxies_[place];
  const LeaseKey& key = Ledger::key_of(of);
  const auto it = reads_.find(number);
  const bool is_gone = it == reads_.end();
  if (is_gone || (asked.finding.what == Finding::What::kNothing && it->second.tries < kMostTries &&
                  proxy.table->is_old(key.hash, it->second.mark))) {
    give_back(place, of, serial);
    if (asked.at_node) release(place, of, serial);
    if (is_gone) return;
    ++it->second.tries;
    return send(it->second);
  }
  Read& read = it->second;
  const LeaseReader reader = reader_of(read);
  const LeaseMoment now = moment();
  LeaseWakes wakes;
  const Told told = proxy.table->on_asked(key, config_.rule, asked, reader, serial, now, wakes);
  say("read ", number, " of proxy ", place, " key ", of, " asked for ", serial, ": granted ", asked.granted,
      " at node ", asked.at_node, " others ", asked.others_left_ms, " found ", (int)asked.finding.what, " version ",
      found.version, ": told ", (int)told.what, " place ", told.place);
  proxy.ledger->on_asked(of, asked, found, reader, serial, now, told, wakes);
  if (!asked.granted) ++counts_.elsewhere;
  act(read, found, told, reader);
  wake(place, of, wakes);
}

void Model::release(int place, int key, uint64_t serial) {
  Proxy& proxy = proxies_[place];
  proxy.link_free_ms = std::max(proxy.link_free_ms, now_ms_ + delay());
  at(proxy.link_free_ms, [this, place, key, serial] {
    say("proxy ", place, " key ", key, " releases ", serial);
    node_.release(key, place, serial);
  });
}

void Model::give_back(int place, int key, uint64_t serial) {
  say("proxy ", place, " key ", key, " is given back ", serial);
  ++counts_.given_back;
  const uint64_t clock_ms = clock();
  LeaseWakes wakes;
  proxies_[place].table->on_holder_gone(Ledger::key_of(key), serial, clock_ms, wakes);
  proxies_[place].ledger->on_holder_gone(key, serial, clock_ms, wakes);
  wake(place, key, wakes);
}

// --- wakes ---

Model::Read* Model::find_parked(uint64_t number) {
  const auto it = reads_.find(number);
  return it != reads_.end() && it->second.parked ? &it->second : nullptr;
}

void Model::note_woken(uint64_t number, bool is_told_nil) {
  Read* const read = find_parked(number);
  expect(read && !read->woken, "somebody is woken who does not wait");
  if (!read) return;
  if (is_told_nil) check_nil_of_waiter(*read);
  read->woken = true;
}

void Model::wake(int proxy, int key, const LeaseWakes& wakes) {
  counts_.lapsed += wakes.lapsed;
  if (wakes.release != 0) release(proxy, key, wakes.release);
  if (!wakes.filled.empty()) check_filled(proxy, key, wakes);
  const auto soon = [this] { return chance(50) ? 0 : below(config_.late_ms + 1); };
  for (const LeaseReader& reader : wakes.filled) {
    ++counts_.filled;
    note_woken(reader.number, false);
    after(soon(), [this, number = reader.number] {
      if (Read* const read = find_parked(number)) answer(*read);
    });
  }
  for (const LeaseReader& reader : wakes.again) {
    ++counts_.again;
    note_woken(reader.number, false);
    after(soon(), [this, number = reader.number] {
      Read* const read = find_parked(number);
      if (!read) return;
      read->parked = false;
      read->tries = 0;
      send(*read);
    });
  }
  for (const LeaseReader& reader : wakes.nil) {
    ++counts_.barred;
    note_woken(reader.number, true);
    after(soon(), [this, number = reader.number] {
      if (Read* const read = find_parked(number)) answer(*read);
    });
  }
  if (!wakes.promoted) return;
  ++counts_.promoted;
  note_woken(wakes.promoted->number, true);
  say("read ", wakes.promoted->number, " of proxy ", proxy, " key ", key, " is promoted to ", wakes.serial);
  after(soon(), [this, number = wakes.promoted->number, proxy, key, serial = wakes.serial, ask = wakes.ask] {
    wake_promoted(number, proxy, key, serial, ask);
  });
}

// By the time that it hears of it, the lease may be another one's again.
void Model::wake_promoted(uint64_t number, int proxy, int key, uint64_t serial, bool ask_first) {
  Read* const read = find_parked(number);
  if (!read) return give_back(proxy, key, serial);
  read->parked = false;
  read->tries = 0;
  if (ask_first) return ask(*read, serial);
  if (!proxies_[proxy].table->is_held(Ledger::key_of(key), serial)) return send(*read);
  hold(*read, serial);
}

void Model::hold(Read& read, uint64_t serial) {
  ++counts_.leases;
  Client& client = clients_[read.client];
  const LeaseKey& key = Ledger::key_of(read.key);
  expect(proxies_[read.proxy].table->is_held(key, serial), "told nil with a lease that is over");
  expect(proxies_[read.proxy].ledger->lease(read.key).client == client.id, "told nil with a lease of another one");
  client.held.push_back({read.key, serial});
  const auto lease_ms = static_cast<uint64_t>(config_.rule.lease_ms);
  const uint64_t plan = below(100), compute_ms = 1 + below(plan < 70 ? lease_ms / 2 : 2 * lease_ms);
  after(compute_ms, [this, plan, number = read.client, id = client.id, of = read.key] {
    if (clients_[number].id != id) return;
    if (plan < 80) return write(number, of, LeaseWrite::kValue);
    if (plan < 87) return write(number, of, LeaseWrite::kRemoves);
    if (plan < 92) disconnect(number);
  });
  answer(read);
}

// --- what clients are told ---

void Model::answer(Read& read) {
  Client& client = clients_[read.client];
  expect(client.id == read.client_id && client.under_way > 0, "a read is answered twice");
  --client.under_way;
  reads_.erase(read.number);
}

void Model::answer_value(Read& read, uint64_t version) {
  const Node::State& state = node_.about(read.key, version);
  expect(state.there, "told a value where none was");
  expect(version >= read.least, "told a value that an acknowledged write has replaced");
  expect(state.expires_ms == kNever || state.expires_ms + longest_ms() >= now_ms_, "told a value that has expired");
  answer(read);
}

void Model::check_nil(const Read& read, const Found& found) {
  if (found.finding.what != Finding::What::kNothing) return;
  const Proxy& proxy = proxies_[read.proxy];
  const bool is_old = proxy.table->is_old(Ledger::key_of(read.key).hash, read.mark);
  expect(found.version >= (is_old ? read.least : proxy.least[read.key]), "told nil after an acknowledged write");
}

void Model::check_nil_of_waiter(const Read& read) {
  expect(read.sets == proxies_[read.proxy].sets[read.key], "who waits is told nil after an acknowledged write");
}

void Model::check_filled(int place, int of, const LeaseWakes& wakes) {
  const Proxy& proxy = proxies_[place];
  const uint64_t number = std::stoull(*wakes.value);
  const Token& token = tokens_[number];
  expect(token.key == of, "who waits is given another key's value");
  if (token.fed) return check_fed(place, of, number);
  expect(token.version != 0, "who waits is given a value that was not set");
  expect(token.version >= proxy.least[of], "who waits is given a value that an acknowledged write has replaced");
  const Node::State& state = node_.about(of, token.version);
  expect(state.expires_ms == kNever || state.expires_ms + longest_ms() >= now_ms_, "given a value that has expired");
}

void Model::check_fed(int proxy, int key, uint64_t token) {
  expect(tokens_[token].key == key && tokens_[token].fed == proxies_[proxy].writes[key],
         "told what no node could take although one has taken something since");
}

}  // namespace corral::policy::lease_model

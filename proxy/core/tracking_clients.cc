#include "proxy/core/tracking_clients.h"

#include <algorithm>
#include <set>
#include <utility>

#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr size_t kMostKeys = 1'000'000;  // of the process, as Redis' tracking-table-max-keys
constexpr uint32_t kKeepAliveMs = 1000;  // a link on which nothing else goes is asked so often
constexpr size_t kMostSingly = 100;      // keys that a client is told one by one when slots move
constexpr std::string_view kPingFrame = "*1\r\n$4\r\nPING\r\n";

bool is_script(const resp::CommandSpec& spec) { return spec.handling == resp::Handling::kScript; }

// Redis: server.c, call(). Of a script all declared keys count if it reads any.
bool reads(const resp::CommandSpec& spec) {
  return is_script(spec) || (spec.is(resp::kFlagReadOnly) && !spec.is(resp::kFlagPubSub));
}

bool writes(const resp::CommandSpec& spec) {
  return spec.is(resp::kFlagWrite) || (is_script(spec) && !spec.is(resp::kFlagReadOnly));
}

// To a client that others redirect to; false if it is gone. One of RESP2 hears it only as a subscriber.
bool tell_target(Worker& worker, uint64_t target, std::string_view keys) {
  Session* session = worker.find_session(target);
  if (!session) return false;
  if (session->resp() == 3) {
    session->push(invalidation_push(keys));
  } else if (session->modes() & Session::kSubscribed) {
    std::string frame = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
    frame += keys.empty() ? "$-1\r\n" : keys;
    session->push(frame);
  }
  return true;
}

// Whether a reply shows that the key it is about is there. What could be of none counts as none.
bool shows_key(const resp::ReplyView& reply) {
  switch (reply.type()) {
    case '$':
    case '+':
      return !reply.is_null() && !reply.text().empty() && reply.text() != "none";
    case ':':
      return reply.integer().value_or(0) > 0;
    case '*':
    case '~':
    case '%': {
      const auto elements = reply.elements();
      return !elements.empty() && std::all_of(elements.begin(), elements.end(), shows_key);
    }
    default:
      return false;
  }
}

void note_broken(Worker& worker, uint64_t from, uint64_t target) {
  Session* session = worker.find_session(from);
  if (session && session->tracking() && session->tracking()->options().redirect == target) {
    session->tracking()->set_broken();
  }
}

}  // namespace

struct TrackingClients::Keys {
  bool any_read = false;
  std::vector<std::string_view> read, written;
  bool writes_unknown = false;
  bool shown = true;  // the reply is about the key that is read, or has an element for each
};

TrackingClients::TrackingClients(Worker& worker)
    : worker_(worker), table_(kMostKeys / worker.process().workers()), targets_(worker), feeds_(worker) {}

// --- sessions ---

void TrackingClients::join(Session& session, TrackingOptions options, const Request& whole) {
  count_prefixes(session, -1);
  if (!session.tracks()) {
    session.set_tracking(std::make_unique<SessionTracking>(session));
    members_.emplace(session.id(), &session);
    worker_.process().board(worker_.index()).tracking_clients.fetch_add(1, std::memory_order_relaxed);
  }
  session.tracking()->set_options(std::move(options));
  count_prefixes(session, 1);
  update(session);
  session.set_tracked(Tracked::kSeen);
  if (session.tracking()->options().broadcast) return feeds_.join(session, whole);
  answer(whole, resp::kOk);
  if (session.tracks()) session.tracking()->tell_what_was_missed();
}

void TrackingClients::leave(Session& session) {
  if (!session.tracks()) return;
  count_prefixes(session, -1);
  members_.erase(session.id());
  worker_.process().board(worker_.index()).tracking_clients.fetch_sub(1, std::memory_order_relaxed);
  const std::optional<Request> waiting = session.tracking()->waiting;
  feeds_.leave(session);
  session.set_tracking(nullptr);
  session.set_tracked(Tracked::kNot);
  session.set_link_kind(session.own_link_kind());
  if (waiting) answer(*waiting, "-ERR tracking has been ended\r\n");
}

void TrackingClients::count_prefixes(const Session& session, int change) {
  if (!session.tracks()) return;
  for (const std::string& prefix : session.tracking()->options().prefixes) {
    worker_.process().count_tracked_prefix(prefix, change);
  }
}

void TrackingClients::answer(const Request& whole, std::string_view reply) {
  if (!whole.task) whole.session->resume(Session::kWalk);
  worker_.answer(whole, reply);
}

void TrackingClients::update(Session& session) {
  session.set_link_kind(session.tracking()->link_kind(session.resp(), session.database()));
}

void TrackingClients::redirect(Session& from, std::string_view keys) {
  const TrackingOptions& options = from.tracking()->options();
  const uint64_t id = from.id(), target = options.redirect;
  if (options.redirect_worker == worker_.index()) {
    if (!tell_target(worker_, target, keys)) note_broken(worker_, id, target);
    return;
  }
  const auto tell = [id, target, keys = std::string(keys), back = worker_.index()](Worker& worker) {
    if (tell_target(worker, target, keys)) return;
    worker.transport().post(back, [id, target](Worker& home) { note_broken(home, id, target); });
  };
  worker_.transport().post(options.redirect_worker, tell);
}

// --- what is read and written ---

// Of one request, or of all those in a transaction that a rule or EXEC has made of it.
TrackingClients::Keys TrackingClients::keys_of(std::string_view bytes) const {
  Keys keys;
  while (!bytes.empty()) {
    const ParsedRequest parsed(worker_, bytes);
    if (parsed.command().argc() == 0) break;
    bytes.remove_prefix(parsed.command().bytes().size());
    if (!parsed.spec()) continue;
    const auto found = parsed.keys();
    if (reads(*parsed.spec())) {
      keys.shown = !keys.any_read && !is_script(*parsed.spec()) &&
                   (found.size() == 1 || parsed.spec()->merge == resp::Merge::kArrayByKey);
      keys.any_read = true;
      keys.read.insert(keys.read.end(), found.begin(), found.end());
    }
    if (!writes(*parsed.spec())) continue;
    keys.written.insert(keys.written.end(), found.begin(), found.end());
    keys.writes_unknown |= (found.empty() && is_script(*parsed.spec())) ||
                           (parsed.spec()->id == resp::kUnlistedCommand && resp::keys_may_hide(*parsed.spec()));
  }
  return keys;
}

void TrackingClients::on_reply(Link& link, const Link::Pending& pending, std::string_view reply) {
  if (!pending.bytes) return;  // a large value, which is stored and not read
  const Keys keys = keys_of({pending.bytes, pending.size});
  Session& session = *pending.request.session;
  const Tracking tracking = link.kind().tracking();
  if (tracking == Tracking::kNoLoop || tracking == Tracking::kBroadcast) {
    tell_of_own_write(link, session.id(), keys);
  }
  // With NOLOOP a node does not tell a connection either of a key that has expired, if its own read found so.
  // Redis 7.0: db.c, expireIfNeeded; tracking.c, trackingInvalidateKey (current_client).
  const bool all_there = keys.shown && !reply.empty() && shows_key(resp::ReplyView(reply));
  if (tracking == Tracking::kNoLoop && !all_there) tell_others(link.kind(), session.id(), keys.read);
  if (!session.tracks()) return;
  if (pending.request.task) session.tracking()->raise_fence();  // a part of its reply
  if (!keys.any_read) return;
  session.tracking()->note_read();
  if (pending.request.tracked == Tracked::kReads && !keys.read.empty()) note_reads(session, link, keys.read);
  publish_counts();
}

// What is told now comes behind the reply.
void TrackingClients::note_reads(Session& session, Link& link, const std::vector<std::string_view>& keys) {
  const Tracking tracking = link.kind().tracking();
  const bool tracked = (tracking == Tracking::kAll || tracking == Tracking::kNoLoop) && worker_.is_shared(link);
  std::vector<std::string_view> untracked;
  for (const std::string_view key : keys) {
    const uint16_t slot = worker_.slot_of(key);
    if (tracked && worker_.map().owner[slot] == link.node()) {
      table_.add(key, slot, {session.id(), link.kind()});
    } else {
      untracked.push_back(key);
    }
  }
  TrackingTable::Readers readers;
  for (std::string_view key = table_.evict(readers); !key.empty(); key = table_.evict(readers)) {
    const std::string told = tracked_keys({key});
    for (const auto& reader : std::exchange(readers, {})) tell_reader(reader, told);
  }
  if (!untracked.empty() && session.tracks()) session.tracking()->tell(tracked_keys(untracked));
}

// The node has not told the link, which may serve others.
void TrackingClients::tell_of_own_write(const Link& link, uint64_t writer, const Keys& keys) {
  if (!keys.writes_unknown && keys.written.empty()) return;
  const auto& told = keys.writes_unknown ? std::vector<std::string_view>() : keys.written;
  if (link.kind().tracking() == Tracking::kBroadcast) return feeds_.tell(link.kind(), told, writer);
  if (!keys.writes_unknown) return tell_others(link.kind(), writer, keys.written);
  for (const auto& [id, session] : std::map(members_)) {
    if (id != writer && session->link_kind() == link.kind()) tell_reader({id, link.kind()}, {});
  }
}

// All but this client who have read one of the keys over a link of this kind.
void TrackingClients::tell_others(LinkKind kind, uint64_t client, const std::vector<std::string_view>& keys) {
  TrackingTable::Readers readers;
  for (const std::string_view key : keys) {
    table_.take(key, kind, client, readers);
    if (readers.empty()) continue;
    const std::string told = tracked_keys({key});
    for (const auto& reader : std::exchange(readers, {})) tell_reader(reader, told);
  }
}

// --- telling ---

void TrackingClients::tell_reader(const TrackingTable::Reader& reader, std::string_view keys) {
  const auto it = members_.find(reader.client);
  if (it == members_.end() || it->second->tracking()->options().broadcast) return;
  it->second->tracking()->tell(keys);
}

void TrackingClients::on_push(Link& link, std::string_view push) {
  const auto elements = resp::ReplyView(push).elements();
  if (elements.size() != 2 || elements[0].text() != "invalidate") return;
  if (targets_.is_target(link)) return targets_.on_push(link, push);
  std::vector<std::string_view> keys;
  for (const auto& key : elements[1].elements()) keys.push_back(key.text());
  tell(link.node(), link.kind(), keys);
}

void TrackingClients::tell(NodeId node, LinkKind kind, const std::vector<std::string_view>& keys) {
  if (kind.tracking() == Tracking::kBroadcast) return feeds_.tell(kind, keys, 0);
  if (keys.empty()) return forget_node(node, kind, true);
  tell_others(kind, 0, keys);
  publish_counts();
}

// What was read from a node over links of this kind has changed, or may. With `tell_all` those who read nothing there
// are told too, as Redis does at a FLUSHALL.
void TrackingClients::forget_node(NodeId node, LinkKind kind, bool tell_all) {
  std::set<uint64_t> ids;
  table_.take_if(
      [&](std::string_view, uint16_t slot, const TrackingTable::Reader& reader) {
        return reader.kind == kind && worker_.map().owner[slot] == node;
      },
      [&](std::string_view, const TrackingTable::Reader& reader) { ids.insert(reader.client); });
  for (const auto& [id, session] : members_) {
    if (tell_all && session->link_kind() == kind) ids.insert(id);
  }
  for (const uint64_t id : ids) tell_reader({id, kind}, {});
  publish_counts();
}

// --- events ---

void TrackingClients::on_link_lost(Link& link, bool was_ready) {
  const bool is_target = targets_.is_target(link);
  if (is_target) targets_.on_lost(link);
  const LinkKind kind = is_target ? targets_.kind_of(link) : link.kind();
  if (!was_ready || !is_for_clients(kind.tracking())) return;
  if (kind.tracking() == Tracking::kBroadcast) return feeds_.on_link_lost(link.node(), kind);
  forget_node(link.node(), kind, false);
}

void TrackingClients::on_new_map(const SlotMap& before, const SlotMap& now) {
  if (members_.empty()) return;
  std::map<uint64_t, std::vector<std::string>> readers;
  if (table_.keys() > 0) {
    table_.take_if([&](std::string_view, uint16_t slot,
                       const TrackingTable::Reader&) { return before.owner[slot] != now.owner[slot]; },
                   [&](std::string_view key, const TrackingTable::Reader& reader) {
                     readers[reader.client].push_back(tracked_keys({key}));
                   });
  }
  for (const auto& [id, keys] : readers) {
    if (keys.size() > kMostSingly) {
      tell_reader({id, {}}, {});
    } else {
      for (const std::string& key : keys) tell_reader({id, {}}, key);
    }
  }
  feeds_.on_new_map(before.owner != now.owner);
  publish_counts();
}

void TrackingClients::tick() {
  if (members_.empty()) return;
  feeds_.tick();
  if (worker_.now_ms() - kept_alive_ms_ >= kKeepAliveMs) keep_alive();
}

// A half-open connection tells nothing, and is noticed only by what it does not answer.
void TrackingClients::keep_alive() {
  kept_alive_ms_ = worker_.now_ms();
  const auto ask = [this](Link& link) {
    if (!link.ready() || link.in_flight() > 0 || !worker_.map().has(link.node())) return;
    Request ping;
    ping.flags = kDiscard | kNodeBound | kReadOnly;
    link.send(ping, kPingFrame);
  };
  worker_.for_each_link([&](Link& link) {
    if (is_for_clients(link.kind().tracking())) ask(link);
  });
  targets_.for_each([&](Link& link) { ask(link); });
}

void TrackingClients::stop() {
  targets_.for_each([](Link& link) { link.fail("shutting down"); });
}

void TrackingClients::publish_counts() {
  WorkerBoard& board = worker_.process().board(worker_.index());
  board.tracked_keys.store(table_.keys(), std::memory_order_relaxed);
  board.tracked_items.store(table_.items(), std::memory_order_relaxed);
}

}  // namespace corral::core

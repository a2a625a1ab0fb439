#include "proxy/core/tracking_feeds.h"

#include <algorithm>
#include <optional>

#include "proxy/core/command_names.h"
#include "proxy/core/session.h"
#include "proxy/core/tracking_clients.h"
#include "proxy/core/ttl_piece.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr uint32_t kNarrowAfterMs = 10'000;
constexpr size_t kSpareTimes = 2, kSpare = 64;  // prefixes that nobody needs any more are kept, up to so many

bool covers(const std::vector<std::string>& cover, std::string_view prefix) {
  return std::any_of(cover.begin(), cover.end(), [&](const std::string& one) { return prefix.starts_with(one); });
}

// CLIENT TRACKING ON for a cover, or for what has been added to it.
class CoverPiece final : public Piece {
 public:
  CoverPiece(Worker& worker, const Link& link, uint64_t cover, bool whole)
      : worker_(worker), node_(link.node()), kind_(link.kind()), cover_(cover), whole_(whole) {}

  void begin() override { taken_ = 0; }
  bool take(std::string_view reply) override {
    if (reply[0] == '-' && error_.empty()) error_ = reply;
    verdict_ = reply;
    return ++taken_ == (whole_ ? 4u : 1u);  // MULTI, OFF, ON, EXEC; or ON
  }
  std::string_view verdict() override { return verdict_; }
  void on_reply(uint32_t, std::string_view reply) override {
    for (const auto& element : resp::ReplyView(reply).elements()) {
      if (element.is_error()) error_ = element.bytes();
    }
    if (error_.empty() && reply[0] == '-') error_ = reply;
    worker_.tracking().feeds().on_confirmed(node_, kind_, cover_, whole_, error_);
    delete this;
  }

 private:
  Worker& worker_;
  const NodeId node_;
  const LinkKind kind_;
  const uint64_t cover_;
  const bool whole_;
  uint32_t taken_ = 0;
  std::string error_, verdict_;
};

void append_tracking_on(std::string& out, const std::vector<std::string>& prefixes, std::string_view target) {
  std::vector<std::string_view> words = {"CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP"};
  if (!target.empty()) words.insert(words.end(), {"REDIRECT", target});
  for (const std::string& prefix : prefixes) words.insert(words.end(), {"PREFIX", prefix});
  resp::append_command(out, words);
}

}  // namespace

std::vector<std::string> minimal_cover(std::vector<std::string> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<std::string> cover;
  for (std::string& prefix : prefixes) {
    if (cover.empty() || !prefix.starts_with(cover.back())) cover.push_back(std::move(prefix));
  }
  return cover;
}

// --- clients ---

void TrackingFeeds::join(Session& session, const Request& whole) {
  sessions_[session.id()] = &session;
  SessionTracking& tracking = *session.tracking();
  if (widen(tracking.options().prefixes)) ++cover_number_;
  tracking.cover = cover_number_;
  tracking.waiting = whole;
  ask_masters();
  confirm();
}

void TrackingFeeds::leave(const Session& session) {
  if (sessions_.erase(session.id()) > 0) drop_unused();
}

// False: the cover is wide enough.
bool TrackingFeeds::widen(const std::set<std::string, std::less<>>& prefixes) {
  std::vector<std::string> missing;
  for (const std::string& prefix : prefixes) {
    if (!covers(cover_, prefix)) missing.push_back(prefix);
  }
  if (missing.empty()) return false;
  const size_t before = cover_.size();
  cover_.insert(cover_.end(), missing.begin(), missing.end());
  cover_ = minimal_cover(std::move(cover_));
  added_ = minimal_cover(std::move(missing));
  if (cover_.size() != before + added_.size()) added_.clear();  // a new one is the beginning of an old one
  return true;
}

// Nodes tell more than anybody wants to hear: a prefix that has gone is given up if it is the beginning of another
// one, or if there are many. That makes a gap, so it is not done for each client that goes.
void TrackingFeeds::narrow() {
  std::vector<std::string> wanted;
  for (const auto& [id, session] : sessions_) {
    const auto& prefixes = session->tracking()->options().prefixes;
    wanted.insert(wanted.end(), prefixes.begin(), prefixes.end());
  }
  wanted = minimal_cover(std::move(wanted));
  const bool too_wide = std::any_of(wanted.begin(), wanted.end(), [&](const std::string& prefix) {
    return !std::binary_search(cover_.begin(), cover_.end(), prefix);
  });
  if (!too_wide && cover_.size() <= wanted.size() * kSpareTimes + kSpare) return;
  cover_ = std::move(wanted);
  added_.clear();
  ++cover_number_;
}

std::set<LinkKind> TrackingFeeds::feeds_in_use() const {
  std::set<LinkKind> feeds;
  for (const auto& [id, session] : sessions_) feeds.insert(session->tracking()->feed);
  return feeds;
}

// --- masters ---

void TrackingFeeds::ask_masters() {
  for (const LinkKind feed : feeds_in_use()) {
    for (const auto& master : worker_.map().masters) {
      State& state = states_[{feed, master.id}];
      if (state.asked == cover_number_) continue;
      if (Link* link = worker_.usable_link(master.id, feed)) ask(*link, state);
    }
  }
}

void TrackingFeeds::ask(Link& link, State& state) {
  const std::string_view target = link.kind().redirects() ? worker_.tracking().targets().id_for(link) : "";
  if (link.kind().redirects() && target.empty()) return;  // it is being connected
  const bool whole = added_.empty() || state.asked + 1 != cover_number_;
  std::string bytes;
  if (whole) {
    bytes = kMultiFrame;
    resp::append_command(bytes, {"CLIENT", "TRACKING", "OFF"});
    append_tracking_on(bytes, cover_, target);
    bytes += kExecFrame;
  } else {
    append_tracking_on(bytes, added_, target);
  }
  Request request;
  request.task = new CoverPiece(worker_, link, cover_number_, whole);
  request.flags = kPiece | kNodeBound | kReadOnly;
  state.asked = cover_number_;
  link.send(request, bytes);
}

void TrackingFeeds::drop_unused() {
  const auto in_use = feeds_in_use();
  std::erase_if(states_, [&](const auto& one) {
    const auto [feed, node] = one.first;
    if (in_use.contains(feed)) return false;
    Link* link = worker_.find_link(node, feed);
    if (!link || !link->ready()) return true;
    std::string bytes;
    resp::append_command(bytes, {"CLIENT", "TRACKING", "OFF"});
    Request request;
    request.flags = kDiscard | kNodeBound | kReadOnly;
    link->send(request, bytes);
    return true;
  });
  if (sessions_.empty()) {
    cover_.clear();
    ++cover_number_;
  }
}

void TrackingFeeds::on_confirmed(NodeId node, LinkKind feed, uint64_t cover, bool whole, std::string_view error) {
  const auto it = states_.find({feed, node});
  if (it == states_.end()) return;
  if (!error.empty()) {
    it->second = {};
    refusal_ = error.substr(1, error.find('\r') - 1);
    return;
  }
  it->second.has = cover;
  if (whole) tell(feed, {}, 0);
  confirm();
}

bool TrackingFeeds::in_force(LinkKind feed, uint64_t cover) const {
  const auto& masters = worker_.map().masters;
  return !masters.empty() && std::all_of(masters.begin(), masters.end(), [&](const auto& master) {
    const auto it = states_.find({feed, master.id});
    return it != states_.end() && it->second.has >= cover;
  });
}

// Answers those who wait for what is in force now.
void TrackingFeeds::confirm() {
  std::vector<Session*> confirmed;
  for (const auto& [id, session] : sessions_) {
    const SessionTracking& tracking = *session->tracking();
    if (tracking.waiting && in_force(tracking.feed, tracking.cover)) confirmed.push_back(session);
  }
  for (Session* session : confirmed) {
    SessionTracking& tracking = *session->tracking();
    const Request whole = *std::exchange(tracking.waiting, std::nullopt);
    tracking.established = true;
    worker_.tracking().answer(whole, resp::kOk);
    if (session->tracks()) tracking.tell_what_was_missed();
    if (session->tracks() && std::exchange(tracking.moved, false)) tracking.tell({});
  }
}

void TrackingFeeds::give_up(uint64_t id) {
  Session* session = sessions_.at(id);
  const Request whole = *std::exchange(session->tracking()->waiting, std::nullopt);
  worker_.tracking().leave(*session);
  worker_.tracking().answer(whole, "-CLUSTERDOWN a master does not tell what changes" +
                                       (refusal_.empty() ? "" : " (" + refusal_ + ")") + "\r\n");
}

// --- telling ---

// As Redis does, a client gets a message for each of its prefixes.
void TrackingFeeds::tell(LinkKind feed, const std::vector<std::string_view>& keys, uint64_t except) {
  std::map<std::string_view, std::string> by_prefix;  // what begins with it
  const auto matching = [&](const std::string& prefix) -> const std::string& {
    const auto [it, is_new] = by_prefix.try_emplace(prefix);
    if (!is_new) return it->second;
    std::vector<std::string_view> found;
    std::copy_if(keys.begin(), keys.end(), std::back_inserter(found),
                 [&](std::string_view key) { return key.starts_with(prefix); });
    if (!found.empty()) it->second = tracked_keys(found);
    return it->second;
  };
  std::vector<std::pair<Session*, std::vector<std::string>>> told;
  for (const auto& [id, session] : sessions_) {
    const SessionTracking& tracking = *session->tracking();
    if (tracking.feed != feed || !tracking.established || id == except) continue;
    std::vector<std::string> messages;
    if (keys.empty()) messages.emplace_back();
    for (const std::string& prefix : tracking.options().prefixes) {
      if (!keys.empty() && !matching(prefix).empty()) messages.push_back(matching(prefix));
    }
    if (!messages.empty()) told.emplace_back(session, std::move(messages));
  }
  for (const auto& [session, messages] : told) {
    for (const std::string& message : messages) {
      if (session->tracks()) session->tracking()->tell(message);
    }
  }
}

void TrackingFeeds::on_link_lost(NodeId node, LinkKind feed) {
  const auto it = states_.find({feed, node});
  if (it == states_.end()) return;
  it->second = {};
  tell(feed, {}, 0);
}

void TrackingFeeds::on_new_map(bool moved) {
  if (sessions_.empty()) return;
  if (moved) {
    for (const LinkKind feed : feeds_in_use()) tell(feed, {}, 0);
  }
  ask_masters();
  confirm();
}

void TrackingFeeds::tick() {
  if (sessions_.empty()) return;
  if (worker_.now_ms() - narrowed_ms_ >= kNarrowAfterMs) {
    narrowed_ms_ = worker_.now_ms();
    narrow();
  }
  ask_masters();
  std::vector<uint64_t> late;
  for (const auto& [id, session] : sessions_) {
    const auto& waiting = session->tracking()->waiting;
    if (waiting && worker_.now_ms() - waiting->since_ms > worker_.settings().upstream.request_timeout_ms) {
      late.push_back(id);
    }
  }
  for (const uint64_t id : late) give_up(id);
}

}  // namespace corral::core

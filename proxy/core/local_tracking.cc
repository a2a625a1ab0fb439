// CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO, with the checks of Redis and in their order. What they do is in
// tracking_clients.h.
// Source: https://redis.io/commands/client-tracking; Redis 7.0, networking.c and tracking.c.
#include <algorithm>

#include "proxy/core/local.h"
#include "proxy/core/tracking_clients.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

constexpr std::string_view kSyntaxError = "ERR syntax error";
constexpr std::string_view kNoTarget = "ERR The client ID you want redirect to does not exist";

struct Wanted {
  bool on = false;
  TrackingOptions options;
  std::vector<std::string> prefixes;  // as they were given
  bool redirects = false;
  std::string error;  // of an option behind REDIRECT comes after what is wrong with that
};

// Empty where it is right; else what Redis says of the first thing that is wrong.
std::string parse_option(const Command& command, size_t& i, Wanted& wanted) {
  const std::string_view word = command.arg(i);
  const bool more = i + 1 < command.argc();
  if (same_word(word, "REDIRECT") && more) {
    if (wanted.redirects) return "ERR A client can only redirect to a single other client";
    const auto id = resp::parse_decimal(command.arg(++i));
    if (!id) return "ERR value is not an integer or out of range";
    if (*id <= 0) return std::string(kNoTarget);
    wanted.redirects = true;
    wanted.options.redirect = static_cast<uint64_t>(*id);
  } else if (same_word(word, "BCAST")) {
    wanted.options.broadcast = true;
  } else if (same_word(word, "OPTIN")) {
    wanted.options.opt_in = true;
  } else if (same_word(word, "OPTOUT")) {
    wanted.options.opt_out = true;
  } else if (same_word(word, "NOLOOP")) {
    wanted.options.no_loop = true;
  } else if (same_word(word, "PREFIX") && more) {
    wanted.prefixes.emplace_back(command.arg(++i));
  } else {
    return std::string(kSyntaxError);
  }
  return {};
}

Wanted parse(const Command& command) {
  Wanted wanted;
  for (size_t i = 3; i < command.argc() && wanted.error.empty(); ++i) {
    wanted.error = parse_option(command, i, wanted);
  }
  wanted.on = same_word(command.arg(2), "ON");
  if (wanted.error.empty() && !wanted.on && !same_word(command.arg(2), "OFF")) wanted.error = kSyntaxError;
  return wanted;
}

bool overlap(std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); }

// In order of the alphabet the beginning of another one stands right before one that begins so.
std::string check_prefixes(const Session& session, const std::vector<std::string>& prefixes) {
  constexpr std::string_view kEnd = "'. Prefixes for a single client must not overlap.";
  const auto& settings = session.worker().settings();
  std::vector<std::pair<std::string_view, bool>> all;  // true: has been given now
  for (const std::string& prefix : prefixes) all.emplace_back(prefix, true);
  if (session.tracks()) {
    for (const std::string& own : session.tracking()->options().prefixes) all.emplace_back(own, false);
  }
  if (all.size() > settings.limits.subscriptions) {
    return "ERR too many prefixes, a client may have " + std::to_string(settings.limits.subscriptions);
  }
  std::ranges::sort(all);
  for (size_t i = 1; i < all.size(); ++i) {
    const auto& [first, first_is_new] = all[i - 1];
    const auto& [second, second_is_new] = all[i];
    if (!overlap(first, second) || !(first_is_new || second_is_new)) continue;
    const bool both = first_is_new && second_is_new;
    const std::string_view given = first_is_new ? first : second, other = first_is_new ? second : first;
    return "ERR Prefix '" + std::string(given) + "' overlaps with " +
           (both ? "another provided prefix '" : "an existing prefix '") + std::string(other) + std::string(kEnd);
  }
  return {};
}

// Whether the options go together, and with what the client has chosen before.
std::string check(const Session& session, const Wanted& wanted) {
  const TrackingOptions& options = wanted.options;
  const SessionTracking* now = session.tracking();
  if (!options.broadcast && !wanted.prefixes.empty()) return "ERR PREFIX option requires BCAST mode to be enabled";
  if (now && now->options().broadcast != options.broadcast) {
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it "
           "with a different mode.";
  }
  if (options.broadcast && (options.opt_in || options.opt_out)) {
    return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  }
  if (options.opt_in && options.opt_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if (now && ((options.opt_in && now->options().opt_out) || (options.opt_out && now->options().opt_in))) {
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it "
           "with a different mode.";
  }
  return options.broadcast ? check_prefixes(session, wanted.prefixes) : std::string();
}

void refuse(Worker& worker, const Request& whole, std::string_view text) {
  std::string reply;
  worker.note_error(text);
  resp::append_error(reply, text);
  worker.tracking().answer(whole, reply);
}

void apply(Session& session, Wanted wanted, const Request& whole) {
  Worker& worker = session.worker();
  if (!session.open()) return worker.answer(whole, {});
  if (wanted.error.empty() && wanted.on) wanted.error = check(session, wanted);
  if (!wanted.error.empty()) return refuse(worker, whole, wanted.error);
  if (!wanted.on) {
    worker.tracking().leave(session);
    return worker.tracking().answer(whole, resp::kOk);
  }
  TrackingOptions& options = wanted.options;
  if (session.tracks()) options.prefixes = session.tracking()->options().prefixes;
  options.prefixes.insert(wanted.prefixes.begin(), wanted.prefixes.end());
  if (options.broadcast && wanted.prefixes.empty()) options.prefixes.emplace();
  worker.tracking().join(session, std::move(options), whole);
}

}  // namespace

// The session waits, until it is known which worker has the client to redirect to, and until the nodes tell.
void local_client_tracking(Session& session, const Command& command) {
  Wanted wanted = parse(command);
  Worker& home = session.worker();
  const Request whole = session.request_for_reply(kNoSlot, 0);
  if (!whole.task) session.pause(Session::kWalk);
  if (!wanted.redirects) return apply(session, std::move(wanted), whole);
  ask_all_workers<int>(
      home, [id = wanted.options.redirect](Worker& worker) { return worker.find_session(id) != nullptr; },
      [&session, whole, wanted](const std::vector<int>& found) {
        const auto it = std::find(found.begin(), found.end(), 1);
        if (it == found.end()) return refuse(session.worker(), whole, kNoTarget);
        Wanted known = wanted;
        known.options.redirect_worker = static_cast<uint32_t>(it - found.begin());
        apply(session, std::move(known), whole);
      });
}

void local_client_caching(Session& session, const Command& command) {
  SessionTracking* tracking = session.tracking();
  if (!tracking) {
    return session.reply_error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled");
  }
  const bool yes = same_word(command.arg(2), "YES");
  if (!yes && !same_word(command.arg(2), "NO")) return session.reply_error(kSyntaxError);
  if (yes && !tracking->options().opt_in) {
    return session.reply_error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  }
  if (!yes && !tracking->options().opt_out) {
    return session.reply_error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  }
  if (!session.has_sink()) tracking->set_caching();
  session.reply(resp::kOk);
}

void local_client_getredir(Session& session, const Command&) {
  std::string out;
  resp::append_integer(out, session.tracks() ? static_cast<int64_t>(session.tracking()->options().redirect) : -1);
  session.reply(out);
}

void local_client_trackinginfo(Session& session, const Command&) {
  static const TrackingOptions kNone;
  const SessionTracking* tracking = session.tracking();
  const TrackingOptions& options = tracking ? tracking->options() : kNone;
  std::vector<std::string_view> flags = {tracking ? "on" : "off"};
  if (options.broadcast) flags.push_back("bcast");
  if (options.opt_in) flags.push_back("optin");
  if (options.opt_in && tracking->caching()) flags.push_back("caching-yes");
  if (options.opt_out) flags.push_back("optout");
  if (options.opt_out && tracking->caching()) flags.push_back("caching-no");
  if (options.no_loop) flags.push_back("noloop");
  if (tracking && tracking->broken()) flags.push_back("broken_redirect");
  std::string out;
  resp::append_map(out, 3, session.resp());
  resp::append_bulk(out, "flags");
  resp::append_set(out, flags.size(), session.resp());
  for (const std::string_view flag : flags) resp::append_bulk(out, flag);
  resp::append_bulk(out, "redirect");
  resp::append_integer(out, tracking ? static_cast<int64_t>(options.redirect) : -1);
  resp::append_bulk(out, "prefixes");
  resp::append_array(out, options.prefixes.size());
  for (const std::string& prefix : options.prefixes) resp::append_bulk(out, prefix);
  session.reply(out);
}

}  // namespace corral::core

// CORRAL: what the proxy says of itself.
#include "proxy/core/local.h"
#include "proxy/core/policies.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

std::string text_of(const config::Address& address) { return address.host + ':' + std::to_string(address.port); }

// "0-5460 5500" of the slots that `node` owns.
std::string slot_ranges(const SlotMap& map, NodeId node) {
  std::string text;
  for (uint32_t slot = 0; slot < resp::kSlots; ++slot) {
    if (map.owner[slot] != node) continue;
    const uint32_t first = slot;
    while (slot + 1 < resp::kSlots && map.owner[slot + 1] == node) ++slot;
    text += ' ' + std::to_string(first);
    if (slot > first) text += '-' + std::to_string(slot);
  }
  return text;
}

}  // namespace

void append_count(std::string& out, std::string_view name, uint64_t value) {
  resp::append_bulk(out, name);
  resp::append_integer(out, static_cast<int64_t>(value));
}

void local_corral_help(Session& session, const Command&) {
  reply_help(session, "CORRAL",
             {"STATS",
              "    Return the proxy's counters, by name.",
              "TOPOLOGY",
              "    Return the masters that own slots, and the slots that nobody owns.",
              "RULES",
              "    Return the rules in their order: name, globs, and what each does to its keys.",
              "RULE <key>",
              "    Return the rule that applies to a key, if one does.",
              "RELOAD",
              "    Load the settings again; rules, guard and log level take effect at once, or nothing does.",
              "CACHE STATS",
              "    Return what the near cache holds and has done, also by rule.",
              "CACHE PURGE <glob>",
              "    Drop the keys that match from the near cache, and return how many there were.",
              "CACHE NARROW",
              "    Let reads of most keys pass by the near cache, until it finds that reads are repeated.",
              "CACHE WIDEN",
              "    Look for all keys in it again, until it finds hardly any.",
              "LEASES",
              "    Return the leases that are out, and what the leases of each rule have done.",
              "HOTKEYS [<count>]",
              "    Return the keys that are read the most and how often a second, the hottest first.",
              "BIGKEYS [<count>]",
              "    Return the largest values and collections seen within the last hour, the largest first.",
              "SLOWLOG GET [<count>] | LEN | RESET",
              "    Return the slow requests, the newest first, and where their time went; or how many; or forget them.",
              "HELP",
              "    Print this help."});
}

void local_corral_stats(Session& session, const Command&) {
  const Process& process = session.worker().process();
  const auto totals = process.totals();
  std::string out;
  resp::append_map(out, totals.size() + 1, session.resp());
  resp::append_bulk(out, "clients");
  resp::append_integer(out, process.clients());
  for (const auto& [name, value] : totals) {
    resp::append_bulk(out, name);
    resp::append_integer(out, static_cast<int64_t>(value));
  }
  session.reply(out);
}

void local_corral_topology(Session& session, const Command&) {
  Worker& worker = session.worker();
  const SlotMap& map = worker.map();
  std::string text = "version " + std::to_string(map.version) + '\n';
  for (const auto& master : map.masters) {
    text += (master.name.empty() ? "?" : master.name) + ' ' + text_of(worker.process().node_address(master.id)) +
            " master " + std::to_string(master.slots) + " slots:" + slot_ranges(map, master.id) + '\n';
  }
  if (const std::string unowned = slot_ranges(map, kNoNode); !unowned.empty())
    text += "unowned slots:" + unowned + '\n';
  std::string out;
  resp::append_verbatim(out, text, session.resp());
  session.reply(out);
}

void local_corral_rules(Session& session, const Command&) {
  const auto rules = session.worker().policies().rules.rules();
  std::string out;
  resp::append_array(out, rules.size());
  for (const policy::Rule& rule : rules) resp::append_bulk(out, describe_rule(rule));
  session.reply(out);
}

void local_corral_rule(Session& session, const Command& command) {
  const policy::Rule* rule = session.worker().policies().rules.find(command.arg(2));
  std::string out;
  rule ? resp::append_bulk(out, describe_rule(*rule)) : resp::append_null(out, session.resp());
  session.reply(out);
}

// What comes behind it on the connection waits, so that it is judged by what was loaded.
void local_corral_reload(Session& session, const Command&) {
  const bool waits = !session.has_sink();
  if (waits) session.pause(Session::kWalk);
  const Request whole = session.request_for_reply(kNoSlot, 0);
  Worker& worker = session.worker();
  worker.transport().reload([&worker, whole, waits](const std::string& error) {
    if (waits) whole.session->resume(Session::kWalk);
    if (error.empty()) return worker.answer(whole, resp::kOk);
    const std::string text = "ERR " + error;
    worker.note_error(text);
    std::string reply;
    resp::append_error(reply, text);
    worker.answer(whole, reply);
  });
}

}  // namespace corral::core

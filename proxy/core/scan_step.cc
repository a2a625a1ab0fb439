#include "proxy/core/scan_step.h"

#include <algorithm>
#include <charconv>

#include "policy/glob.h"
#include "proxy/core/lease_fleet.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/ascii.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::ReplyView;

namespace {

constexpr uint32_t kRetryMs = 50;
constexpr size_t kSlotsAtOnce = 16;  // listed again in one step
constexpr uint32_t kNodesPart = 0, kScanPart = 1;
constexpr std::string_view kAllKeysOfSlot = "10000000";

// Errors that say something about the node's state and not about the command.
bool is_passing(std::string_view error) {
  for (const std::string_view code : {"-CLUSTERDOWN", "-LOADING", "-MASTERDOWN", "-INDOUBT", "-TRYAGAIN"}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

uint32_t number(std::string_view digits) {
  uint32_t value = resp::kSlots;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> result;
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find(' ', at), line.size());
    if (end > at) result.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

}  // namespace

ScanStep::ScanStep(Session& session, std::vector<std::string> options, Done done)
    : session_(session),
      worker_(session.worker()),
      options_(std::move(options)),
      done_(std::move(done)),
      started_ms_(session.worker().now_ms()) {}

void ScanStep::start(Session& session, uint64_t cursor, std::vector<std::string> options, Done done) {
  auto* step = new ScanStep(session, std::move(options), std::move(done));
  session.add_reference();
  const int64_t now_us = step->worker_.transport().wall_clock_us();
  const auto decoded = ScanCursor::decode(cursor, now_us);
  const int64_t known_since_us = ScanCursor::begin(step->worker_.process().touched_known_since_us()).began_us;
  // A scan that began before this process knows of moved slots cannot be finished without a gap: it begins anew.
  step->cursor_ = decoded && decoded->began_us >= known_since_us ? *decoded : ScanCursor::begin(now_us);
  step->run();
}

void ScanStep::run() {
  failed_ = false;
  if (cursor_.tag == ScanCursor::kRelist && !worker_.one_owner()) return relist(Phase::kRelist);
  const auto stops = scan_order(worker_.map().masters);
  if (stops.empty()) {
    worker_.refresh_topology();
    return retry_later("-CLUSTERDOWN no master of the cluster is known\r\n");
  }
  if (worker_.one_owner()) return scan_only(stops[0]);
  // A master that is gone: what it had has moved and is listed again at the end.
  auto stop = std::find_if(stops.begin(), stops.end(), [this](const ScanStop& s) { return s.tag >= cursor_.tag; });
  if (stop == stops.end()) return begin_relist();
  if (stop->tag != cursor_.tag) cursor_.position = 0;
  cursor_.tag = stop->tag;
  scan_node(stop->node);
}

// No slots move. A cursor of another master, as after a failover, says nothing of this one, which is scanned from its
// start.
void ScanStep::scan_only(const ScanStop& stop) {
  if (cursor_.tag != stop.tag) cursor_.position = 0;
  cursor_.tag = stop.tag;
  scan_node(stop.node);
}

void ScanStep::retry_later(std::string_view error) {
  if (worker_.now_ms() - started_ms_ > worker_.settings().upstream.request_timeout_ms || !session_.open()) {
    result_.error = error;
    worker_.after(0, [this] { finish(); });
    return;
  }
  worker_.after(kRetryMs, [this] { run(); });
}

void ScanStep::send(NodeId node, uint32_t part, std::string_view bytes) {
  Request request;
  request.session = &session_;
  request.task = this;
  request.ticket = part;
  request.flags = kReadOnly;
  request.since_ms = started_ms_;
  session_.add_reference();
  worker_.send_to_node(request, node, bytes);
}

void ScanStep::scan_node(NodeId node) {
  phase_ = Phase::kScan;
  scanned_ = node;
  awaited_ = 1;
  const std::string position = std::to_string(cursor_.position);
  std::vector<std::string_view> args = {"SCAN", position};
  args.insert(args.end(), options_.begin(), options_.end());
  std::string nodes, scan;
  resp::append_command(nodes, {"CLUSTER", "NODES"});
  resp::append_command(scan, args);
  if (!worker_.one_owner()) {
    ++awaited_;
    send(node, kNodesPart, nodes);
  }
  send(node, kScanPart, scan);
}

void ScanStep::on_reply(uint32_t part, std::string_view bytes) {
  const ReplyView reply(bytes);
  if (reply.is_error()) {
    if (!is_passing(bytes)) result_.error = bytes;
    failed_ = true;
    failure_ = bytes;
  } else if (phase_ == Phase::kScan) {
    part == kScanPart ? on_scan_reply(bytes) : note_own_slots(scanned_, reply.text());
  } else if (phase_ != Phase::kTypes) {
    for (const ReplyView& key : reply.elements()) add_key(key.text());
  } else if (reply.text() != option("TYPE")) {
    result_.keys[part].clear();
  }
  if (--awaited_ > 0) return;
  if (!result_.error.empty()) return finish();
  if (failed_) {
    result_.keys.clear();
    return retry_later(failure_);
  }
  switch (phase_) {
    case Phase::kScan:
      return cursor_.position != 0 ? finish() : go_to_next_master();
    case Phase::kRelist:
      return relist(Phase::kRelistAgain);
    case Phase::kRelistAgain:
      return filter();
    case Phase::kTypes:
      std::erase_if(result_.keys, [](const std::string& key) { return key.empty(); });
      return finish_relist();
  }
}

void ScanStep::on_scan_reply(std::string_view bytes) {
  const auto parts = ReplyView(bytes).elements();
  const auto position = parts.size() == 2 ? parts[0].integer() : std::nullopt;
  if (!position || *position < 0 || static_cast<uint64_t>(*position) > ScanCursor::kMaxPosition) {
    result_.error = "-ERR a node's SCAN cursor is larger than this proxy can pass on\r\n";
    return;
  }
  cursor_.position = static_cast<uint32_t>(*position);
  for (const ReplyView& key : parts[1].elements()) add_key(key.text());
}

// Corral's own keys are nobody's.
void ScanStep::add_key(std::string_view key) {
  if (!is_lease_key(key)) result_.keys.emplace_back(key);
}

void ScanStep::go_to_next_master() {
  if (worker_.one_owner()) {
    cursor_ = {};
    return finish();
  }
  const auto stops = scan_order(worker_.map().masters);
  const auto next = std::find_if(stops.begin(), stops.end(), [this](const ScanStop& s) { return s.tag > cursor_.tag; });
  if (next == stops.end()) return begin_relist();
  cursor_.tag = next->tag;
  finish();
}

// Its own line: name address flags master ping pong epoch state slots..., where a slot is "7", "7-9" or, on its way,
// "[7->-target]" or "[7-<-source]".
void ScanStep::note_own_slots(NodeId node, std::string_view nodes_text) {
  const size_t myself = nodes_text.find("myself");
  if (myself == std::string_view::npos) return;
  const auto line = words(nodes_text.substr(myself, nodes_text.find_first_of("\r\n", myself) - myself));
  std::vector<bool> owned(resp::kSlots, false), open(resp::kSlots, false);
  for (size_t i = 6; i < line.size(); ++i) {
    const std::string_view word = line[i];
    if (word[0] == '[') {
      if (const uint32_t slot = number(word.substr(1)); slot < resp::kSlots) open[slot] = true;
      continue;
    }
    const size_t dash = word.find('-');
    const uint32_t first = number(word.substr(0, dash));
    const uint32_t last = dash == std::string_view::npos ? first : number(word.substr(dash + 1));
    for (uint32_t slot = first; slot <= last && slot < resp::kSlots; ++slot) owned[slot] = true;
  }
  const int64_t now_us = worker_.transport().wall_clock_us();
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) {
    const bool as_known = owned[slot] == (worker_.map().owner[slot] == node);
    if (!as_known || open[slot]) worker_.process().note_open_slot(slot, now_us);
  }
}

void ScanStep::begin_relist() {
  cursor_.tag = ScanCursor::kRelist;
  cursor_.position = 0;
  if (worker_.process().slots_touched_since(cursor_.began_us).empty()) cursor_ = {};
  finish();
}

// Lists the next few moved slots on every master, since those of an unfinished move have keys on two; and once more,
// since a key may move from a master not yet asked to one that was.
void ScanStep::relist(Phase phase) {
  phase_ = phase;
  auto slots = worker_.process().slots_touched_since(cursor_.began_us);
  std::erase_if(slots, [this](uint16_t slot) { return slot < cursor_.position; });
  const bool all = slots.size() <= kSlotsAtOnce;
  if (!all) slots.resize(kSlotsAtOnce);
  const auto masters = worker_.map().masters;
  awaited_ = static_cast<uint32_t>(masters.size() * slots.size());
  relisted_all_ = all;
  relisted_to_ = slots.empty() ? 0 : slots.back() + 1u;
  if (awaited_ == 0) {
    cursor_ = {};
    worker_.after(0, [this] { finish(); });
    return;
  }
  for (const auto& master : masters) {
    for (const uint16_t slot : slots) {
      std::string bytes;
      resp::append_command(bytes, {"CLUSTER", "GETKEYSINSLOT", std::to_string(slot), kAllKeysOfSlot});
      send(master.id, 0, bytes);
    }
  }
}

// MATCH and TYPE, which the nodes do not apply to GETKEYSINSLOT.
void ScanStep::filter() {
  auto& keys = result_.keys;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const std::string_view pattern = option("MATCH");
  if (!pattern.empty()) std::erase_if(keys, [&](const std::string& key) { return !policy::glob_match(pattern, key); });
  if (option("TYPE").empty() || keys.empty()) return finish_relist();
  ask_types();
}

void ScanStep::finish_relist() {
  cursor_.position = relisted_to_;
  if (relisted_all_) cursor_ = {};
  finish();
}

void ScanStep::ask_types() {
  phase_ = Phase::kTypes;
  awaited_ = static_cast<uint32_t>(result_.keys.size());
  for (uint32_t i = 0; i < result_.keys.size(); ++i) {
    std::string bytes;
    resp::append_command(bytes, {"TYPE", result_.keys[i]});
    Request request;
    request.session = &session_;
    request.task = this;
    request.ticket = i;
    request.slot = worker_.slot_of(result_.keys[i]);
    request.flags = kReadOnly;
    request.since_ms = worker_.now_ms();
    if (session_.tracks()) request.tracked = Tracked::kSeen;
    session_.add_reference();
    worker_.send(request, bytes);
  }
}

std::string_view ScanStep::option(std::string_view name) const {
  for (size_t i = 0; i + 1 < options_.size(); i += 2) {
    if (resp::same_word(options_[i], name)) return options_[i + 1];
  }
  return {};
}

void ScanStep::finish() {
  result_.cursor = cursor_.tag == 0 ? 0 : cursor_.encode();
  done_(std::move(result_));
  session_.release();
  delete this;
}

}  // namespace corral::core

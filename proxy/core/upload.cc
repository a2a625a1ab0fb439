#include "proxy/core/upload.h"

#include <algorithm>
#include <utility>

#include "proxy/core/near.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"
#include "resp/slot.h"

namespace corral::core {

using resp::CommandSpec;
using resp::RefusalKind;

namespace {

constexpr uint32_t kUploadBytes = 4u << 20;  // an argument that is larger makes its request an upload
constexpr std::string_view kQueued = "+QUEUED\r\n";

// Null if it is not one whose key is known from its first arguments.
const CommandSpec* spec_of(const resp::RequestScanner::Head& head) {
  const resp::Command& command = head.command;
  const CommandSpec* spec = command.argc() > 0 ? resp::find_command(command.arg(0)) : nullptr;
  if (spec && !spec->subcommands.empty()) return nullptr;
  const bool fits = spec && spec->handling == resp::Handling::kForward && spec->arity_fits(head.declared);
  return fits && spec->only_key != 0 && spec->only_key < command.argc() ? spec : nullptr;
}

// Whatever its options may still be.
bool may_send(const Session& session, const resp::Command& command, const CommandSpec& spec) {
  return session.unrestricted() || session.user().may_use(spec, command, spec.only_key, spec.keys[0].flags);
}

Request request_for(Session& session, const PartialInput& input) {
  const auto head = input.scanner.head(input.bytes.data());
  const CommandSpec* spec = spec_of(head);
  session.begin_command(spec);
  if (Near* near = session.worker().near(); near && near->on()) near->touches().begin(session, head.command, *spec);
  return session.request_for_reply(session.worker().slot_of(head.command.arg(spec->only_key)), kMayWait | kNodeBound);
}

}  // namespace

bool Upload::suits(Session& session, const PartialInput& input) {
  if (input.scanner.partial().declared < kUploadBytes || session.modes() != 0) return false;
  const auto head = input.scanner.head(input.bytes.data());
  const CommandSpec* spec = spec_of(head);
  return spec && may_send(session, head.command, *spec) && !session.worker().policies().guard.denies(*spec);
}

Upload::Upload(Session& session, const PartialInput& input)
    : session_(session),
      whole_(request_for(session, input)),
      stream_(input.scanner, input.bytes.data(), input.bytes.size(), session.worker().request_limits()),
      follow_ups_(session.worker(), session.database()) {
  const auto head = input.scanner.head(input.bytes.data());
  const CommandSpec& spec = *spec_of(head);
  resp::append_command(probe_, {"EXISTS", head.command.arg(spec.only_key)});
  if (may_be_ruled(session.worker(), spec)) {
    ttl_ = UploadTtl::of(session.worker(), input, spec);
    follow_ups_.add(head.command, spec);
  }
  prefix_ = ttl_ ? ttl_->begin(input) : input.bytes;
}

void Upload::start(Session& session, const PartialInput& input) {
  const auto head = input.scanner.head(input.bytes.data());
  const CommandSpec& spec = *spec_of(head);
  session.worker().seen_keys().on_large_argument(head.command.arg(spec.only_key), input.scanner.partial().declared,
                                                 spec);
  auto* upload = new Upload(session, input);
  session.worker().stats().requests.add();
  session.set_upload(upload);
  session.pause(Session::kUpload);
  upload->ask();
}

void Upload::ask() {
  Worker& worker = session_.worker();
  if (abandoned_) {
    delete this;
    return;
  }
  if (!session_.open()) return finish({});
  const NodeId node = target_ != kNoNode ? target_ : worker.map().owner[whole_.slot];
  if (node == kNoNode) return ask_later();
  if (!worker.health().admits(node)) return fail(worker.health().refusal(node, whole_.slot));
  link_ = worker.own_links().take(node, session_.own_link_kind());
  Request request = whole_;
  request.task = this;
  request.ticket = kProbePart;
  request.flags = kNodeBound | kReadOnly;
  session_.add_reference();
  target_ == kNoNode ? link_->send(request, probe_) : link_->send_asking(request, probe_);
}

void Upload::ask_later() {
  Worker& worker = session_.worker();
  if (worker.now_ms() - whole_.since_ms > worker.settings().upstream.request_timeout_ms || worker.stopping()) {
    return fail("-CLUSTERDOWN no reachable owner of slot " + std::to_string(whole_.slot) + "\r\n");
  }
  worker.refresh_topology();
  worker.after(std::min(500u, 5u << std::min(attempts_++, 7u)), [this] { ask(); });
}

void Upload::on_reply(uint32_t part, std::string_view reply) {
  if (!link_) return;  // it was dropped
  if (part == kProbePart) return on_probe(reply);
  if (part == kValuePart && reply == kQueued) return exec();
  const bool lost = reply.starts_with("-INDOUBT ") || reply.starts_with("-CLUSTERDOWN ");
  const RefusalKind refusal = resp::parse_refusal(reply).kind;
  if (lost && !sent_) {
    fail("-CLUSTERDOWN the connection to the node was lost before it had the whole request: nothing was stored\r\n");
  } else if (refusal == RefusalKind::kMoved || refusal == RefusalKind::kAsk) {
    session_.worker().refresh_topology();
    fail("-TRYAGAIN slot " + std::to_string(whole_.slot) + " moved while a large request was on its way\r\n");
  } else if (lost || !sent_ || (part == kValuePart && !follow_ups_.empty())) {
    fail(reply[0] == '-' ? reply : "-INDOUBT the node has answered before it had the whole request\r\n");
  } else {
    session_.worker().own_links().give(std::exchange(link_, nullptr));
    const auto elements = part == kExecPart ? resp::ReplyView(reply).elements() : std::vector<resp::ReplyView>();
    finish(elements.empty() ? reply : elements[0].bytes());
  }
}

void Upload::on_probe(std::string_view reply) {
  const resp::Refusal refusal = resp::parse_refusal(reply);
  if (refusal.kind == RefusalKind::kNone && session_.open()) return reply[0] == '-' ? fail(reply) : send();
  const bool redirected = refusal.kind == RefusalKind::kMoved || refusal.kind == RefusalKind::kAsk;
  const NodeId target = redirected ? session_.worker().redirect_target(*link_, refusal) : kNoNode;
  target_ = refusal.kind == RefusalKind::kAsk ? target : kNoNode;
  drop_link();
  ask_later();
}

void Upload::send() {
  state_ = State::kSending;
  if (target_ != kNoNode) announce(kAskingFrame);
  if (!follow_ups_.empty()) announce(kMultiFrame);
  Request request = whole_;
  request.task = this;
  request.ticket = kValuePart;
  session_.add_reference();
  link_->begin_feeding(request, this);
  const bool room = link_->feed(std::exchange(prefix_, {}));
  if (all_there_) return whole();
  if (room) session_.resume(Session::kUpload);
}

void Upload::announce(std::string_view frame) {
  Request request;
  request.flags = kDiscard;
  link_->begin_feeding(request, this);
  link_->feed(frame);
}

// The value is queued at the node. A connection that is lost before EXEC leaves nothing behind.
void Upload::exec() {
  Request request;
  request.flags = kDiscard;
  for (uint32_t i = 0; i < follow_ups_.count(); ++i) link_->send(request, follow_ups_.frame(i));
  request = whole_;
  request.task = this;
  request.ticket = kExecPart;
  request.flags = kNodeBound;
  session_.add_reference();
  link_->send(request, kExecFrame);
}

void Upload::on_room() {
  if (state_ == State::kSending) session_.resume(Session::kUpload);
}

size_t Upload::feed(std::string_view bytes) {
  const auto result = stream_.feed(bytes.data(), bytes.size());
  if (result.status == resp::ScanStatus::kError) {
    on_protocol_error();
    return bytes.size();
  }
  all_there_ = result.status == resp::ScanStatus::kFrame;
  const size_t used = all_there_ ? result.used : bytes.size();
  const std::string_view mine = ttl_ ? ttl_->pass(bytes.substr(0, used)) : bytes.substr(0, used);
  const std::string kept = ttl_ && all_there_ ? ttl_->end() : std::string();
  if (state_ == State::kAsking) {
    prefix_.append(mine).append(kept);
    if (all_there_) session_.set_upload(nullptr);
  } else if (state_ == State::kSending) {
    if (!link_->feed(mine)) session_.pause(Session::kUpload);
    if (!kept.empty()) link_->feed(kept);
    if (all_there_) whole();
  } else if (all_there_) {
    finish(error_);
  }
  return used;
}

void Upload::on_protocol_error() {
  session_.set_upload(nullptr);
  session_.worker().answer(whole_, {});
  session_.protocol_error(stream_.error());
  abandoned_ = state_ == State::kAsking && !link_;  // then a timer comes
  drop_link();
  if (!abandoned_) delete this;
}

void Upload::whole() {
  state_ = State::kAnswering;
  sent_ = true;
  link_->end_feeding();
  session_.set_upload(nullptr);
  session_.pause(Session::kUpload);
}

// What is left of the request is still to be read, if anything is.
void Upload::fail(std::string_view reply) {
  error_ = reply;
  drop_link();
  if (all_there_ || !session_.open()) return finish(error_);
  state_ = State::kDropping;
  session_.resume(Session::kUpload);
}

// While the owner is being asked, the answer (or a timer) finds that the client is gone.
void Upload::on_session_closed() {
  if (state_ == State::kAsking) return;
  drop_link();
  finish({});
}

void Upload::drop_link() {
  if (Link* link = std::exchange(link_, nullptr)) session_.worker().own_links().drop(link);
}

void Upload::finish(std::string_view reply) {
  const std::string last(reply);
  session_.set_upload(nullptr);
  session_.resume(Session::kUpload);
  session_.worker().answer(whole_, last);
  delete this;
}

}  // namespace corral::core

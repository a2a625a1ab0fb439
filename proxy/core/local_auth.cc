// AUTH and HELLO, with the replies of Redis 7.0. While too many wrong passwords of the user have come from the client's
// address (auth_throttle.h), an attempt waits; if it has waited for long, it is refused without a look at the password.
#include <algorithm>

#include "proxy/core/local.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/tracking_clients.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

constexpr uint64_t kLongestWaitMs = 5000;
constexpr std::string_view kNoPassword =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration "
    "is correct?";
constexpr std::string_view kTooManyWrong =
    "ERR too many wrong passwords have come from this address, so this one has not been looked at; try again later";
constexpr std::string_view kHelloBeforeAuth =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option "
    "can be used to authenticate the client and select the RESP protocol version at the same time";

std::string_view user_of_auth(const Command& command) { return command.argc() == 3 ? command.arg(1) : "default"; }

// HELLO may try several users: the longest wait of all counts.
uint32_t wait_ms(const Session& session, const Command& command, LocalFunction function) {
  const Access& access = session.worker().access();
  if (function == local_auth) return access.wait_ms(session, user_of_auth(command));
  uint32_t longest_ms = 0;
  for (size_t i = 2; i + 2 < command.argc(); ++i) {
    if (!same_word(command.arg(i), "AUTH")) continue;
    longest_ms = std::max(longest_ms, access.wait_ms(session, command.arg(i + 1)));
  }
  return longest_ms;
}

// Comes back to the command when it may be looked at. The client is not read from meanwhile.
class LaterAttempt final : public Task {
 public:
  static void start(Session& session, const Command& command, LocalFunction function) {
    auto* task = new LaterAttempt(session, command, function);
    session.pause(Session::kAuth);
    task->wait();
  }

  void on_reply(uint32_t, std::string_view reply) override {
    reply_ = reply;
    replied_ = true;
    if (!running_) finish();
  }

 private:
  LaterAttempt(Session& session, const Command& command, LocalFunction function)
      : session_(session),
        whole_(session.request_for_reply(kNoSlot, 0)),
        bytes_(command.bytes()),
        function_(function),
        since_ms_(session.worker().now64_ms()) {}

  void wait() {
    Worker& worker = session_.worker();
    const ParsedRequest parsed(worker, bytes_);
    const uint32_t left_ms = wait_ms(session_, parsed.command(), function_);
    if (!session_.open() || worker.stopping() || worker.now64_ms() + left_ms > since_ms_ + kLongestWaitMs) {
      return refuse();
    }
    if (left_ms > 0) return worker.after(left_ms, [this] { wait(); });
    session_.set_sink({this, 0});
    running_ = true;
    function_(session_, parsed.command());
    running_ = false;
    session_.set_sink({});
    if (replied_) finish();  // else it waits once more
  }

  void refuse() {
    if (session_.open()) session_.worker().stats().auth_refused.add();
    resp::append_error(reply_, kTooManyWrong);
    finish();
  }

  void finish() {
    session_.resume(Session::kAuth);
    session_.worker().answer(whole_, reply_);
    delete this;
  }

  Session& session_;  // kept by the request's reference
  const Request whole_;
  const std::string bytes_;
  const LocalFunction function_;
  const uint64_t since_ms_;
  std::string reply_;
  bool replied_ = false;
  bool running_ = false;
};

// True: the command will be come back to.
bool must_wait(Session& session, const Command& command, LocalFunction function) {
  if (wait_ms(session, command, function) == 0) return false;
  LaterAttempt::start(session, command, function);
  return true;
}

void reply_hello(Session& session) {
  Worker& worker = session.worker();
  const int resp = session.resp();
  std::string out;
  resp::append_map(out, 7, resp);
  resp::append_bulk(out, "server");
  resp::append_bulk(out, "redis");
  resp::append_bulk(out, "version");
  resp::append_bulk(out, worker.process().upstream_version());
  resp::append_bulk(out, "proto");
  resp::append_integer(out, resp);
  resp::append_bulk(out, "id");
  resp::append_integer(out, static_cast<int64_t>(session.id()));
  resp::append_bulk(out, "mode");
  resp::append_bulk(out, "standalone");
  resp::append_bulk(out, "role");
  resp::append_bulk(out, "master");
  resp::append_bulk(out, "modules");
  resp::append_array(out, 0);
  session.reply(out);
}

// Options take effect as they are read, whatever comes of the later ones. False: the client has got an error.
bool take_options(Session& session, const Command& command) {
  for (size_t i = 2; i < command.argc(); ++i) {
    const size_t left = command.argc() - 1 - i;
    if (same_word(command.arg(i), "AUTH") && left >= 2) {
      Access& access = session.worker().access();
      if (!access.authenticate(session, command.arg(0), command.arg(i + 1), command.arg(i + 2))) return false;
      i += 2;
    } else if (same_word(command.arg(i), "SETNAME") && left >= 1) {
      if (!set_client_name(session, command.arg(++i))) return false;
    } else {
      session.reply_error("ERR Syntax error in HELLO option '" + std::string(command.arg(i)) + "'");
      return false;
    }
  }
  return true;
}

}  // namespace

void local_hello(Session& session, const Command& command) {
  int64_t version = session.resp();
  if (command.argc() > 1 && !parse_int(command.arg(1), version)) {
    return session.reply_error("ERR Protocol version is not an integer or out of range");
  }
  if (version != 2 && version != 3) return session.reply_error("NOPROTO unsupported protocol version");
  if (must_wait(session, command, local_hello)) return;
  if (!take_options(session, command)) return;
  if (!session.authenticated()) return session.reply_error(kHelloBeforeAuth);
  set_link_kind(session, LinkKind(static_cast<int>(version), session.database()));
  reply_hello(session);
  if (session.tracks()) session.tracking()->tell_what_was_missed();
}

void local_auth(Session& session, const Command& command) {
  if (command.argc() > 3) return session.reply_error("ERR syntax error");
  const bool named = command.argc() == 3;
  if (!named && session.worker().policies().acl.default_user().needs_no_password()) {
    return session.reply_error(kNoPassword);
  }
  if (must_wait(session, command, local_auth)) return;
  const std::string_view password = command.arg(command.argc() - 1);
  if (session.worker().access().authenticate(session, command.arg(0), user_of_auth(command), password)) {
    session.reply(resp::kOk);
  }
}

}  // namespace corral::core

#include "proxy/core/handshake.h"

#include <vector>

#include "proxy/core/info_text.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

std::string Handshake::begin(const Login& login, LinkKind kind, std::string_view target) {
  std::string out;
  left_ = 0;
  const auto add = [&](std::initializer_list<std::string_view> command) {
    resp::append_command(out, command);
    ++left_;
  };
  if (!login.password.empty()) add({"AUTH", login.username.empty() ? "default" : login.username, login.password});
  if (kind.resp() == 3) add({"HELLO", "3"});
  if (kind.database() != 0) add({"SELECT", std::to_string(kind.database())});
  if (kind.tracking() == Tracking::kOptIn) add({"CLIENT", "TRACKING", "ON", "OPTIN"});
  if (kind.tracking() == Tracking::kAll || kind.tracking() == Tracking::kNoLoop) {
    std::vector<std::string_view> words = {"CLIENT", "TRACKING", "ON"};
    if (kind.tracking() == Tracking::kNoLoop) words.push_back("NOLOOP");
    if (!target.empty()) words.insert(words.end(), {"REDIRECT", target});
    resp::append_command(out, words);
    ++left_;
  }
  const uint8_t needed = left_;
  if (!last_.empty()) {
    const std::string_view last = last_;
    const size_t space = last.find(' ');
    add({"CLIENT", "KILL", "ID", last.substr(0, space), "ADDR", last.substr(space + 1)});
  }
  add({"CLIENT", "SETNAME", "corral"});
  add({"CLIENT", "INFO"});
  convenient_ = static_cast<uint8_t>(left_ - needed);
  return out;
}

Handshake::Result Handshake::on_reply(std::string_view bytes) {
  const resp::ReplyView reply(bytes);
  // A node that wants a password, where none is set, would tell every client that it has to authenticate.
  const bool wants_login = reply.text().starts_with("NOAUTH");
  if (reply.is_error() && (left_ > convenient_ || wants_login)) return Result::kRefused;
  if (--left_ > 0) return Result::kMore;
  const std::string_view text = reply.text();
  const std::string_view id = text_field(text, "id=");
  last_ = id.empty() ? std::string() : std::string(id) + ' ' + std::string(text_field(text, "addr="));
  return Result::kDone;
}

}  // namespace corral::core

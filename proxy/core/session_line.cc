// A client's line in CLIENT LIST.
// Source: https://redis.io/commands/client-list; Redis 7.0, networking.c, catClientInfoString.
#include "proxy/core/session.h"
#include "proxy/core/subscriptions.h"
#include "proxy/core/tracking_session.h"
#include "proxy/core/transaction.h"
#include "proxy/core/worker.h"

namespace corral::core {

std::string Session::flags() const {
  std::string flags;
  if (modes_ & kMonitoring) flags += 'O';
  if (modes_ & kSubscribed) flags += 'P';
  if (modes_ & kQueueing) flags += 'x';
  if (is_blocked()) flags += 'b';
  if (tracking_) flags += 't';
  if (tracking_ && tracking_->broken()) flags += 'R';
  if (tracking_ && tracking_->options().broadcast) flags += 'B';
  if (transaction_ && transaction_->broken()) flags += 'd';
  if (closing_) flags += 'c';
  if (addresses_.peer.starts_with("unix:")) flags += 'U';
  if (no_evict_) flags += 'e';
  if (no_touch_) flags += 'T';
  return flags.empty() ? "N" : flags;
}

std::string Session::describe(size_t running_bytes) const {
  static const Details kNone;
  const Details& shown = details_ ? *details_ : kNone;
  const uint32_t now = worker_.now_ms();
  const size_t waiting = running_bytes + (input_ ? input_->bytes.size() : 0);
  const bool queueing = (modes_ & kQueueing) != 0;
  const auto subscribed = [this](ChannelKind kind) {
    return std::to_string(subscriptions_ ? subscriptions_->of(kind) : 0);
  };
  std::string line =
      "id=" + std::to_string(id_) + " addr=" + addresses_.peer + " laddr=" + addresses_.local +
      " fd=" + std::to_string(addresses_.fd) + " name=" + shown.name +
      " age=" + std::to_string((now - created_ms_) / 1000) + " idle=" + std::to_string((now - active_ms_) / 1000) +
      " flags=" + flags() + " db=" + std::to_string(database()) + " sub=" + subscribed(ChannelKind::kChannel) +
      " psub=" + subscribed(ChannelKind::kPattern) + " ssub=" + subscribed(ChannelKind::kShard) +
      " multi=" + (queueing ? std::to_string(transaction_->items().size()) : "-1") +
      " qbuf=" + std::to_string(waiting) +
      " qbuf-free=0 argv-mem=0 multi-mem=" + std::to_string(queueing ? transaction_->bytes() : 0) +
      " rbs=0 rbp=0 obl=0 oll=" + (output_.empty() ? "0" : "1") + " omem=" + std::to_string(output_.size()) +
      " tot-mem=" + std::to_string(sizeof(Session) + waiting + output_.size()) + " events=" + (blocked_ ? "rw" : "r") +
      " cmd=" + (last_command_ ? std::string(last_command_->name) : "NULL") + " user=" + user_->name() +
      " redir=" + (tracking_ ? std::to_string(tracking_->options().redirect) : "-1") +
      " resp=" + std::to_string(resp());
  if (!shown.lib_name.empty()) line += " lib-name=" + shown.lib_name;
  if (!shown.lib_version.empty()) line += " lib-ver=" + shown.lib_version;
  return line;
}

}  // namespace corral::core

// PUBSUB: what the clients of this process have subscribed to, together with what the masters tell of those that are
// connected to them directly. Corral's own subscriptions there do not count.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/core/handlers.h"
#include "proxy/core/pubsub_registry.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;
using resp::ReplyView;

namespace {

ChannelKind kind_of(Action action) {
  const bool shard = action == Action::kPubSubShardChannels || action == Action::kPubSubShardNumSub;
  return shard ? ChannelKind::kShard : ChannelKind::kChannel;
}

class PubSubQuery final : public Task {
 public:
  PubSubQuery(Session& session, const Command& command, Action action)
      : whole_(session.request_for_reply(0, kReadOnly)),
        worker_(session.worker()),
        action_(action),
        kind_(kind_of(action)),
        bytes_(command.bytes()) {
    for (size_t i = 2; i < command.argc(); ++i) args_.emplace_back(command.arg(i));
  }

  // One more reply is awaited until all masters have been asked: they may come at once.
  void start() {
    const auto masters = worker_.map().masters;
    nodes_.reserve(masters.size());
    counts_.resize(args_.size());
    awaited_ = static_cast<uint32_t>(masters.size()) + 1;
    if (masters.empty()) error_ = "-CLUSTERDOWN no master of the cluster is known\r\n";
    for (const auto& master : masters) {
      nodes_.push_back(master.id);
      Request part = whole_;
      part.task = this;
      part.ticket = static_cast<uint32_t>(nodes_.size() - 1);
      part.slot = master.first_slot;
      part.session->add_reference();
      worker_.send(part, bytes_);
    }
    done_one();
  }

  void on_reply(uint32_t part, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (reply.is_error()) {
      if (error_.empty()) error_ = bytes;
    } else {
      add(nodes_[part], reply);
    }
    done_one();
  }

 private:
  const PubSubRegistry& registry() { return worker_.process().pubsub(); }
  bool tells_names() const { return action_ == Action::kPubSubChannels || action_ == Action::kPubSubShardChannels; }

  void add(NodeId node, const ReplyView& reply) {
    if (action_ == Action::kPubSubNumPat) {
      patterns_ += reply.integer().value_or(0) - registry().own_patterns_at(node);
      return;
    }
    const auto elements = reply.elements();
    if (tells_names()) {
      for (const ReplyView& name : elements) {
        if (!registry().own_at(kind_, name.text(), node)) names_.emplace(name.text());
      }
    } else {
      for (size_t i = 0; i < args_.size() && 2 * i + 1 < elements.size(); ++i) {
        const int64_t told = elements[2 * i + 1].integer().value_or(0);
        counts_[i] += std::max<int64_t>(0, told - registry().own_at(kind_, args_[i], node));
      }
    }
  }

  void done_one() {
    if (--awaited_ > 0) return;
    worker_.answer(whole_, error_.empty() ? merged() : error_);
    delete this;
  }

  std::string merged() {
    std::string reply;
    if (action_ == Action::kPubSubNumPat) {
      const auto own = static_cast<int64_t>(registry().count_names(ChannelKind::kPattern));
      resp::append_integer(reply, std::max<int64_t>(0, patterns_) + own);
    } else if (tells_names()) {
      const std::string_view pattern = args_.empty() ? std::string_view("*") : args_[0];
      for (std::string& name : registry().names(kind_, pattern)) {
        names_.insert(std::move(name));
      }
      resp::append_array(reply, names_.size());
      for (const std::string& name : names_) resp::append_bulk(reply, name);
    } else {
      resp::append_array(reply, 2 * args_.size());
      for (size_t i = 0; i < args_.size(); ++i) {
        resp::append_bulk(reply, args_[i]);
        resp::append_integer(reply, counts_[i] + registry().clients(kind_, args_[i]));
      }
    }
    return reply;
  }

  const Request whole_;  // holds a reference to the session
  Worker& worker_;
  const Action action_;
  const ChannelKind kind_;
  const std::string bytes_;
  std::vector<std::string> args_;  // names, or a pattern
  std::vector<NodeId> nodes_;      // by part
  uint32_t awaited_ = 0;
  std::string error_;  // the first
  int64_t patterns_ = 0;
  std::set<std::string> names_;
  std::vector<int64_t> counts_;
};

}  // namespace

void query_pubsub(Session& session, const Command& command, const CommandSpec& spec) {
  const bool one_pattern = spec.action == Action::kPubSubChannels || spec.action == Action::kPubSubShardChannels;
  if (one_pattern && command.argc() > 3) {
    return session.reply_error("ERR unknown subcommand or wrong number of arguments for '" +
                               std::string(command.arg(1)) + "'. Try PUBSUB HELP.");
  }
  (new PubSubQuery(session, command, spec.action))->start();
}

}  // namespace corral::core

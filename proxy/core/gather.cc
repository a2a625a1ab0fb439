#include "proxy/core/gather.h"

#include <algorithm>
#include <utility>

#include "proxy/core/collected.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

using Done = std::function<void(const Request&, Replies)>;

class GatherTask final : public Task {
 public:
  GatherTask(Session& session, Done done)
      : session_(session), whole_(session.request_for_reply(kNoSlot, 0)), done_(std::move(done)), collected_(session) {}

  void start(std::string_view bytes) {
    const auto masters = session_.worker().map().masters;
    replies_.resize(masters.size());
    awaited_ = masters.size() + 1;  // one more, so that the end does not come before all are asked
    for (uint32_t i = 0; i < masters.size(); ++i) {
      Request part = whole_;
      part.task = this;
      part.ticket = i;
      part.flags = kReadOnly;
      session_.add_reference();
      session_.worker().send_to_node(part, masters[i].id, bytes);
    }
    done_one();
  }

  void on_reply(uint32_t part, std::string_view reply) override {
    replies_[part] = collected_.add(reply.size()) ? reply : kClientGone;
    done_one();
  }

 private:
  void done_one() {
    if (--awaited_ > 0) return;
    collected_.forget();
    done_(whole_, std::move(replies_));
    delete this;
  }

  Session& session_;
  const Request whole_;  // holds a reference to the session
  const Done done_;
  Replies replies_;
  size_t awaited_ = 0;
  Collected collected_;
};

}  // namespace

void ask_masters(Session& session, std::string_view bytes, Done done) {
  (new GatherTask(session, std::move(done)))->start(bytes);
}

void ask_and_merge(Session& session, std::string_view bytes,
                   std::function<std::string(const Session&, const Replies&)> merge) {
  ask_masters(session, bytes, [merge = std::move(merge)](const Request& whole, Replies replies) {
    Worker& worker = whole.session->worker();
    const std::string first = replies.empty() ? "-CLUSTERDOWN no master of the cluster is known\r\n" : replies.front();
    std::erase_if(replies, [](const std::string& reply) { return reply.starts_with('-'); });
    worker.answer(whole, replies.empty() ? first : merge(*whole.session, replies));
  });
}

}  // namespace corral::core

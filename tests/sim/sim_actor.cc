#include "sim_actor.h"

#include <utility>

#include "resp/reply_view.h"

namespace corral::sim {

using resp::ReplyView;

Actor::Actor(SimLoop& loop, Checker& checker, uint32_t process, uint32_t number, const ActorPlan& plan)
    : SimPeer(loop, checker, process, number), plan_(plan), wanted_(plan.rounds) {
  if (plan_.vanishes && random().chance(50)) leaves_at_ = static_cast<uint32_t>(random().below(plan_.rounds));
}

void Actor::start(SimTransport& transport) {
  SimPeer::start(transport);
  begin_round();
}

void Actor::begin_round() {
  later(plan_.think_us, [this] {
    idle_ = false;
    round();
    if (rounds_ >= leaves_at_) later(2 * plan_.think_us, [this] { close(); });
  });
}

void Actor::round_over() {
  if (idle_ || closed()) return;
  idle_ = true;
  if (++rounds_ < wanted_) begin_round();
}

void Actor::once_more() {
  if (closed()) return;
  ++wanted_;
  if (rounds_ + 1 == wanted_ && idle_) begin_round();
}

void Actor::ask(std::initializer_list<std::string_view> args, Handler handler) {
  expected_.push_back(std::move(handler));
  send(args);
}

bool Actor::is_fine(const std::string& reply, bool writes, bool* in_doubt) {
  if (!ReplyView(reply).is_error()) return true;
  checker_.on_error(who(), reply, writes, in_doubt);
  return false;
}

void Actor::on_reply(std::string_view reply) {
  const std::string text(reply);
  if (take_push(text)) return;
  if (expected_.empty()) return fail("got a reply to nothing: " + readable(text));
  const Handler handler = std::move(expected_.front());
  expected_.pop_front();
  handler(text);
}

void Actor::on_lost() { fail("was closed"); }

std::string Actor::state() const {
  return "round " + std::to_string(rounds_) + " of " + std::to_string(wanted_) + ", " +
         std::to_string(expected_.size()) + " replies";
}

// --- transactions ---

void Transactor::round() {
  const uint64_t dice = random().below(3);
  if (dice == 0) return increment();
  dice == 1 ? write_pair(pick_tag()) : read_pair(pick_tag());
}

void Transactor::write_pair(const std::string& tag) {
  const std::string value = std::to_string(number_) + '|' + std::to_string(++values_);
  const std::string x = "t{" + tag + "}:x", y = "t{" + tag + "}:y";
  const auto queued = [this](const std::string& reply) {
    if (reply != "+QUEUED\r\n" && reply != "+OK\r\n") fail("not queued: " + readable(reply));
  };
  ask({"MULTI"}, queued);
  ask({"SET", x, value}, queued);
  ask({"SET", y, value}, queued);
  ask({"EXEC"}, [this](const std::string& reply) {
    if (is_fine(reply, true) && reply != "*2\r\n+OK\r\n+OK\r\n") fail("EXEC said " + readable(reply));
    round_over();
  });
}

void Transactor::read_pair(const std::string& tag) {
  const auto ignore = [](const std::string&) {};
  ask({"MULTI"}, ignore);
  ask({"GET", "t{" + tag + "}:x"}, ignore);
  ask({"GET", "t{" + tag + "}:y"}, ignore);
  ask({"EXEC"}, [this](const std::string& reply) {
    // It only reads, but is not told so.
    if (is_fine(reply, true)) {
      const auto elements = ReplyView(reply).elements();
      const bool same = elements.size() == 2 && elements[0].bytes() == elements[1].bytes();
      if (!same) fail("half a transaction was seen: " + readable(reply));
    }
    round_over();
  });
}

void Transactor::increment() {
  const std::string counter = "w{" + plan_.tags[0] + "}";
  ask({"WATCH", counter}, [this, counter](const std::string& watched) {
    if (!is_fine(watched, false)) return round_over();
    ask({"GET", counter}, [this, counter](const std::string& value) {
      if (!is_fine(value, false)) return ask({"UNWATCH"}, [this](const std::string&) { round_over(); });
      const int64_t next = ReplyView(value).integer().value_or(0) + 1;
      ask({"MULTI"}, [](const std::string&) {});
      ask({"SET", counter, std::to_string(next)}, [](const std::string&) {});
      ask({"EXEC"}, [this](const std::string& reply) {
        bool in_doubt = false;
        if (!is_fine(reply, true, &in_doubt)) {
          in_doubt_ += in_doubt;
        } else if (!ReplyView(reply).is_null()) {
          ++increments_;
        }
        round_over();
      });
    });
  });
}

// --- queues ---

void Producer::round() {
  const std::string list = "q{" + pick_tag() + "}";
  const std::string item = list + '|' + std::to_string(number_) + '|' + std::to_string(++items_) + '|';
  ask({"RPUSH", list, item}, [this, list, item](const std::string& reply) {
    if (is_fine(reply, true) && !checker_.was_pushed(list, item)) fail("acknowledged, but not there: " + item);
    round_over();
  });
}

void Consumer::round() {
  const std::string list = "q{" + pick_tag() + "}";
  const int64_t timeout_ms = random().between(20, 300);
  const int64_t sent_us = loop_.now_us();
  ask({"BLPOP", list, std::to_string(static_cast<double>(timeout_ms) / 1000)},
      [this, list, timeout_ms, sent_us](const std::string& reply) {
        const int64_t took_ms = (loop_.now_us() - sent_us) / 1000;
        bool in_doubt = false;
        const ReplyView view(reply);
        if (!is_fine(reply, true, &in_doubt)) {
          if (in_doubt) checker_.on_takers_loss();
        } else if (view.is_null()) {
          if (took_ms + 2 < timeout_ms) fail("BLPOP gave up after " + std::to_string(took_ms) + " ms");
        } else {
          const auto elements = view.elements();
          if (elements.size() != 2 || elements[0].text() != list) return fail("BLPOP said " + readable(reply));
          checker_.on_taken(number_, list, std::string(elements[1].text()));
        }
        const int64_t most_ms = timeout_ms + (plan_.calm ? 30 : 10'000);
        if (took_ms > most_ms) fail("BLPOP took " + std::to_string(took_ms) + " ms");
        round_over();
      });
}

// --- channels ---

void Publisher::round() {
  const std::string message = std::to_string(number_) + '|' + std::to_string(++messages_) + '|';
  ask({"PUBLISH", kChannel, message}, [this, n = messages_, sent_us = loop_.now_us()](const std::string& reply) {
    if (is_fine(reply, true)) checker_.on_published({number_, n}, sent_us);
    round_over();
  });
}

// The first one subscribes; then it does so again, or ends it, seldom.
void Subscriber::round() {
  const bool ends = plan_.vanishes && rounds_ > 0 && random().chance(10);
  ++changes_;
  if (ends) {
    listens_until_us_ = std::min(listens_until_us_, loop_.now_us());
    return send({"UNSUBSCRIBE", kChannel});
  }
  send({"SUBSCRIBE", kChannel});
}

bool Subscriber::take_push(const std::string& reply) {
  const auto elements = ReplyView(reply).elements();
  if (elements.size() != 3) {
    if (changes_ == 0 || is_fine(reply, false)) return false;
    --changes_;
    round_over();
    return true;
  }
  if (elements[0].text() == "message") {
    Writer writer;
    std::string_view channel;
    if (!parse_value(std::string(kChannel) + '|' + std::string(elements[2].text()), channel, writer)) {
      fail("was sent a wrong message: " + readable(reply));
      return true;
    }
    auto& heard = heard_[writer.first];
    if (!heard.empty() && *heard.rbegin() >= writer.second) fail("messages in disorder: " + readable(reply));
    heard.insert(writer.second);
    return true;
  }
  if (changes_ == 0) fail("an answer to nothing: " + readable(reply));
  if (changes_ > 0) --changes_;
  if (elements[0].text() == "subscribe" && !listens_since_us_) listens_since_us_ = loop_.now_us();
  round_over();
  return true;
}

void Subscriber::check_complete() {
  if (!plan_.calm || !listens_since_us_ || closed()) return;
  for (const auto& [message, sent_us] : checker_.published()) {
    if (sent_us <= *listens_since_us_ || sent_us >= listens_until_us_) continue;
    if (!heard_[message.first].contains(message.second)) {
      return fail("never heard message " + std::to_string(message.second) + " of client " +
                  std::to_string(message.first));
    }
  }
}

}  // namespace corral::sim

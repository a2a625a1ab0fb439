// Ten publishers, a thousand subscribers, a hundred channels: each subscriber gets each message of its channel once,
// and those of one publisher in its order; and each channel has one upstream subscription.
//
// CORRAL_MESSAGES sets how many messages are published (default 20,000; each goes to ten subscribers).
#include <atomic>
#include <charconv>
#include <iostream>

#include "support/background.h"
#include "support/env.h"
#include "support/front.h"
#include "support/swarm.h"

namespace corral::test {
namespace {

constexpr size_t kPublishers = 10, kSubscribers = 1000, kChannels = 100, kFanOut = kSubscribers / kChannels;
constexpr size_t kPipeline = 50;            // PUBLISHes of one publisher that are unanswered
constexpr int64_t kMostUnderWay = 100'000;  // deliveries; nothing in pub/sub holds a publisher back, so the test does

std::string channel_name(size_t channel) { return "channel:" + std::to_string(channel); }

size_t number_at(std::string_view text, size_t& at) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (error != std::errc()) throw std::runtime_error("no number: " + printable(text.substr(at)));
  at = static_cast<size_t>(end - text.data());
  return value;
}

// What the subscribers have got. A message's text is "publisher:number:"; the numbers of one publisher in one channel
// go up by one.
class Ledger {
 public:
  explicit Ledger(std::atomic<int64_t>& delivered) : delivered_(delivered) {
    for (size_t i = 0; i < kSubscribers; ++i) {
      const std::string name = channel_name(i % kChannels);
      heads_.push_back("3\r\n$7\r\nmessage\r\n$" + std::to_string(name.size()) + "\r\n" + name + "\r\n$");
    }
  }

  // Takes the whole messages at the beginning of the bytes.
  size_t take(size_t subscriber, std::string_view bytes) {
    size_t taken = 0;
    int64_t count = 0;
    while (const size_t length = message(subscriber, bytes.substr(taken))) taken += length, ++count;
    delivered_ += count;
    return taken;
  }
  size_t confirmed() const { return confirmed_; }
  const std::string& complaint() const { return complaint_; }

 private:
  // The length of the first push; 0 if it is not whole.
  size_t message(size_t subscriber, std::string_view bytes) {
    if (bytes.size() < 32) return 0;
    const std::string& head = heads_[subscriber];
    if (bytes.substr(1, head.size()) != std::string_view(head).substr(0, bytes.size() - 1)) return other(bytes);
    const size_t line = bytes.find('\n', head.size());
    if (line == std::string_view::npos) return 0;
    size_t at = 1 + head.size();
    const size_t end = line + 1 + number_at(bytes, at) + 2;
    if (bytes.size() < end) return 0;
    at = line + 1;
    const size_t publisher = number_at(bytes, at);
    const size_t number = number_at(bytes, ++at);
    size_t& next = next_[subscriber * kPublishers + publisher];
    if (number != next++ && complaint_.size() < 1000) {
      complaint_ += "subscriber " + std::to_string(subscriber) + " has got " + std::to_string(number) +
                    " of publisher " + std::to_string(publisher) + " instead of " + std::to_string(next - 1) + "\n";
    }
    return end;
  }
  // A confirmation, in these tests always of one channel.
  size_t other(std::string_view bytes) {
    Reply reply;
    const auto end = parse_reply(bytes, 0, reply);
    if (!end) return 0;
    if (reply.elements.empty() || reply.elements[0].text != "subscribe") complaint_ += to_string(reply) + "\n";
    ++confirmed_;
    --delivered_;  // it was counted as a message
    return *end;
  }

  std::atomic<int64_t>& delivered_;
  std::vector<std::string> heads_;
  std::vector<size_t> next_ = std::vector<size_t>(kSubscribers * kPublishers);
  size_t confirmed_ = 0;
  std::string complaint_;
};

// The publishers, on a thread of their own.
class Publishers {
 public:
  Publishers(uint16_t port, size_t messages, const std::atomic<int64_t>& delivered)
      : messages_(messages),
        delivered_(delivered),
        swarm_([this](size_t i, std::string_view bytes) { return answers(i, bytes); }) {
    for (size_t i = 0; i < kPublishers; ++i) swarm_.connect(port);
  }

  void run(Background::Stop stop) {
    while (answered_ < messages_ && !stop && complaint_.empty()) {
      for (size_t i = 0; i < kPublishers; ++i) publish(i);
      swarm_.turn(milliseconds(1));
      if (swarm_.lost() > 0) complaint_ = "a publisher's connection was closed";
    }
  }
  size_t answered() const { return answered_; }
  const std::string& complaint() const { return complaint_; }

 private:
  void publish(size_t publisher) {
    const auto allowed = static_cast<size_t>(delivered_ + kMostUnderWay) / kFanOut;
    std::string bytes;
    while (unanswered_[publisher] < kPipeline && sent_ < messages_ && sent_ < allowed) {
      const size_t number = sent_of_[publisher]++;
      // Every publisher goes through all channels, each beginning at another one.
      const std::string channel = channel_name((number + publisher * kFanOut) % kChannels);
      const std::string text =
          std::to_string(publisher) + ":" + std::to_string(number / kChannels) + ":" + std::string(20, 'x');
      bytes += encode({"PUBLISH", channel, text});
      ++unanswered_[publisher];
      ++sent_;
    }
    if (!bytes.empty()) swarm_.send(publisher, bytes);
  }
  size_t answers(size_t publisher, std::string_view bytes) {
    static const std::string kExpected = ":" + std::to_string(kFanOut) + "\r\n";
    size_t taken = 0;
    while (bytes.size() - taken >= kExpected.size()) {
      if (bytes.substr(taken, kExpected.size()) != kExpected) {
        complaint_ = "PUBLISH: " + printable(bytes.substr(taken));
        return bytes.size();
      }
      taken += kExpected.size();
      --unanswered_[publisher];
      ++answered_;
    }
    return taken;
  }

  const size_t messages_;
  const std::atomic<int64_t>& delivered_;
  std::array<size_t, kPublishers> unanswered_{}, sent_of_{};
  size_t sent_ = 0;
  std::atomic<size_t> answered_ = 0;
  std::string complaint_;
  Swarm swarm_;
};

TEST(PubsubLoadTest, everybody_gets_everything_once_and_in_order) {
  const auto messages = static_cast<size_t>(from_environment("CORRAL_MESSAGES", 20'000));
  Front front({.cluster = {.settings = {"--client-output-buffer-limit", "pubsub 0 0 0"}}});
  std::atomic<int64_t> delivered = 0;
  Ledger ledger(delivered);
  Swarm subscribers([&](size_t i, std::string_view bytes) { return ledger.take(i, bytes); });
  for (size_t i = 0; i < kSubscribers; ++i) {
    subscribers.send(subscribers.connect(front.port()), encode({"SUBSCRIBE", channel_name(i % kChannels)}));
    if (i % 50 == 0) subscribers.turn(milliseconds(1));  // so that the listen queue does not run over
  }
  ASSERT_TRUE(subscribers.run_until([&] { return ledger.confirmed() == kSubscribers || !ledger.complaint().empty(); }));
  ASSERT_EQ(ledger.complaint(), "");
  for (size_t i = 0; i < kChannels && !Front::is_control(); ++i) {
    int64_t upstream = 0;
    for (size_t node = 0; node < front.masters(); ++node) {
      upstream += front.master(node).command("PUBSUB", "NUMSUB", channel_name(i)).elements.at(1).integer;
    }
    ASSERT_EQ(upstream, 1) << channel_name(i);
  }
  const auto start = Clock::now();
  Publishers publishers(front.port(), messages, delivered);
  Background publishing([&](Background::Stop stop) { publishers.run(stop); });
  const auto goal = static_cast<int64_t>(messages * kFanOut);
  const milliseconds patience(30'000 + static_cast<int64_t>(messages) / 2);
  EXPECT_TRUE(subscribers.run_until([&] { return delivered >= goal || !ledger.complaint().empty(); }, patience));
  if (delivered >= goal) publishing.join();  // the last answers may come behind the last messages
  publishing.finish();
  const double seconds = seconds_since(start);
  EXPECT_EQ(publishers.complaint(), "");
  EXPECT_EQ(publishers.answered(), messages);
  subscribers.turn(milliseconds(200));  // what should not come
  EXPECT_EQ(ledger.complaint(), "");
  EXPECT_EQ(delivered, goal);
  EXPECT_EQ(subscribers.lost(), 0u);
  std::cout << messages << " messages, " << delivered << " deliveries in " << seconds << " s\n";
}

}  // namespace
}  // namespace corral::test

// Messages while the cluster changes: as long as no node is lost, none is lost or doubled, though slots move and a
// replica takes over from the master that they go to. Each publisher's keep their order over all channels while slots
// move; when another master takes over, those that it passes on and those that the old one did go different ways over
// the cluster's bus, and Redis promises no order between them.
#include <map>
#include <set>

#include "support/background.h"
#include "support/front.h"

namespace corral::test {
namespace {

constexpr int kPublishers = 3, kChannels = 4, kPipeline = 4;

std::string channel_name(int channel) { return "channel:" + std::to_string(channel); }

class PubsubMoveTest : public ::testing::Test {
 protected:
  // Publishes "publisher:number" in one channel after the other until told to stop, then "end" in the first.
  void publish(int publisher, Background::Stop stop) {
    Client client = front_.connect();
    int sent = 0, answered = 0;
    while (!stop || answered < sent) {
      std::string bytes;
      for (; !stop && sent < answered + kPipeline; ++sent) {
        bytes +=
            encode({"PUBLISH", channel_name(sent % kChannels), std::to_string(publisher) + ":" + std::to_string(sent)});
      }
      client.send(bytes);
      const Reply reply = client.read_reply();
      if (reply.is_error()) throw std::runtime_error(to_string(reply));
      ++answered;
    }
    published_ += sent;
    client.command("PUBLISH", channel_name(0), "end");
  }

  // Until all publishers have said "end"; how many messages came before.
  static int64_t listen(Client& client, bool ordered) {
    std::map<std::string, int> next;
    std::set<std::string> late;
    int64_t messages = 0;
    for (int ends = 0; ends < kPublishers || !late.empty();) {
      const std::string text = client.read_reply().elements.back().text;
      if (text == "end") {
        ++ends;
        continue;
      }
      const size_t colon = text.find(':');
      int& expected = next[text.substr(0, colon)];
      const int number = std::stoi(text.substr(colon + 1));
      ++messages;
      if (late.erase(text)) continue;
      if (number < expected) throw std::runtime_error(text + " came twice");
      if (ordered && number != expected) {
        throw std::runtime_error(text + " came instead of " + std::to_string(expected));
      }
      for (; expected < number; ++expected) late.insert(text.substr(0, colon + 1) + std::to_string(expected));
      ++expected;
    }
    return messages;
  }

  template <class Disturb>
  void run(bool ordered, const Disturb& disturb) {
    Client channels = front_.connect(), pattern = front_.connect3();
    for (int i = 0; i < kChannels; ++i) channels.command("SUBSCRIBE", channel_name(i));
    pattern.command("PSUBSCRIBE", "chan*");
    int64_t heard[2] = {};
    Background listeners[] = {Background([&](Background::Stop) { heard[0] = listen(channels, ordered); }),
                              Background([&](Background::Stop) { heard[1] = listen(pattern, ordered); })};
    {
      std::vector<std::unique_ptr<Background>> publishers;
      for (int i = 0; i < kPublishers; ++i) {
        publishers.push_back(std::make_unique<Background>([this, i](Background::Stop stop) { publish(i, stop); }));
      }
      disturb();
    }
    for (Background& listener : listeners) listener.join();
    EXPECT_GT(published_, 100);
    EXPECT_EQ(heard[0], published_);
    EXPECT_EQ(heard[1], published_);
  }

  Front front_{{.cluster = {.replicas_per_master = 1},
                .settings = "[upstream]\nrefresh_interval = \"300ms\"\nrequest_timeout = \"20s\"\n"}};
  std::atomic<int64_t> published_ = 0;
};

TEST_F(PubsubMoveTest, nothing_is_lost_while_slots_move) {
  CORRAL_NEEDS_CLUSTER();
  run(true, [&] {
    for (int round = 0; round < 3; ++round) {
      for (const int slot : {0, 1, 2, 3}) {
        const size_t from = front_.cluster().owner(slot);
        front_.cluster().migrate_slot(slot, from, (from + 1) % 3);
      }
    }
  });
}

// By hand (--gtest_also_run_disabled_tests): under a flood of PUBLISH, which goes over the cluster's bus to every node,
// Redis' own failover by hand takes several tries, and one that takes too long pauses clients for longer than they wait.
TEST_F(PubsubMoveTest, DISABLED_nothing_is_lost_when_a_replica_takes_over) {
  CORRAL_NEEDS_CLUSTER();
  run(false, [&] {
    front_.cluster().fail_over_to(3, 0);
    std::this_thread::sleep_for(milliseconds(700));  // Corral has heard of it, and has published through another
    front_.cluster().fail_over_to(0, 0);
    std::this_thread::sleep_for(milliseconds(700));
  });
}

}  // namespace
}  // namespace corral::test

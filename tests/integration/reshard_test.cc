// Nothing is lost, doubled or reordered while a live cluster is resharded back and forth under load: counters are
// exact, and the commands of one connection keep their order.
//
// CORRAL_INCRS sets how many INCRs (default 100,000).
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <mutex>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"
#include "support/env.h"

namespace corral::test {
namespace {

constexpr int kKeys = 1000;
constexpr int kConnections = 50;
constexpr int kLeastMoves = 60;    // of slots during the INCRs, however fast those are
constexpr int kMovingSlots = 200;  // where the keys are, so that every move moves some

class ReshardTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds()});
    corral_->wait_until_serving();
  }
  static void TearDownTestSuite() {
    corral_.reset();
    cluster_.reset();
  }

  static std::string counter(int i) { return tag_of_slot(i % kMovingSlots) + "counter:" + std::to_string(i); }

  // Moves these slots around until told to stop; then every slot rests with one owner.
  void reshard(int first_slot, int last_slot, Background::Stop stop) {
    do {
      for (int slot = first_slot; slot <= last_slot; ++slot) {
        const size_t from = cluster_->owner(slot);
        cluster_->migrate_slot(slot, from, (from + 1) % cluster_->size());
        ++moves_;
        if (stop) return;
      }
    } while (!stop);
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::unique_ptr<Corral> corral_;
  std::atomic<int> moves_ = 0;
};

// What went wrong in threads, told by the test's own one.
class Complaints {
 public:
  void add(const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (texts_.size() < 10) texts_.push_back(text);
  }
  void expect_none() const {
    for (const std::string& text : texts_) ADD_FAILURE() << text;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

// Sends `count` INCRs of keys `first`, `first` + step, ... in pipelines, and complains of every reply that is no
// number.
void increment(Client client, int first, int count, Complaints& complaints) {
  constexpr int kPipeline = 64;
  for (int sent = 0; sent < count;) {
    std::vector<Args> commands;
    for (; sent < count && commands.size() < kPipeline; ++sent) {
      const int i = (first + sent) % kKeys;
      commands.push_back({"INCR", tag_of_slot(i % kMovingSlots) + "counter:" + std::to_string(i)});
    }
    for (const Reply& reply : client.pipeline(commands)) {
      if (reply.type != Reply::Type::kInteger) complaints.add(to_string(reply));
    }
  }
}

TEST_F(ReshardTest, every_counter_is_exact) {
  const int total = static_cast<int>(from_environment("CORRAL_INCRS", 100'000));
  const int each = std::max(1, total / kConnections / kKeys) * kKeys;  // so that all keys get the same
  std::atomic<int> rounds = 0;
  Complaints complaints;
  Background resharding([&](Background::Stop stop) { reshard(0, kMovingSlots - 1, stop); });
  std::vector<std::unique_ptr<Background>> clients;
  for (int i = 0; i < kConnections; ++i) {
    clients.push_back(std::make_unique<Background>([&, i](Background::Stop) {
      do increment(corral_->connect(), i * 20, each, complaints);
      while (++rounds, moves_ < kLeastMoves);
    }));
  }
  for (const auto& client : clients) client->join();
  resharding.finish();
  complaints.expect_none();
  int wrong = 0;
  for (int i = 0; i < kKeys; ++i) {
    const std::string value = cluster_->command_to_owner(counter(i), "GET", counter(i)).text;
    if (value != std::to_string(rounds * (each / kKeys))) ++wrong;
  }
  EXPECT_EQ(wrong, 0) << "counters, of " << kKeys;
  std::cout << moves_ << " slots moved during " << rounds * each << " INCRs\n";
}

TEST_F(ReshardTest, a_connection_keeps_its_order_on_one_key) {
  const std::string key = tag_of_slot(7) + "ordered";
  constexpr int kRounds = 200, kPipeline = 100;
  Background resharding([&](Background::Stop stop) { reshard(7, 7, stop); });
  Client client = corral_->connect();
  int errors = 0, wrong = 0, round = 0;
  for (; round < kRounds || moves_ < kLeastMoves; ++round) {
    std::vector<Args> commands;
    for (int i = 0; i < kPipeline; ++i) {
      commands.push_back({"SET", key, std::to_string(round * kPipeline + i)});
      commands.push_back({"GET", key});
    }
    const auto replies = client.pipeline(commands);
    for (int i = 0; i < kPipeline; ++i) {
      const auto at = static_cast<size_t>(2 * i);
      if (replies[at] != Reply::status("OK")) ++errors;
      if (replies[at + 1].text != std::to_string(round * kPipeline + i)) ++wrong;
    }
  }
  resharding.finish();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cluster_->command_to_owner(key, "GET", key).text, std::to_string(round * kPipeline - 1));
  std::cout << "the slot moved " << moves_ << " times\n";
}

TEST_F(ReshardTest, a_list_holds_what_was_pushed_in_its_order) {
  const std::string key = tag_of_slot(9) + "list";
  constexpr int kPipeline = 2000;
  Background resharding([&](Background::Stop stop) { reshard(9, 9, stop); });
  Client client = corral_->connect();
  int pushed = 0;
  while (pushed < 10 * kPipeline || moves_ < kLeastMoves / 2) {
    std::vector<Args> pushes;
    for (int i = 0; i < kPipeline; ++i) pushes.push_back({"RPUSH", key, std::to_string(pushed + i)});
    for (const Reply& reply : client.pipeline(pushes)) ASSERT_EQ(reply, Reply::number(++pushed));
  }
  resharding.finish();
  const auto all = cluster_->command_to_owner(key, "LRANGE", key, 0, -1).strings();
  ASSERT_EQ(all.size(), static_cast<size_t>(pushed));
  for (int i = 0; i < pushed; ++i) ASSERT_EQ(all[static_cast<size_t>(i)], std::to_string(i));
  std::cout << "the slot moved " << moves_ << " times during " << pushed << " pushes\n";
}

TEST_F(ReshardTest, redis_cli_reshards_under_load) {
  cluster_->wait_until_agreed();
  Complaints complaints;
  Background load([&](Background::Stop stop) {
    Client client = corral_->connect();
    for (int i = 0; !stop; ++i) {
      std::vector<Args> commands;
      for (int k = 0; k < 100; ++k) commands.push_back({"INCR", "cli:" + std::to_string(k)});
      for (const Reply& reply : client.pipeline(commands)) {
        if (reply != Reply::number(i + 1)) complaints.add(to_string(reply) + " for INCR number " + std::to_string(i));
      }
    }
  });
  for (int turn = 0; turn < 2; ++turn) {
    const auto from = static_cast<size_t>(turn), to = static_cast<size_t>(1 - turn);
    const Finished cli =
        run({"redis-cli", "--cluster", "reshard", cluster_->node(0).address(), "--cluster-from", cluster_->id(from),
             "--cluster-to", cluster_->id(to), "--cluster-slots", "300", "--cluster-yes"},
            milliseconds(60'000));
    EXPECT_EQ(cli.status, 0) << cli.output.substr(cli.output.size() - std::min<size_t>(cli.output.size(), 500));
    cluster_->wait_until_agreed();
  }
  load.finish();
  complaints.expect_none();
}

}  // namespace
}  // namespace corral::test

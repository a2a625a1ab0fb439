// Nothing is lost, doubled or reordered while a live cluster is resharded back and forth under load: counters are
// exact, and the commands of one connection keep their order.
//
// The slots go in a circle here, within milliseconds. A node may thus refuse a command, get the slot back and execute
// the next one of the same pipeline before Corral has read the refusal. Then the first cannot be executed any more
// without breaking the order; it is answered with TRYAGAIN, and these tests check that it was not executed indeed.
//
// CORRAL_INCRS sets how many INCRs (default 100,000).
#include <gtest/gtest.h>

#include <array>
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

bool is_overtaken(const Reply& reply) { return reply.is_error() && reply.text.starts_with("TRYAGAIN the slot moved"); }

using Counts = std::array<std::atomic<int>, kKeys>;

// Sends `count` INCRs of keys `first`, `first` + 1, ... in pipelines. Counts those that were overtaken, by key, and
// complains of every other reply that is no number.
void increment(Client client, int first, int count, Counts& overtaken, Complaints& complaints) {
  constexpr int kPipeline = 64;
  for (int sent = 0; sent < count;) {
    std::vector<Args> commands;
    const int before = first + sent;
    for (; sent < count && commands.size() < kPipeline; ++sent) {
      const int i = (first + sent) % kKeys;
      commands.push_back({"INCR", tag_of_slot(i % kMovingSlots) + "counter:" + std::to_string(i)});
    }
    const auto replies = client.pipeline(commands);
    for (size_t i = 0; i < replies.size(); ++i) {
      if (replies[i].type == Reply::Type::kInteger) continue;
      if (is_overtaken(replies[i])) {
        ++overtaken[(static_cast<size_t>(before) + i) % kKeys];
      } else {
        complaints.add(to_string(replies[i]));
      }
    }
  }
}

TEST_F(ReshardTest, every_counter_is_exact) {
  const int total = static_cast<int>(from_environment("CORRAL_INCRS", 100'000));
  const int each = std::max(1, total / kConnections / kKeys) * kKeys;  // so that all keys get the same
  std::atomic<int> rounds = 0;
  Complaints complaints;
  Counts overtaken{};
  Background resharding([&](Background::Stop stop) { reshard(0, kMovingSlots - 1, stop); });
  std::vector<std::unique_ptr<Background>> clients;
  for (int i = 0; i < kConnections; ++i) {
    clients.push_back(std::make_unique<Background>([&, i](Background::Stop) {
      do increment(corral_->connect(), i * 20, each, overtaken, complaints);
      while (++rounds, moves_ < kLeastMoves);
    }));
  }
  for (const auto& client : clients) client->join();
  resharding.finish();
  complaints.expect_none();
  int wrong = 0, not_executed = 0;
  for (int i = 0; i < kKeys; ++i) {
    const int refused = overtaken[static_cast<size_t>(i)];
    not_executed += refused;
    const std::string value = cluster_->command_to_owner(counter(i), "GET", counter(i)).text;
    if (value != std::to_string(rounds * (each / kKeys) - refused)) ++wrong;
  }
  EXPECT_EQ(wrong, 0) << "counters, of " << kKeys;
  EXPECT_LE(not_executed, rounds * each / 100);
  std::cout << moves_ << " slots moved during " << rounds * each << " INCRs\n";
}

TEST_F(ReshardTest, a_connection_keeps_its_order_on_one_key) {
  const std::string key = tag_of_slot(7) + "ordered";
  constexpr int kRounds = 200, kPipeline = 100;
  Background resharding([&](Background::Stop stop) { reshard(7, 7, stop); });
  Client client = corral_->connect();
  int overtaken = 0, errors = 0, wrong = 0, round = 0;
  std::string kept;
  for (; round < kRounds || moves_ < kLeastMoves; ++round) {
    std::vector<Args> commands;
    for (int i = 0; i < kPipeline; ++i) {
      commands.push_back({"SET", key, std::to_string(round * kPipeline + i)});
      commands.push_back({"GET", key});
    }
    const auto replies = client.pipeline(commands);
    for (int i = 0; i < kPipeline; ++i) {
      const Reply &set = replies[static_cast<size_t>(2 * i)], &get = replies[static_cast<size_t>(2 * i + 1)];
      overtaken += is_overtaken(set) + is_overtaken(get);
      if (set == Reply::status("OK")) {
        kept = std::to_string(round * kPipeline + i);
      } else if (!is_overtaken(set)) {
        ++errors;
      }
      if (get.text != kept && !is_overtaken(get)) ++wrong;
    }
  }
  resharding.finish();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(overtaken, round * kPipeline / 10);
  EXPECT_EQ(cluster_->command_to_owner(key, "GET", key).text, kept);
  std::cout << "the slot moved " << moves_ << " times\n";
}

TEST_F(ReshardTest, a_list_holds_what_was_pushed_in_its_order) {
  const std::string key = tag_of_slot(9) + "list";
  constexpr int kPipeline = 2000;
  Background resharding([&](Background::Stop stop) { reshard(9, 9, stop); });
  Client client = corral_->connect();
  int sent = 0;
  std::vector<std::string> pushed;
  while (sent < 10 * kPipeline || moves_ < kLeastMoves / 2) {
    std::vector<Args> pushes;
    for (int i = 0; i < kPipeline; ++i) pushes.push_back({"RPUSH", key, std::to_string(sent + i)});
    for (const Reply& reply : client.pipeline(pushes)) {
      const std::string value = std::to_string(sent++);
      if (is_overtaken(reply)) continue;
      pushed.push_back(value);
      ASSERT_EQ(reply, Reply::number(static_cast<long long>(pushed.size())));
    }
  }
  resharding.finish();
  EXPECT_EQ(cluster_->command_to_owner(key, "LRANGE", key, 0, -1).strings(), pushed);
  EXPECT_GE(static_cast<int>(pushed.size()), sent / 10 * 9);
  std::cout << "the slot moved " << moves_ << " times during " << sent << " pushes\n";
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

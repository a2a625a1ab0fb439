// CORRAL HOTKEYS and BIGKEYS through the whole program: against what the clients have counted themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "support/cluster.h"
#include "support/corral.h"
#include "support/http.h"

namespace corral::test {
namespace {

constexpr const char* kNearRule = "[[rule]]\nname = \"hot\"\nmatch = [\"hot:*\"]\nnear_cache = {}\n";

class HotKeysTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }

  CorralOptions options() const { return {.upstream = cluster_->seeds(), .settings = kNearRule}; }

  static inline std::unique_ptr<RedisCluster> cluster_;
};

// Reads missing keys by zipf from several connections, and counts what it has asked for.
class ZipfLoad {
 public:
  static constexpr size_t kKeys = 1'000'000, kBatch = 400;

  explicit ZipfLoad(std::mt19937_64::result_type seed) : seed_(seed) {
    std::vector<double> weights(kKeys);
    for (size_t i = 0; i < kKeys; ++i) weights[i] = std::pow(static_cast<double>(i + 1), -0.99);
    numbers_ = std::discrete_distribution<size_t>(weights.begin(), weights.end());
  }

  void run(const Corral& corral, size_t connections, Clock::time_point end) {
    parts_.assign(connections, std::vector<uint32_t>(kKeys));
    std::vector<std::thread> threads;
    for (size_t i = 0; i < connections; ++i) {
      threads.emplace_back([&, i] { read_until(corral.port(), end, seed_ + i, parts_[i]); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  std::vector<uint64_t> counts() const {
    std::vector<uint64_t> sums(kKeys);
    for (const auto& part : parts_) std::transform(part.begin(), part.end(), sums.begin(), sums.begin(), std::plus());
    return sums;
  }

 private:
  void read_until(uint16_t port, Clock::time_point end, uint64_t seed, std::vector<uint32_t>& counts) const {
    static constexpr std::string_view kNil = "$-1\r\n";
    Client client(port);
    std::mt19937_64 random(seed);
    auto numbers = numbers_;
    std::string bytes;
    while (Clock::now() < end) {
      bytes.clear();
      for (size_t i = 0; i < kBatch; ++i) {
        const size_t number = numbers(random);
        ++counts[number];
        const std::string digits = std::to_string(number);
        bytes += "*2\r\n$3\r\nGET\r\n$" + std::to_string(digits.size() + 4) + "\r\nhot:" + digits + "\r\n";
      }
      client.send(bytes);
      const std::string replies = client.read_bytes(kBatch * kNil.size());
      ASSERT_TRUE(replies.starts_with(kNil)) << replies.substr(0, 100);
    }
  }

  const uint64_t seed_;
  std::discrete_distribution<size_t> numbers_;
  std::vector<std::vector<uint32_t>> parts_;  // by connection
};

TEST_F(HotKeysTest, ten_hottest_of_a_zipf_stream_are_told_in_order_within_five_percent) {
  const uint64_t seed = std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  std::cout << "seed " << seed << '\n';
  ZipfLoad load(seed);
  const auto start = Clock::now();
  Corral corral(options());
  corral.wait_until_serving();
  Client asking = corral.connect();
  load.run(corral, 4, start + std::chrono::seconds(13));  // less than a half-life: the window is all that was read
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const Reply told = asking.command("CORRAL", "HOTKEYS", 10);

  const std::vector<uint64_t> counts = load.counts();
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 10, order.end(),
                    [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  std::cout << std::accumulate(counts.begin(), counts.end(), uint64_t{0}) / seconds << " reads a second\n";
  ASSERT_EQ(told.elements.size(), 20u) << to_string(told);
  for (size_t i = 0; i < 10; ++i) {
    const double truth = static_cast<double>(counts[order[i]]) / seconds;
    const double rate = std::stod(told.elements[2 * i + 1].text);
    EXPECT_EQ(told.elements[2 * i].text, "hot:" + std::to_string(order[i])) << "at " << i;
    EXPECT_NEAR(rate, truth, truth * 0.05) << "at " << i;
    std::cout << told.elements[2 * i].text << ": " << rate << " a second, in fact " << truth << '\n';
  }
}

TEST_F(HotKeysTest, each_key_of_a_command_is_a_read_and_writes_are_none) {
  Corral corral(options());
  corral.wait_until_serving();
  Client client = corral.connect();
  for (int i = 0; i < 50; ++i) {
    client.command("MGET", "a", "b", "b2");
    client.command("HGET", "b", "f");
    client.command("SET", "written", "v");
  }
  const Reply told = client.command("CORRAL", "HOTKEYS", 3);
  ASSERT_EQ(told.elements.size(), 6u) << to_string(told);
  EXPECT_EQ(told.elements[0].text, "b");
  EXPECT_NEAR(std::stod(told.elements[1].text), 2 * std::stod(told.elements[3].text), 0.2);
  EXPECT_EQ(to_string(client.command("CORRAL", "HOTKEYS")).find("written"), std::string::npos);
  for (const char* wrong : {"0", "-1", "x", "1001"}) {
    EXPECT_TRUE(client.command("CORRAL", "HOTKEYS", wrong).is_error()) << wrong;
  }
}

TEST_F(HotKeysTest, names_of_keys_are_told_only_to_who_may_read_all_of_them) {
  CorralOptions with_users = options();
  with_users.settings =
      "[server]\nusers = [\"user default on nopass ~* &* +@all\", \"user part on >pw ~part:* &* +@all\","
      " \"user reader on >pw %R~* +corral\", \"user split on >pw -@all +get %R~* (~part:* +@all)\"]\n";
  Corral corral(with_users);
  corral.wait_until_serving();
  Client client = corral.connect();
  client.command("GET", "secret:name");
  const auto may = [&](const char* user, Args command) {
    Client one = corral.connect();
    EXPECT_EQ(one.command("AUTH", user, "pw"), Reply::status("OK"));
    command.insert(command.begin(), "CORRAL");
    const Reply reply = one.command(command);
    EXPECT_TRUE(!reply.is_error() || reply.text.starts_with("NOPERM")) << to_string(reply);
    return !reply.is_error();
  };
  for (const Args& command : {Args{"HOTKEYS"}, Args{"BIGKEYS"}, Args{"SLOWLOG", "GET"}}) {
    EXPECT_FALSE(may("part", command)) << command[0];
    EXPECT_FALSE(may("split", command)) << command[0] << ": of two selectors one must allow both";
    EXPECT_TRUE(may("reader", command)) << command[0];
  }
  EXPECT_TRUE(may("part", {"STATS"}));
}

// Key, bytes, elements, command of each.
std::vector<std::vector<std::string>> big_keys(Client& client) {
  std::vector<std::vector<std::string>> result;
  for (const Reply& key : client.command("CORRAL", "BIGKEYS").elements) {
    std::vector<std::string> fields;
    for (size_t i = 1; i < key.elements.size(); i += 2) {
      const Reply& field = key.elements[i];
      fields.push_back(field.type == Reply::Type::kInteger ? std::to_string(field.integer) : field.text);
    }
    result.push_back(fields);
  }
  return result;
}

TEST_F(HotKeysTest, largest_values_and_collections_that_passed_by_are_told) {
  const Port admin;
  CorralOptions with_admin = options();
  with_admin.admin = "127.0.0.1:" + std::to_string(admin.number());
  Corral corral(with_admin);
  corral.wait_until_serving();
  Client client = corral.connect(), direct(cluster_->owner_of("big:list").port());
  client.command("SET", "big:written", std::string(100'000, 'x'));
  client.command("SET", "hot:small", std::string(1'000, 'x'));
  Args push = {"RPUSH", "big:list"};
  for (int i = 0; i < 1'000; ++i) push.push_back(std::string(50, 'e'));
  direct.command(push);  // past it: only the read is seen
  client.command("LRANGE", "big:list", 0, -1);
  client.command("SET", "hot:streamed", std::string(6 << 20, 'x'));
  client.command("SET", "hot:one", std::string(30'000, 'x'));
  client.command("MGET", "hot:one", "hot:small");
  const auto told = big_keys(client);
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0], (std::vector<std::string>{"hot:streamed", std::to_string(6 << 20), "0", "set"}));
  EXPECT_EQ(told[1], (std::vector<std::string>{"big:written", "100000", "0", "set"}));
  EXPECT_EQ(told[2][0], "big:list");
  EXPECT_EQ(told[2][2], "1000");
  EXPECT_EQ(told[2][3], "lrange");
  EXPECT_EQ(told[3][0], "hot:one");
  client.command("GET", "hot:streamed");  // streamed to the client
  EXPECT_EQ(big_keys(client)[0][3], "get");
  const Metrics metrics = parse_metrics(http_get(admin.number(), "/metrics").body);
  EXPECT_EQ(metrics.at("corral_big_key_bytes{rank=\"2\"}"), 100'000);
  EXPECT_TRUE(metrics.contains("corral_hot_key_reads_per_second{rank=\"1\"}"));
  EXPECT_FALSE(metrics.contains("corral_big_key_bytes{rank=\"5\"}"));
}

}  // namespace
}  // namespace corral::test

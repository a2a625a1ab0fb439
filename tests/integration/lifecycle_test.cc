// How the program starts, stops and is replaced by a new process: in-flight requests are answered, no connection is
// reset, the exit status tells, and what is wrong is said in one clear line.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

class LifecycleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }

  static CorralOptions options() { return {.upstream = cluster_->seeds()}; }
  static inline std::unique_ptr<RedisCluster> cluster_;
};

TEST_F(LifecycleTest, sigterm_ends_an_idle_corral_at_once) {
  Corral corral(options());
  Client idle = corral.connect();
  idle.command("PING");
  corral.terminate();
  EXPECT_EQ(corral.wait_for_exit(milliseconds(5000)), 0);
  EXPECT_TRUE(idle.closes());
  EXPECT_THROW(corral.connect(), Disconnected);
}

TEST_F(LifecycleTest, sigterm_answers_what_is_in_flight) {
  Corral corral(options());
  corral.wait_until_serving();
  RedisServer& node = cluster_->owner_of("inflight");
  Client client = corral.connect(), idle = corral.connect();
  client.command("SET", "inflight", "0");
  idle.command("PING");
  node.pause();
  client.send(encode_all(std::vector<Args>(100, Args{"INCR", "inflight"})));
  const auto requests = [&] { return info_field(idle.command("INFO", "corral").text, "requests"); };
  require_eventually("the requests are in", [&] { return std::stoi("0" + requests()) >= 102; });
  corral.terminate();
  require_eventually("it no longer accepts", [&] {
    try {
      corral.connect();
      return false;
    } catch (const Disconnected&) {
      return true;
    }
  });
  EXPECT_TRUE(corral.running());
  node.resume();
  for (int i = 1; i <= 100; ++i) ASSERT_EQ(client.read_reply(), Reply::number(i));
  EXPECT_TRUE(client.closes());
  EXPECT_EQ(corral.wait_for_exit(milliseconds(5000)), 0);
}

TEST_F(LifecycleTest, a_drain_ends_at_its_deadline) {
  CorralOptions hasty = options();
  hasty.settings = "[server]\ndrain_timeout = \"500ms\"\n[upstream]\nrequest_timeout = \"60s\"\n";
  Corral corral(hasty);
  corral.wait_until_serving();
  RedisServer& node = cluster_->owner_of("stuck");
  Client client = corral.connect();
  client.command("SET", "stuck", "0");
  node.pause();
  client.send(encode({"INCR", "stuck"}));
  EXPECT_FALSE(client.readable(milliseconds(50)));
  corral.terminate();
  const auto status = corral.wait_for_exit(milliseconds(8000));
  node.resume();
  EXPECT_EQ(status, 0);
}

// Short connections, as many as go, from several threads; what fails is remembered.
class ShortConnections {
 public:
  ShortConnections(uint16_t port, int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.push_back(std::make_unique<Background>([this, port, i](Background::Stop stop) { run(port, i, stop); }));
    }
  }
  void stop() {
    for (const auto& thread : threads_) thread->finish();
  }
  int finished() const { return finished_; }
  std::vector<std::string> failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }

 private:
  void run(uint16_t port, int thread, Background::Stop stop) {
    while (!stop) {
      try {
        one_connection(port, thread);
        ++finished_;
      } catch (const std::runtime_error& error) {
        const std::lock_guard lock(mutex_);
        failures_.push_back(error.what());
        if (failures_.size() > 20) return;
      }
    }
  }

  static void one_connection(uint16_t port, int thread) {
    Client client(port);
    const std::string key = "short:" + std::to_string(thread);
    for (int i = 0; i < 10; ++i) {
      const std::string value = std::to_string(i);
      const Reply set = client.command("SET", key, value), get = client.command("GET", key);
      if (set != Reply::status("OK") || get.text != value) {
        throw std::runtime_error("SET " + to_string(set) + ", GET " + to_string(get));
      }
    }
  }

  std::atomic<int> finished_ = 0;
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::unique_ptr<Background>> threads_;
};

TEST_F(LifecycleTest, a_takeover_fails_and_resets_no_connection) {
  auto running = std::make_unique<Corral>(options());
  running->wait_until_serving();
  ShortConnections load(running->port(), 4);
  for (int generation = 0; generation < 3; ++generation) {
    const int before = load.finished();
    ASSERT_TRUE(eventually([&] { return load.finished() > before + 100; }));
    CorralOptions next_options = options();
    next_options.port = running->shared_port();
    next_options.flags = {"--takeover"};
    auto next = std::make_unique<Corral>(next_options);
    EXPECT_EQ(running->wait_for_exit(), 0);
    EXPECT_TRUE(next->running());
    running = std::move(next);
  }
  const int before = load.finished();
  EXPECT_TRUE(eventually([&] { return load.finished() > before + 100; }));
  load.stop();
  EXPECT_EQ(load.failures(), std::vector<std::string>());
}

TEST_F(LifecycleTest, a_takeover_leaves_long_connections_their_replies) {
  Corral old(options());
  old.wait_until_serving();
  Client client = old.connect();
  RedisServer& node = cluster_->owner_of("long");
  client.command("SET", "long", "0");
  node.pause();
  client.send(encode_all(std::vector<Args>(10, Args{"INCR", "long"})));
  CorralOptions next_options = options();
  next_options.port = old.shared_port();
  next_options.flags = {"--takeover"};
  Corral next(next_options);
  node.resume();
  for (int i = 1; i <= 10; ++i) ASSERT_EQ(client.read_reply(), Reply::number(i));
  EXPECT_EQ(old.wait_for_exit(), 0);
  EXPECT_EQ(next.connect().command("GET", "long").text, "10");
}

TEST_F(LifecycleTest, a_takeover_of_nobody_starts_or_says_why_not) {
  CorralOptions alone = options();
  alone.flags = {"--takeover"};
  alone.wait_until_ready = false;
  Corral corral(alone);
  const bool answers = eventually([&] {
    try {
      return !corral.running() || corral.connect().command("PING") == Reply::status("PONG");
    } catch (const Disconnected&) {
      return false;
    }
  });
  EXPECT_TRUE(answers);
  if (!corral.running()) {
    EXPECT_EQ(corral.wait_for_exit(), 1);
    EXPECT_NE(corral.log(), "");
  }
}

TEST_F(LifecycleTest, takeovers_that_fail_leave_the_old_one_serving) {
  Corral old(options()), other(options());
  for (int attempt = 0; attempt < 4; ++attempt) {
    const Finished next = run({corral_binary(), "--takeover", "--listen", old.address(), "--listen", other.address(),
                               "--upstream", cluster_->seeds(), "--admin", ""});
    EXPECT_EQ(next.status, 1) << next.output;
    EXPECT_EQ(old.connect().command("PING"), Reply::status("PONG")) << attempt;
  }
}

TEST_F(LifecycleTest, a_file_that_is_no_socket_is_left_alone) {
  TempDir dir;
  const std::string file = dir.path() / "notes.txt";
  std::ofstream(file) << "dear";
  const Finished corral = run({corral_binary(), "--listen", "unix:" + file, "--upstream", cluster_->seeds()});
  EXPECT_EQ(corral.status, 1) << corral.output;
  EXPECT_NE(corral.output.find("not a socket"), std::string::npos) << corral.output;
  EXPECT_EQ(std::filesystem::file_size(file), 4u);
}

// Who cannot be accepted waits, and costs neither time nor lines of the log; others are served.
TEST_F(LifecycleTest, without_files_left_it_waits_for_some) {
  Corral corral(options());
  corral.wait_until_serving();
  Client good = corral.connect();
  good.command("PING");
  rlimit all{}, few{};
  ASSERT_EQ(prlimit(corral.pid(), RLIMIT_NOFILE, nullptr, &all), 0);
  few = {10, all.rlim_max};
  ASSERT_EQ(prlimit(corral.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<Client> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(corral.connect());
  for (Client& client : waiting) client.send(encode({"PING"}));
  require_eventually("it is said",
                     [&] { return corral.log().find("accept: Too many open files") != std::string::npos; });
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(good.command("PING"), Reply::status("PONG"));
  ASSERT_EQ(prlimit(corral.pid(), RLIMIT_NOFILE, &all, nullptr), 0);
  for (Client& client : waiting) EXPECT_EQ(client.read_reply(), Reply::status("PONG"));
  const std::string log = corral.log();
  size_t said = 0;
  for (size_t at = 0; (at = log.find("accept: ", at)) != std::string::npos; ++at) ++said;
  EXPECT_LE(said, 20u);
}

TEST_F(LifecycleTest, a_taken_port_is_said_clearly) {
  Corral first(options());
  const Finished second = run({corral_binary(), "--listen", first.address(), "--upstream", cluster_->seeds()});
  EXPECT_EQ(second.status, 1) << second.output;
  EXPECT_NE(second.output.find(first.address()), std::string::npos) << second.output;
  EXPECT_NE(second.output.find("Address already in use"), std::string::npos) << second.output;
  EXPECT_EQ(first.connect().command("PING"), Reply::status("PONG"));
}

TEST(CommandLineTest, what_is_wrong_ends_with_status_2_and_one_line) {
  const std::string binary = corral_binary();
  for (const std::vector<std::string>& flags : {std::vector<std::string>{"--bogus"},
                                                {"--listen", "nonsense"},
                                                {"--listen", "127.0.0.1:99999"},
                                                {"--workers", "-1"},
                                                {"--workers", "many"},
                                                {"--upstream", ""},
                                                {"--log-level", "loud"},
                                                {"--config", "/no/such/file"}}) {
    std::vector<std::string> argv = {binary};
    argv.insert(argv.end(), flags.begin(), flags.end());
    const Finished corral = run(argv);
    EXPECT_EQ(corral.status, 2) << flags[0] << ": " << corral.output;
    EXPECT_EQ(std::count(corral.output.begin(), corral.output.end(), '\n'), 1) << corral.output;
  }
}

TEST(CommandLineTest, a_wrong_setting_is_named_with_its_line) {
  TempDir dir;
  const std::string file = dir.path() / "corral.toml";
  std::ofstream(file) << "[server]\nworkers = 1\nwrokers = 2\n";
  const Finished corral = run({corral_binary(), "--config", file});
  EXPECT_EQ(corral.status, 2);
  EXPECT_EQ(corral.output.find(file + ":3: "), 0u) << corral.output;
  EXPECT_NE(corral.output.find("wrokers"), std::string::npos) << corral.output;
  EXPECT_EQ(std::count(corral.output.begin(), corral.output.end(), '\n'), 1) << corral.output;
}

TEST(CommandLineTest, help_version_and_check_end_well) {
  for (const char* flag : {"--help", "--version", "--check", "--print-config"}) {
    const Finished corral = run({corral_binary(), flag});
    EXPECT_EQ(corral.status, 0) << flag;
    EXPECT_NE(corral.output, "") << flag;
  }
}

TEST_F(LifecycleTest, dead_seeds_are_passed_over) {
  Port dead, another;
  CorralOptions mixed = options();
  mixed.upstream = "127.0.0.1:" + std::to_string(dead.number()) + ",127.0.0.1:" + std::to_string(another.number()) +
                   "," + cluster_->node(1).address();
  Corral corral(mixed);
  corral.wait_until_serving();
  EXPECT_EQ(corral.connect().command("SET", "k", "v"), Reply::status("OK"));
}

TEST(LateClusterTest, corral_starts_before_its_cluster_and_recovers) {
  RedisCluster cluster({.settings = {"--appendonly", "no"}});
  for (size_t i = 0; i < cluster.size(); ++i) cluster.node(i).kill();
  Corral corral({.upstream = cluster.seeds(), .settings = "[upstream]\nrequest_timeout = \"1s\"\n"});
  Client client = corral.connect();
  EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
  EXPECT_TRUE(client.command("GET", "k").is_error("CLUSTERDOWN"));
  EXPECT_TRUE(client.command("SET", "k", "v").is_error("CLUSTERDOWN"));
  EXPECT_FALSE(client.command("INFO").is_error());
  for (size_t i = 0; i < cluster.size(); ++i) cluster.node(i).restart();
  corral.wait_until_serving();
  EXPECT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  corral.terminate();
  EXPECT_EQ(corral.wait_for_exit(milliseconds(5000)), 0);
}

}  // namespace
}  // namespace corral::test

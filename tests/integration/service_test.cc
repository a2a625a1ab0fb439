// Corral as a service: what the service manager is told from the start to the end, and SIGUSR2, by which a running
// process puts a new one in its place.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "support/corral.h"
#include "support/redis.h"

namespace corral::test {
namespace {

// The socket of a service manager, told of to all that is started while it lives.
class Manager {
 public:
  Manager() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const std::string path = dir_.path() / "notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) throw std::runtime_error("bind");
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // The next datagram, waited for.
  std::string hear() const {
    char buffer[1024];
    ssize_t size = -1;
    require_eventually("the service manager is told", [&] {
      size = recv(fd_, buffer, sizeof(buffer), 0);
      return size >= 0;
    });
    return std::string(buffer, static_cast<size_t>(size));
  }
  bool has_heard_nothing() const {
    char byte;
    return recv(fd_, &byte, 1, MSG_PEEK) < 0;
  }

 private:
  TempDir dir_;
  int fd_;
};

constexpr const char* kStandalone = "[upstream]\nmode = \"standalone\"\n";

class ServiceTest : public ::testing::Test {
 protected:
  CorralOptions options() const { return {.upstream = redis_.address(), .settings = kStandalone}; }
  // Likewise, with the settings in `file_`, which a test may change.
  CorralOptions options_with_file() const {
    std::ofstream(file_) << kStandalone;
    return {.upstream = redis_.address(), .flags = {"--config", file_}};
  }
  static std::string serving(pid_t pid) { return "READY=1\nMAINPID=" + std::to_string(pid) + "\nSTATUS=serving"; }
  static pid_t pid_of(Client& client) {
    return std::stoi(info_field(client.command("INFO", "server").text, "process_id"));
  }

  RedisServer redis_;
  TempDir dir_;
  const std::string file_ = dir_.path() / "corral.toml";
};

TEST_F(ServiceTest, start_reload_and_stop_are_told) {
  const Manager manager;
  Corral corral(options());
  EXPECT_EQ(manager.hear(), serving(corral.pid()));
  corral.signal(SIGHUP);
  EXPECT_EQ(manager.hear().substr(0, 27), "RELOADING=1\nMONOTONIC_USEC=");
  EXPECT_EQ(manager.hear(), "READY=1\nSTATUS=serving") << "a reload makes nobody the main process";
  EXPECT_TRUE(manager.has_heard_nothing());
  corral.terminate();
  EXPECT_EQ(manager.hear(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000");
  EXPECT_EQ(corral.wait_for_exit(), 0);
}

TEST_F(ServiceTest, a_reload_that_fails_is_told_with_its_reason) {
  const Manager manager;
  Corral corral(options_with_file());
  EXPECT_EQ(manager.hear(), serving(corral.pid()));
  std::ofstream(file_) << "[server]\nwrokers = 2\n";
  corral.signal(SIGHUP);
  EXPECT_EQ(manager.hear().substr(0, 11), "RELOADING=1");
  const std::string ready = manager.hear();
  EXPECT_EQ(ready.substr(0, 8), "READY=1\n");
  EXPECT_NE(ready.find(file_ + ":2: "), std::string::npos) << ready;
}

TEST_F(ServiceTest, sigusr2_puts_a_new_process_in_the_place_of_the_old_one) {
  const Manager manager;
  Corral old(options());
  EXPECT_EQ(manager.hear(), serving(old.pid()));
  Client client = old.connect();
  client.command("SET", "k", "v");
  EXPECT_EQ(pid_of(client), old.pid());
  old.signal(SIGUSR2);
  const std::string ready = manager.hear();
  EXPECT_EQ(old.wait_for_exit(), 0);
  EXPECT_TRUE(manager.has_heard_nothing());  // the service does not stop: the old process says nothing of its end
  Client again = old.connect();
  const pid_t successor = pid_of(again);
  EXPECT_NE(successor, old.pid());
  EXPECT_EQ(ready, serving(successor));
  EXPECT_EQ(again.command("GET", "k").text, "v");
  kill(successor, SIGTERM);
  EXPECT_EQ(manager.hear().substr(0, 10), "STOPPING=1");
  require_eventually("the successor ends", [&] { return kill(successor, 0) != 0; });
}

TEST_F(ServiceTest, a_new_process_that_cannot_start_leaves_the_old_one_serving) {
  Corral corral(options_with_file());
  std::ofstream(file_) << "wrong";
  for (int attempt = 1; attempt <= 3; ++attempt) {
    corral.signal(SIGUSR2);
    require_eventually("it is said in the log", [&] {
      size_t said = 0;
      const std::string log = corral.log(), words = "the new process has ended, status 2";
      for (size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++said;
      return said == static_cast<size_t>(attempt);
    });
    EXPECT_EQ(corral.connect().command("PING"), Reply::status("PONG"));
  }
}

}  // namespace
}  // namespace corral::test

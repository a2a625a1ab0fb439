// What a service manager hears: a unix socket plays its part.
#include "proxy/uv/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace corral::uv {
namespace {

// Listens at `name` ('@': abstract) and is told of in $NOTIFY_SOCKET while it lives.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0) << std::strerror(errno);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // One datagram; "" if there is none.
  std::string hear() const {
    char buffer[1024];
    const ssize_t size = recv(fd_, buffer, sizeof(buffer), 0);
    return size < 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  int fd_;
};

std::string abstract_name() { return "@corral-notify-test-" + std::to_string(getpid()); }

TEST(NotifyTest, who_has_not_asked_is_told_nothing) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(notify_service_manager("READY=1"));
}

TEST(NotifyTest, one_datagram_reaches_an_abstract_socket) {
  const Manager manager(abstract_name());
  EXPECT_TRUE(notify_service_manager("READY=1\nSTATUS=x"));
  EXPECT_EQ(manager.hear(), "READY=1\nSTATUS=x");
  EXPECT_EQ(manager.hear(), "");
}

TEST(NotifyTest, one_datagram_reaches_a_path) {
  std::string directory = ::testing::TempDir() + "corral-notify-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/socket";
  {
    const Manager manager(path);
    EXPECT_TRUE(notify_service_manager("STOPPING=1"));
    EXPECT_EQ(manager.hear(), "STOPPING=1");
  }
  unlink(path.c_str());
  rmdir(directory.c_str());
}

TEST(NotifyTest, a_name_that_leads_nowhere_is_no_error_for_the_caller) {
  const std::string too_long = "/" + std::string(sizeof(sockaddr_un::sun_path) - 1, 'x');
  for (const std::string& name : {std::string(), std::string("/"), std::string("relative"), std::string("vsock:2:1"),
                                  std::string("/no/such/socket"), abstract_name(), too_long}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_FALSE(notify_service_manager("READY=1")) << name;
  }
  unsetenv("NOTIFY_SOCKET");
}

TEST(NotifyTest, ready_names_the_main_process_and_a_status_of_one_line) {
  const Manager manager(abstract_name());
  notify_ready("two\nlines");
  EXPECT_EQ(manager.hear(), "READY=1\nMAINPID=" + std::to_string(getpid()) + "\nSTATUS=two lines");
}

TEST(NotifyTest, reloading_tells_the_monotonic_time) {
  const Manager manager(abstract_name());
  notify_reloading();
  const std::string first = manager.hear();
  notify_reloading();
  const std::string second = manager.hear(), prefix = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_EQ(first.substr(0, prefix.size()), prefix);
  ASSERT_EQ(second.substr(0, prefix.size()), prefix);
  EXPECT_GT(std::stoull(first.substr(prefix.size())), 0u);
  EXPECT_GE(std::stoull(second.substr(prefix.size())), std::stoull(first.substr(prefix.size())));
}

TEST(NotifyTest, stopping_asks_for_the_time_of_the_drain) {
  const Manager manager(abstract_name());
  notify_stopping(10'000);
  EXPECT_EQ(manager.hear(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000");
}

}  // namespace
}  // namespace corral::uv

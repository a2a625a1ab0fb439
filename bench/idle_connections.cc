// Opens many connections to a server and holds them, idle, so that somebody else can see what they cost it.
//
//   corral_idle_connections HOST PORT COUNT
//
// Each connection sends one PING and waits for its answer, so that the server has really taken it. Then "ready" is
// printed; the connections stay open until standard input ends. HOST is an IPv4 address.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "corral_idle_connections: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

int connect_to(const sockaddr_in& server) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) die("connect");
  return fd;
}

void ping(int fd) {
  constexpr std::string_view kRequest = "*1\r\n$4\r\nPING\r\n", kAnswer = "+PONG\r\n";
  if (write(fd, kRequest.data(), kRequest.size()) != static_cast<ssize_t>(kRequest.size())) die("write");
  std::string answer;
  char chunk[64];
  while (answer.size() < kAnswer.size()) {
    const ssize_t n = read(fd, chunk, sizeof chunk);
    if (n == 0) errno = ECONNRESET;
    if (n <= 0) die("read");
    answer.append(chunk, static_cast<size_t>(n));
  }
  if (answer == kAnswer) return;
  errno = EPROTO;
  die("the answer to PING was " + answer);
}

}  // namespace

int main(int argc, char** argv) {
  sockaddr_in server{};
  server.sin_family = AF_INET;
  if (argc != 4 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
    std::fprintf(stderr, "usage: corral_idle_connections HOST PORT COUNT\n");
    return 2;
  }
  server.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[2])));
  const int count = std::atoi(argv[3]);
  for (int i = 0; i < count; ++i) ping(connect_to(server));
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

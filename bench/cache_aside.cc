// Unmodified cache-aside clients that block, a thread and a connection each, on one hot key: the load of
// bench/stampede.sh. cache_aside.mjs is the same for ioredis; what both print is read by stampede_report.mjs.
//
//   corral_cache_aside PORT[,PORT...] --key KEY [--clients 200] [--reads-per-second 500] [--seconds 60] [--ttl-ms 5000]
//     [--origin-ms 200]
//
// Each client reads in its turn. Who is told that the key is missing waits for the origin, which here takes its time
// and does nothing else, and sets the key to the time of the day. Prints a line for each read: when it began (ms, by
// the clock of the day), ms until its GET was answered, ms until it had a value, `hit`, `nil` or `error`, and the
// value.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::system_clock;

struct Plan {
  std::vector<uint16_t> ports;
  std::string key;
  int clients = 200, reads_per_second = 500, seconds = 60, ttl_ms = 5000, origin_ms = 200;
};

double to_ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }
double day_ms(Clock::time_point time) { return to_ms(time.time_since_epoch()); }

/// A blocking client of RESP2, as small as may be. Throws when its connection is lost.
class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) fail("connect");
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(fd_); }

  enum class Kind { kValue, kNil, kError };
  struct Reply {
    Kind kind;
    std::string text;
  };

  Reply command(const std::vector<std::string>& words) {
    std::string bytes;
    bytes.append("*").append(std::to_string(words.size())).append("\r\n");
    for (const std::string& word : words) {
      bytes.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
    }
    if (send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) fail("send");
    return read_reply();
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    throw std::runtime_error(std::string(what) + ": " + strerror(errno));
  }

  /// Of one line, or a string.
  Reply read_reply() {
    const std::string line = take(line_end());
    if (line[0] == '-') return {Kind::kError, line};
    if (line[0] != '$') return {Kind::kValue, line};
    if (line[1] == '-') return {Kind::kNil, {}};
    std::string value = take(std::stoul(line.substr(1)) + 2);
    value.resize(value.size() - 2);
    return {Kind::kValue, value};
  }

  size_t line_end() {
    size_t end;
    while ((end = inbox_.find('\n')) == std::string::npos) receive();
    return end + 1;
  }

  std::string take(size_t count) {
    while (inbox_.size() < count) receive();
    std::string bytes = inbox_.substr(0, count);
    inbox_.erase(0, count);
    return bytes;
  }

  void receive() {
    char buffer[4096];
    const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) fail("recv");
    inbox_.append(buffer, static_cast<size_t>(count));
  }

  int fd_;
  std::string inbox_;
};

class Caller {
 public:
  Caller(const Plan& plan, int number)
      : plan_(plan), number_(number), client_(plan.ports[static_cast<size_t>(number) % plan.ports.size()]) {}

  void run(Clock::time_point start) {
    using Micros = std::chrono::microseconds;
    const Micros interval(1'000'000LL * plan_.clients / plan_.reads_per_second);
    const auto end = start + std::chrono::seconds(plan_.seconds);
    for (auto next = start + interval * number_ / plan_.clients; next < end;
         next = std::max(next + interval, Clock::now())) {
      std::this_thread::sleep_until(next);
      read();
    }
  }

  const std::string& lines() const { return lines_; }

 private:
  /// What everybody's cache-aside code does.
  void read() {
    const auto asked = Clock::now();
    Client::Reply reply = client_.command({"GET", plan_.key});
    const auto told = Clock::now();
    const Client::Kind kind = reply.kind;
    if (kind == Client::Kind::kNil) {
      std::this_thread::sleep_for(std::chrono::milliseconds(plan_.origin_ms));
      reply.text = std::to_string(day_ms(Clock::now()));
      client_.command({"SET", plan_.key, reply.text, "PX", std::to_string(plan_.ttl_ms)});
    }
    note(asked, told, kind, reply.text);
  }

  void note(Clock::time_point asked, Clock::time_point told, Client::Kind kind, const std::string& value) {
    static constexpr const char* kNames[] = {"hit", "nil", "error"};
    char line[200];
    std::snprintf(line, sizeof line, "%.3f,%.3f,%.3f,%s,%s\n", day_ms(asked), to_ms(told - asked),
                  to_ms(Clock::now() - asked), kNames[static_cast<int>(kind)],
                  kind == Client::Kind::kError ? "" : value.c_str());
    lines_ += line;
  }

  const Plan& plan_;
  const int number_;
  Client client_;
  std::string lines_;
};

[[noreturn]] void end_with_usage(std::string_view what) {
  std::fprintf(stderr,
               "corral_cache_aside: %.*s\nusage: corral_cache_aside PORT[,PORT...] --key KEY [--clients N] "
               "[--reads-per-second N] [--seconds N]\n  [--ttl-ms N] [--origin-ms N]\n",
               static_cast<int>(what.size()), what.data());
  std::exit(2);
}

int number_in(std::string_view text, int max) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > max) end_with_usage(text);
  return number;
}

Plan parse_arguments(int argc, char** argv) {
  Plan plan;
  if (argc < 2 || argc % 2) end_with_usage("PORTs and pairs of an option and its value are wanted");
  for (std::string_view ports = argv[1]; !ports.empty();) {
    const size_t comma = std::min(ports.find(','), ports.size());
    plan.ports.push_back(static_cast<uint16_t>(number_in(ports.substr(0, comma), UINT16_MAX)));
    ports.remove_prefix(std::min(comma + 1, ports.size()));
  }
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i], value = argv[i + 1];
    if (name == "--key") {
      plan.key = value;
    } else if (name == "--clients") {
      plan.clients = number_in(value, 10'000);
    } else if (name == "--reads-per-second") {
      plan.reads_per_second = number_in(value, 1'000'000);
    } else if (name == "--seconds") {
      plan.seconds = number_in(value, 100'000);
    } else if (name == "--ttl-ms") {
      plan.ttl_ms = number_in(value, 1'000'000);
    } else if (name == "--origin-ms") {
      plan.origin_ms = number_in(value, 1'000'000);
    } else {
      end_with_usage(name);
    }
  }
  if (plan.key.empty()) end_with_usage("--key is missing");
  return plan;
}

}  // namespace

int main(int argc, char** argv) try {
  const Plan plan = parse_arguments(argc, argv);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < plan.clients; ++i) callers.push_back(std::make_unique<Caller>(plan, i));
  const auto start = Clock::now() + std::chrono::milliseconds(200);
  std::vector<std::thread> threads;
  for (auto& caller : callers) {
    threads.emplace_back([&caller, start] {
      try {
        caller->run(start);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "corral_cache_aside: %s\n", error.what());
        std::_Exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& caller : callers) std::fputs(caller->lines().c_str(), stdout);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "corral_cache_aside: %s\n", error.what());
  return 1;
}

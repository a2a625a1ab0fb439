// A load that redis-benchmark cannot make: keys that are not asked for alike, reads and writes mixed, values of mixed
// sizes. It measures what a cache in front of the servers is worth, and what it costs where it is worth nothing.
//
//   corral_skewed_load HOST PORT [--connections 50] [--pipeline 16] [--requests N] [--keys 100000]
//     [--skew zipf:0.99 | uniform | one | sequence] [--reads 0.95] [--value-bytes 64 | --sizes MIN-MAX]
//     [--load EVERY] [--seed 1]
//
// Key number 12 is key:000000000012, as redis-benchmark names it; number 0 is the one that zipf asks for the most.
// `one` asks for number 0 alone, `sequence` for one number after the other. Sizes are a mix in which each doubling is
// as frequent as the next, and fixed for each key. --load first writes every EVERYth key once (1: all of them).
//
// Prints one line: requests/s, p50 and p99 in ms, share of the GETs that were nil. As redis-benchmark does, a
// connection sends its next batch of --pipeline requests when the last one is answered; a latency is that of a whole
// batch. One thread, and as little work for each request as may be, since the servers share the machine with it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "skewed_requests.h"

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "corral_skewed_load: %s\n", what.c_str());
  std::exit(1);
}

[[noreturn]] void die_of_errno(const char* what) { die(std::string(what) + ": " + std::strerror(errno)); }

/// Counts of latencies by the microsecond; what took longer than a second is counted as a second.
class Latencies {
 public:
  void add(Clock::duration time) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    ++counts_[static_cast<size_t>(std::clamp<long long>(us, 0, kMaxUs))];
    ++sum_;
  }

  double quantile_ms(double share) const {
    uint64_t before = 0;
    for (size_t us = 0; us < counts_.size(); ++us) {
      before += counts_[us];
      if (static_cast<double>(before) >= share * static_cast<double>(sum_)) return static_cast<double>(us) / 1000;
    }
    return 0;
  }

 private:
  static constexpr long long kMaxUs = 1'000'000;
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kMaxUs + 1);
  uint64_t sum_ = 0;
};

struct Connection {
  int fd = -1;
  std::string out;       // the batch
  size_t sent = 0;       // bytes of it
  uint64_t waiting = 0;  // replies to come
  size_t to_skip = 0;    // bytes to come of a value and its line end
  std::string line;      // one that has come in part
  Clock::time_point started;
};

int connect_to(const sockaddr_in& server) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die_of_errno("socket");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) die_of_errno("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// One run of a plan over connections of its own.
class Run {
 public:
  explicit Run(const Plan& plan)
      : plan_(plan),
        numbers_(plan),
        writer_(plan),
        random_(~plan.seed),
        reads_of_2_32_(part_of_2_32(plan.reads)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        connections_(std::min(plan.connections, std::max<uint64_t>(plan.requests, 1))) {
    for (Connection& connection : connections_) {
      connection.fd = connect_to(plan.server);
      // Edge-triggered: one registration for both directions, whichever of them is waited for.
      epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &connection}};
      if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) die_of_errno("epoll_ctl");
    }
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    for (const Connection& connection : connections_) close(connection.fd);
    close(epoll_);
  }

  void go() {
    started_ = Clock::now();
    for (Connection& connection : connections_) send_batch(connection, started_);
    std::array<epoll_event, 256> events;
    while (answered_ < plan_.requests) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kSilenceMs);
      if (count == 0) die("no answer for a minute");
      if (count < 0 && errno != EINTR) die_of_errno("epoll_wait");
      for (int i = 0; i < count; ++i) {
        Connection& connection = *static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (events[static_cast<size_t>(i)].events & EPOLLOUT) flush(connection);
        receive(connection);
      }
    }
    ended_ = Clock::now();
  }

  void print() const {
    const double seconds = std::chrono::duration<double>(ended_ - started_).count();
    std::printf("%.1f,%.3f,%.3f,%.4f\n", static_cast<double>(answered_) / seconds, latencies_.quantile_ms(0.5),
                latencies_.quantile_ms(0.99), gets_ ? static_cast<double>(nils_) / static_cast<double>(gets_) : 0.0);
  }

 private:
  static constexpr int kSilenceMs = 60'000;

  void send_batch(Connection& connection, Clock::time_point now) {
    connection.waiting = std::min(plan_.pipeline, plan_.requests - issued_);
    if (connection.waiting == 0) return;
    issued_ += connection.waiting;
    connection.out.clear();
    connection.sent = 0;
    connection.started = now;
    for (uint64_t i = 0; i < connection.waiting; ++i) append_request(connection.out);
    flush(connection);
  }

  void append_request(std::string& out) {
    const uint64_t number = numbers_.next();
    if (static_cast<uint32_t>(random_.next()) >= reads_of_2_32_) return writer_.append_set(out, number);
    ++gets_;
    writer_.append_get(out, number);
  }

  static void flush(Connection& connection) {
    while (connection.sent < connection.out.size()) {
      const ssize_t n = send(connection.fd, connection.out.data() + connection.sent,
                             connection.out.size() - connection.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) die_of_errno("send");
      connection.sent += static_cast<size_t>(n);
    }
  }

  void receive(Connection& connection) {
    for (;;) {
      const ssize_t n = recv(connection.fd, input_.data(), input_.size(), MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return;
      if (n == 0) die("the server has closed a connection");
      if (n < 0) die_of_errno("recv");
      take_replies(connection, {input_.data(), static_cast<size_t>(n)});
      // A stream that gave less than was asked for is empty: the next edge tells of more.
      if (static_cast<size_t>(n) < input_.size()) return;
    }
  }

  void take_replies(Connection& connection, std::string_view bytes) {
    while (!bytes.empty()) {
      if (connection.to_skip > 0) {
        const size_t skipped = std::min(connection.to_skip, bytes.size());
        bytes.remove_prefix(skipped);
        connection.to_skip -= skipped;
        if (connection.to_skip == 0) end_reply(connection);
        continue;
      }
      const size_t line_end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, line_end);
      bytes.remove_prefix(line_end == std::string_view::npos ? bytes.size() : line_end + 1);
      if (line_end == std::string_view::npos || !connection.line.empty()) connection.line.append(piece);
      if (line_end == std::string_view::npos) return;
      take_line(connection, connection.line.empty() ? piece : std::string_view(connection.line));
      connection.line.clear();
    }
  }

  /// With its \r, without its \n.
  void take_line(Connection& connection, std::string_view line) {
    int64_t size = 0;
    if (line == "$-1\r") {
      ++nils_;
    } else if (line.starts_with('$')) {
      std::from_chars(line.data() + 1, line.data() + line.size(), size);
      connection.to_skip = static_cast<size_t>(size) + 2;
      return;
    } else if (line != "+OK\r") {
      die("the server answers " + std::string(line));
    }
    end_reply(connection);
  }

  void end_reply(Connection& connection) {
    if (connection.waiting == 0) die("more replies than requests");
    ++answered_;
    if (--connection.waiting > 0) return;
    const auto now = Clock::now();
    latencies_.add(now - connection.started);
    send_batch(connection, now);
  }

  const Plan& plan_;
  KeyNumbers numbers_;
  Writer writer_;
  Random random_;
  uint64_t reads_of_2_32_;
  int epoll_;
  std::vector<Connection> connections_;
  std::vector<char> input_ = std::vector<char>(256 * 1024);
  Latencies latencies_;
  uint64_t issued_ = 0, answered_ = 0, gets_ = 0, nils_ = 0;
  Clock::time_point started_, ended_;
};

[[noreturn]] void end_with_usage(const std::string& what) {
  std::fprintf(
      stderr,
      "corral_skewed_load: %s\nusage: corral_skewed_load HOST PORT [--connections N] [--pipeline N] [--requests "
      "N] [--keys N]\n  [--skew zipf:EXPONENT|uniform|one|sequence] [--reads SHARE] [--value-bytes N | --sizes "
      "MIN-MAX]\n  [--load EVERY] [--seed N]\n",
      what.c_str());
  std::exit(2);
}

template <class Number>
Number number_in(std::string_view text, Number min, Number max) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(number >= min && number <= max)) {
    end_with_usage("not a number that is allowed here: " + std::string(text));
  }
  return number;
}

void set_skew(Plan& plan, std::string_view text) {
  if (text == "uniform") {
    plan.skew = Skew::uniform;
  } else if (text == "one") {
    plan.skew = Skew::one;
  } else if (text == "sequence") {
    plan.skew = Skew::sequence;
  } else if (text.starts_with("zipf:")) {
    plan.skew = Skew::zipf;
    plan.exponent = number_in(text.substr(5), 0.0, 10.0);
  } else {
    end_with_usage("unknown skew " + std::string(text));
  }
}

void set_option(Plan& plan, std::string_view name, std::string_view value) {
  constexpr uint64_t kMany = 1'000'000'000'000, kMaxKeys = UINT32_MAX, kMaxBytes = 64 << 20;
  if (name == "--connections") {
    plan.connections = number_in<uint64_t>(value, 1, 100'000);
  } else if (name == "--pipeline") {
    plan.pipeline = number_in<uint64_t>(value, 1, 10'000);
  } else if (name == "--requests") {
    plan.requests = number_in<uint64_t>(value, 0, kMany);
  } else if (name == "--keys") {
    plan.keys = number_in<uint64_t>(value, 1, kMaxKeys);
  } else if (name == "--skew") {
    set_skew(plan, value);
  } else if (name == "--reads") {
    plan.reads = number_in(value, 0.0, 1.0);
  } else if (name == "--value-bytes") {
    plan.min_bytes = plan.max_bytes = number_in<uint64_t>(value, 1, kMaxBytes);
  } else if (name == "--sizes") {
    const size_t dash = std::min(value.find('-'), value.size() - 1);
    plan.min_bytes = number_in<uint64_t>(value.substr(0, dash), 1, kMaxBytes);
    plan.max_bytes = number_in<uint64_t>(value.substr(dash + 1), plan.min_bytes, kMaxBytes);
  } else if (name == "--load") {
    plan.load_every = number_in<uint64_t>(value, 1, kMaxKeys);
  } else if (name == "--seed") {
    plan.seed = number_in<uint64_t>(value, 0, UINT64_MAX);
  } else {
    end_with_usage("unknown option " + std::string(name));
  }
}

Plan parse_arguments(int argc, char** argv) {
  Plan plan;
  set_skew(plan, "zipf:0.99");
  if (argc < 3 || argc % 2 == 0) end_with_usage("HOST, PORT and pairs of an option and its value are wanted");
  plan.server.sin_family = AF_INET;
  if (inet_pton(AF_INET, argv[1], &plan.server.sin_addr) != 1) end_with_usage("HOST is an IPv4 address");
  plan.server.sin_port = htons(number_in<uint16_t>(argv[2], 1, UINT16_MAX));
  for (int i = 3; i < argc; i += 2) set_option(plan, argv[i], argv[i + 1]);
  return plan;
}

void load(Plan plan) {
  plan.skew = Skew::sequence;
  plan.step = plan.load_every;
  plan.requests = (plan.keys + plan.step - 1) / plan.step;
  plan.reads = 0;
  plan.pipeline = 64;
  Run(plan).go();
}

}  // namespace

int main(int argc, char** argv) {
  const Plan plan = parse_arguments(argc, argv);
  if (plan.load_every > 0) load(plan);
  if (plan.requests == 0) return 0;
  Run run(plan);
  run.go();
  run.print();
  return 0;
}

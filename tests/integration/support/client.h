// A client for tests, of RESP2 or RESP3 as the server sends it: commands and replies as values, raw bytes in and out,
// pipelines of any size (it reads while it writes), and clients that misbehave (send without reading, half commands,
// one byte at a time). Whatever takes longer than the client's timeout, or meets a closed connection, throws.
#pragma once

#include <concepts>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "reply.h"
#include "wait.h"

namespace corral::test {

using Args = std::vector<std::string>;

// A command as RESP's array of bulk strings.
std::string encode(const Args& args);
std::string encode_all(const std::vector<Args>& commands);

// The connection was refused, closed or reset by the other side.
struct Disconnected : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct TimedOut : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string to_arg(std::string_view text) { return std::string(text); }
template <std::integral Number>
std::string to_arg(Number number) {
  return std::to_string(number);
}

class Client {
 public:
  // Connects to 127.0.0.1.
  explicit Client(uint16_t port, milliseconds timeout = kPatience);
  ~Client();
  Client(Client&& other) noexcept;
  Client& operator=(Client&& other) noexcept;

  // One command and its reply: command("SET", key, 5).
  template <class... Words>
  Reply command(const Words&... words) {
    return command(Args{to_arg(words)...});
  }
  Reply command(const Args& args);

  // Sends bytes that are `replies` requests, and reads as many replies, both at the same time.
  std::vector<Reply> exchange(std::string_view bytes, size_t replies);
  std::vector<Reply> pipeline(const std::vector<Args>& commands) {
    return exchange(encode_all(commands), commands.size());
  }

  void send(std::string_view bytes);  // all of it
  // What the connection takes now, without waiting: the number of bytes, 0 if none. Throws if it is closed.
  size_t send_some(std::string_view bytes);
  Reply read_reply();
  std::string read_bytes(size_t count);
  // All that still comes until the server closes; also a reset counts as closing.
  std::string read_until_close();
  // Whether the server closes within the timeout, having sent nothing more.
  bool closes(milliseconds timeout = kPatience);
  // Whether bytes are there to read within the timeout.
  bool readable(milliseconds timeout);

  // A small receive buffer, so that a client that does not read fills it soon.
  void shrink_receive_buffer(int bytes);
  void finish_sending();  // half-closes
  uint16_t local_port() const;
  void set_timeout(milliseconds timeout) { timeout_ = timeout; }

 private:
  bool wait_for(short events, Clock::time_point deadline, short* got = nullptr);
  bool receive();  // appends what is there to inbox_; false at the end of the stream
  bool take_reply(Reply& out);
  void compact();

  int fd_ = -1;
  milliseconds timeout_;
  std::string inbox_;
  size_t taken_ = 0;  // of the inbox
};

}  // namespace corral::test

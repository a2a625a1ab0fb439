// What the core needs of the world outside: sockets, an inbox for each worker, randomness and the wall clock.
//
// proxy/uv implements it with libuv, tests/sim with virtual time. The core is driven from there: the transport tells a
// worker the time (Worker::begin_turn), delivers events to endpoints, and ends the turn (Worker::end_turn), in which
// the worker writes what has gathered. Everything here is called and calls back on the worker's own thread, except
// post().
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace corral::core {

class Worker;

/// What a socket reports. None of these is called from within a call to Transport.
class Endpoint {
 public:
  virtual void on_connected() {}
  /// `data` is the transport's buffer and valid during the call only.
  virtual void on_bytes(const char* data, size_t size) = 0;
  /// Sent after write() took less than it was given.
  virtual void on_writable() = 0;
  /// The peer has finished sending while the socket is not read from; what it sent before may not have been read. Told
  /// once, at most.
  virtual void on_hang_up() {}
  /// The peer has finished sending. The socket is still open for writing.
  virtual void on_end() = 0;
  /// The connection failed or could not be made; the socket is gone.
  virtual void on_failed(std::string_view reason) = 0;

 protected:
  ~Endpoint() = default;
};

/// A connection, owned by the transport from connect() or accept until close() or on_failed().
struct Socket {
  Endpoint* endpoint = nullptr;
};

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

/// Of the process, and of the calling thread; microseconds.
struct CpuTimes {
  int64_t user_us = 0, system_us = 0, thread_user_us = 0, thread_system_us = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  /// Never fails at once: on_connected() or on_failed() follows.
  virtual Socket* connect(const config::Address& address, Endpoint* endpoint) = 0;
  /// The bytes taken; if they are less than given, on_writable() follows. An error shows as on_failed() later.
  virtual size_t write(Socket* socket, const iovec* parts, int count) = 0;
  /// Whether on_bytes() is to be called. Sockets begin with true.
  virtual void set_reading(Socket* socket, bool reading) = 0;
  /// No event follows. Bytes already taken by write() are still sent.
  virtual void close(Socket* socket) = 0;

  /// Runs `work` on worker number `worker`, in a turn of its own. From any thread.
  virtual void post(uint32_t worker, std::function<void(Worker&)> work) = 0;

  /// Has the settings read again, elsewhere, and what may change while running put in force for all workers, wholly or
  /// not at all. Then `done` is called in a turn of this worker: with nothing, or one line that says what is wrong.
  using ReloadDone = std::function<void(const std::string& error)>;
  virtual void reload(ReloadDone done) { done("there are no settings to load"); }

  virtual uint64_t random() = 0;
  /// Nobody can guess it from others.
  virtual uint64_t secret_random() { return random(); }
  /// The clock of the turns (Worker::begin_turn), as it is right now.
  virtual uint64_t clock_ms() = 0;
  /// A finer one, for how long things take: monotonic microseconds, right now.
  virtual uint64_t clock_us() { return clock_ms() * 1000; }
  virtual int64_t wall_clock_us() = 0;  // microseconds since 1970
  virtual CpuTimes cpu_times() { return {}; }
  virtual void log(LogLevel level, std::string_view text) = 0;
};

}  // namespace corral::core

// A socket of UvTransport, and what it has more of if it speaks TLS.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <cstdint>
#include <memory>

#include "proxy/core/transport.h"
#include "proxy/uv/tls_stream.h"

namespace corral::uv {

class UvTransport;

/// The TLS part of a socket.
struct UvTls {
  std::unique_ptr<TlsStream> stream;
  uint64_t deadline_ms = 0;  // of the handshake or of lingering; 0: none
  bool of_client = false;    // who connected to us
};

struct UvSocket : core::Socket {
  uv_poll_t poll;
  UvTransport* transport;
  int fd = -1;
  int events = 0;       // polled for
  bool polled = false;  // the poll handle exists
  bool connecting = false;
  bool reading = true;
  bool write_blocked = false;
  bool hung_up = false;        // on_hang_up() has been called
  bool closed = false;         // by the core; no event is reported any more
  bool failing = false;        // a failure waits to be reported
  bool resolving = false;      // a look-up of the host's name refers to it
  bool lingering = false;      // closed, but not all that was taken has been sent yet
  std::unique_ptr<UvTls> tls;  // null: none is spoken
  uint32_t* choice = nullptr;  // of the host's addresses: next time another one, if it cannot be connected to

  /// The error that the system keeps for it; 0: none. It is forgotten then.
  int take_error() const {
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  }
};

}  // namespace corral::uv

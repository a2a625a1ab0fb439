// The part of UvTransport that concerns sockets that speak TLS; tls_stream.h says how bytes flow.
//
//   connecting -> handshake -> open -> closed by the core -> lingering while bytes are unsent -> gone
//
// A client is a client of the core from the beginning, so that it counts as one, but nothing of it is seen before its
// handshake is done; for that it has a time. A node counts as connected when the handshake is done, so that the core's
// own limit holds.
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/core/worker.h"
#include "proxy/uv/address.h"
#include "proxy/uv/tls_context.h"
#include "proxy/uv/uv_socket.h"
#include "proxy/uv/uv_transport.h"

namespace corral::uv {

namespace {

constexpr uint64_t kLingerMs = 10'000;  // for a client that does not read what it was sent last
constexpr uint64_t kRefusedGapMs = 1000;
constexpr size_t kMostAnswers = 2 * TlsStream::kMostAtOnce;  // bytes of TLS' own, for who does not read

// Sends what there is to send, as far as the socket takes it. False: the connection is broken (errno).
bool send_outgoing(int fd, TlsStream& stream) {
  for (std::string_view bytes; !(bytes = stream.outgoing()).empty();) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    const bool broken = sent < 0 && errno != EAGAIN;
    const int error = errno;
    stream.on_sent(broken ? bytes.size() : static_cast<size_t>(std::max<ssize_t>(sent, 0)));
    errno = error;
    if (broken) return false;
    if (sent < static_cast<ssize_t>(bytes.size())) return true;
  }
  return true;
}

}  // namespace

bool UvTransport::has_unsent(const UvSocket& socket) { return socket.tls && !socket.tls->stream->outgoing().empty(); }

TlsBuffers& UvTransport::tls_buffers() {
  if (!tls_buffers_) tls_buffers_ = std::make_unique<TlsBuffers>();
  return *tls_buffers_;
}

void UvTransport::add_server_tls(UvSocket* socket) {
  const auto contexts = tls_.current();
  socket->tls = std::make_unique<UvTls>();
  socket->tls->of_client = true;
  socket->tls->stream = TlsStream::accept(*contexts, tls_buffers());
  set_deadline(socket, now_ms() + static_cast<uint64_t>(contexts->handshake_timeout_ms));
}

void UvTransport::add_upstream_tls(UvSocket* socket, const std::string& host) {
  const auto contexts = tls_.current();
  if (!contexts->upstream) return;
  socket->tls = std::make_unique<UvTls>();
  socket->tls->stream = TlsStream::connect(*contexts, host, tls_buffers());
}

// The connection to a node is there.
void UvTransport::start_tls(UvSocket* socket) {
  socket->tls->stream->start();
  if (!send_tls(socket)) return;
  if (socket->tls->stream->failed()) return fail_tls(socket);
  update_events(socket);
}

void UvTransport::receive_tls(UvSocket* socket, size_t size) {
  TlsStream& stream = *socket->tls->stream;
  const bool was_handshaking = stream.handshaking();
  const std::string_view plain = stream.receive(buffer_.get(), size);
  send_tls(socket);  // should that fail, what came before counts all the same
  if (!socket->closed && stream.outgoing().size() > kMostAnswers) {
    return fail_later(socket, "it makes TLS answer, and does not read the answers");  // key updates
  }
  if (was_handshaking && stream.writable()) on_tls_open(socket);
  if (!socket->closed && !plain.empty()) socket->endpoint->on_bytes(plain.data(), plain.size());
  if (socket->closed || socket->failing) return;
  if (stream.failed()) return fail_tls(socket);
  if (stream.ended() && socket->reading) end_input(socket);
}

void UvTransport::on_tls_open(UvSocket* socket) {
  set_deadline(socket, 0);
  if (!socket->tls->of_client) socket->endpoint->on_connected();
}

void UvTransport::fail_tls(UvSocket* socket) {
  const std::string reason = socket->tls->stream->failure();
  if (socket->tls->of_client) note_refused(socket, reason);
  fail_later(socket, reason);
}

// Who has not shown who it is yet is told nothing: that could only be that there are too many clients.
size_t UvTransport::write_tls(UvSocket* socket, const iovec* parts, int count, size_t given) {
  TlsStream& stream = *socket->tls->stream;
  if (!stream.writable()) return given;
  size_t taken = 0;
  while (taken < given && stream.outgoing().empty()) {
    taken += stream.encrypt(parts, count, taken);
    if (!send_tls(socket)) return given;
    if (stream.failed()) {
      fail_tls(socket);
      return given;
    }
  }
  if (taken < given) {
    socket->write_blocked = true;
    update_events(socket);
  }
  return taken;
}

// False: the connection is broken, which is told later.
bool UvTransport::send_tls(UvSocket* socket) {
  if (!send_outgoing(socket->fd, *socket->tls->stream)) {
    fail_later(socket, std::strerror(errno));
    return false;
  }
  if (!socket->failing) update_events(socket);
  return true;
}

// --- after the core has closed it ---

// True: all has been sent, as far as it can be.
bool UvTransport::finish_tls(UvSocket* socket) {
  if (socket->connecting) return true;
  socket->tls->stream->finish();
  if (!send_outgoing(socket->fd, *socket->tls->stream) || !has_unsent(*socket)) return true;
  socket->lingering = true;
  lingering_.fetch_add(1, std::memory_order_relaxed);
  set_deadline(socket, now_ms() + kLingerMs);
  uv_poll_start(&socket->poll, UV_WRITABLE, [](uv_poll_t* handle, int, int) {
    auto* polled = static_cast<UvSocket*>(handle->data);
    polled->transport->linger(polled);
  });
  return false;
}

void UvTransport::linger(UvSocket* socket) {
  if (send_outgoing(socket->fd, *socket->tls->stream) && has_unsent(*socket)) return;
  end_linger(socket);
}

void UvTransport::end_linger(UvSocket* socket) {
  socket->lingering = false;
  lingering_.fetch_sub(1, std::memory_order_relaxed);
  release(socket);
}

void UvTransport::release_lingering() {
  for (const auto& [deadline, socket] : std::set(tls_deadlines_)) {
    if (socket->lingering) end_linger(socket);
  }
}

// --- time ---

// 0: none any more.
void UvTransport::set_deadline(UvSocket* socket, uint64_t deadline_ms) {
  if (!socket->tls || socket->tls->deadline_ms == deadline_ms) return;
  if (socket->tls->deadline_ms > 0) tls_deadlines_.erase({socket->tls->deadline_ms, socket});
  socket->tls->deadline_ms = deadline_ms;
  if (deadline_ms > 0) tls_deadlines_.emplace(deadline_ms, socket);
}

// Closes whose time is over. How many milliseconds the next one has.
uint32_t UvTransport::close_overdue() {
  while (!tls_deadlines_.empty()) {
    const auto [deadline_ms, socket] = *tls_deadlines_.begin();
    if (deadline_ms > now_ms()) return static_cast<uint32_t>(std::min<uint64_t>(deadline_ms - now_ms(), UINT32_MAX));
    set_deadline(socket, 0);
    if (socket->lingering) {
      end_linger(socket);
    } else if (!socket->closed && !socket->failing) {
      note_refused(socket, "the TLS handshake takes too long");
      fail_later(socket, "the TLS handshake takes too long");
    }
  }
  return UINT32_MAX;
}

// Whoever scans the port must not be able to fill the log.
void UvTransport::note_refused(UvSocket* socket, const std::string& reason) {
  ++refused_;
  if (refused_logged_ms_ != 0 && now_ms() - refused_logged_ms_ < kRefusedGapMs) return;
  spdlog::warn("{} TLS connections of clients failed; the last is {}: {}", std::exchange(refused_, 0),
               peer_text(socket->fd), reason);
  refused_logged_ms_ = now_ms();
}

}  // namespace corral::uv

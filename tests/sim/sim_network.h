// Connections without sockets: bytes on their way between the core and what stands around it (nodes, clients), cut at
// any byte, delayed, lost.
//
// A Connection has the core at one end and a Peer at the other. Within one direction bytes keep their order; nothing
// else does. Its faults: break_off() (both ends learn of it, what was on its way has arrived or not), hang() (half
// open: nothing arrives any more and nobody is told, until the hang ends).
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/transport.h"
#include "sim_loop.h"

namespace corral::sim {

class Connection;
class SimTransport;

/// The far end of a connection: a node's or a client's.
class Peer {
 public:
  virtual void on_bytes(Connection& connection, std::string_view bytes) = 0;
  /// The core has closed, or the connection was reset. Last event.
  virtual void on_closed(Connection& connection) = 0;

 protected:
  ~Peer() = default;
};

/// Something the core can connect to.
class Acceptor {
 public:
  /// Null: refused.
  virtual Peer* accept(Connection& connection) = 0;
  /// Whether an attempt to connect gets no answer at all.
  virtual bool unreachable() const = 0;

 protected:
  ~Acceptor() = default;
};

/// How a connection behaves.
struct Quality {
  int64_t latency_us = 100;    // of each way, and up to as much again
  uint32_t chop_percent = 20;  // of deliveries: cut at a random byte
  size_t window = 64 * 1024;   // bytes to the peer that write() takes before it blocks
};

class Connection final : public core::Socket {
 public:
  Connection(SimTransport& transport, uint64_t id, const Quality& quality);

  // --- the core's end, called by the transport ---
  void connect(Acceptor* acceptor, core::Endpoint* to);
  size_t write(const iovec* parts, int count);
  void set_reading(bool reading);
  void close();

  // --- the peer's end ---
  void attach(Peer* peer) { peer_ = peer; }
  void send(std::string_view bytes);
  /// No more bytes will be sent. The other direction stays open.
  void finish();
  /// The peer is gone: closes both directions. `abrupt`: what it sent last may be lost, and the core sees a reset.
  void leave(bool abrupt);
  void set_peer_reading(bool reading);
  bool peer_gone() const { return peer_ == nullptr; }

  // --- faults ---
  /// `deliver`: what is on its way to the peer arrives first (but no answer comes back).
  void break_off(bool deliver);
  /// Half open for `duration_us`. `late`: what the core has sent till then arrives after that, if the peer's end still
  /// stands; otherwise it is lost. The core's end is reset then.
  void hang(int64_t duration_us, bool late);

  uint64_t id() const { return id_; }
  std::string label() const;  // "#7", for traces
  bool open() const { return core_open_ && !hung_; }
  /// Whether it leads to a node and is in use.
  bool serves_node() const { return connected_ && open() && !failing_; }
  SimTransport& transport() { return transport_; }

 private:
  struct Flow {
    std::string bytes;
    bool scheduled = false;
    bool fin = false;       // the sender has finished
    bool fin_told = false;  // and the receiver knows
  };

  size_t chunk(size_t waiting);
  int64_t delay_us();
  void schedule_to_peer();
  void deliver_to_peer();
  void schedule_to_core();
  void deliver_to_core();
  void tell_writable();
  void fail_core(std::string reason, int64_t delay);
  void end_peer();
  void end_hang(bool late);

  SimTransport& transport_;
  SimLoop& loop_;
  const uint64_t id_;
  const Quality quality_;
  Peer* peer_ = nullptr;
  Flow to_peer_, to_core_;
  bool connected_ = false;
  bool core_open_ = true;
  bool failing_ = false;  // on_failed() is on its way
  bool reading_ = true;
  bool peer_reading_ = true;
  bool write_blocked_ = false;
  bool hung_ = false;
};

/// All connections of a run, and the addresses that can be connected to.
class SimNetwork {
 public:
  explicit SimNetwork(SimLoop& loop) : loop_(loop) {}
  SimLoop& loop() { return loop_; }
  Quality quality;  // of connections made from now on; latency and window are drawn around it

  void listen(const config::Address& address, Acceptor* acceptor);
  Acceptor* find(const config::Address& address) const;
  Connection& make(SimTransport& transport);
  const std::vector<std::unique_ptr<Connection>>& connections() const { return connections_; }

 private:
  SimLoop& loop_;
  std::map<std::pair<std::string, uint16_t>, Acceptor*> acceptors_;
  std::vector<std::unique_ptr<Connection>> connections_;  // closed ones too, till the end
};

}  // namespace corral::sim

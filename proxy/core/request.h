// A request under way: who gets the reply and what may be done if it fails. Kept small: there is one for each command
// in flight.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/core/reply_queue.h"
#include "proxy/core/slot_map.h"
#include "proxy/core/touch.h"

namespace corral::core {

class Session;

/// A slow way: takes the replies of several requests and gives one answer. It owns itself and is gone after its last
/// reply; each part that was sent gets exactly one, which may be an error of Corral's own.
class Task {
 public:
  virtual void on_reply(uint32_t part, std::string_view reply) = 0;

 protected:
  virtual ~Task() = default;
};

/// A task whose one request is several commands, sent in one piece and answered by several replies (a transaction).
class Piece : public Task {
 public:
  /// It is sent, perhaps once more: what has come for an earlier try does not count.
  virtual void begin() = 0;
  /// The next reply; true: it was the last, and verdict() stands for all of them.
  virtual bool take(std::string_view reply) = 0;
  /// A refusal if the piece was refused and not executed; else what on_reply() gets.
  virtual std::string_view verdict() = 0;
  /// Whether a reply too large to be collected is to be dropped rather; take() then gets an empty one.
  virtual bool drops_large_replies() const { return false; }
  /// That is being done.
  virtual void on_dropping() {}
};

enum RequestFlag : uint8_t {
  kReadOnly = 1,   // may be sent again after its connection was lost
  kScript = 2,     // of its errors only a MOVED or ASK of its own slot is a refusal
  kNodeBound = 4,  // for this node and no other: never held or sent elsewhere
  kDiscard = 8,    // nobody sees the reply (ASKING)
  kMayWait = 16,   // the node may take its time (BLPOP): no timeout
  kPiece = 32,     // the task is a Piece
  kReloaded = 64,  // its script has been given to the node once more (NOSCRIPT)
  kWrites = 128,   // or may write: WAIT asks the node
};

/// Of a client that wants to hear when keys change (CLIENT TRACKING).
enum class Tracked : uint8_t {
  kNot,
  kSeen,   // its client tracks
  kReads,  // likewise, and wants to hear of the keys that this reads
};

struct Request {
  Session* session = nullptr;     // holds a reference to it; null for the proxy's own requests
  Task* task = nullptr;           // gets the reply; if null, the session does
  ReplyQueue::Ticket ticket = 0;  // of the session, or the part's number in the task
  uint16_t slot = kNoSlot;
  uint8_t flags = 0;                // of RequestFlag
  uint8_t attempts = 0;             // refusals so far
  uint32_t since_ms = 0;            // when it was first sent, on the worker's clock
  uint32_t sent_us = 0;             // when a link took it last: Worker::turn_us()
  Touch touch{};                    // ends when it is answered; parts of it carry it too, but for them it means nothing
  uint32_t order = 0;               // its place among the session's requests, in which those of a slot are executed
  Tracked tracked = Tracked::kNot;  // of its client
};

}  // namespace corral::core

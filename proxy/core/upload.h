// A large request on its way: it is not collected, but goes to its node as it comes, over a connection of its own.
//
// A small command on the same key asks first whether the node is the slot's owner, since a large value cannot be sent
// twice. If it is redirected all the same, or the connection is lost, what is left of the request is read and dropped,
// and the client gets an error; nothing was stored, for a request that has not wholly arrived is not executed.
// The client's next requests wait until this one is answered.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/core/link.h"
#include "proxy/core/request.h"
#include "proxy/core/ttl_piece.h"
#include "proxy/core/upload_ttl.h"
#include "resp/request_stream.h"

namespace corral::core {

struct PartialInput;
class Session;

class Upload final : public Task, public Link::Feeder {
 public:
  /// Whether the request of which `input` is the beginning is to be uploaded.
  static bool suits(Session& session, const PartialInput& input);
  /// The session is quiet.
  static void start(Session& session, const PartialInput& input);

  /// Takes what the client sends; returns how much of it was of this request.
  size_t feed(std::string_view bytes);
  void on_session_closed();

  void on_reply(uint32_t part, std::string_view reply) override;
  void on_room() override;

 private:
  enum class State : uint8_t {
    kAsking,     // whether the node is the owner; the client is not read from
    kSending,    // what the client sends goes to the node
    kAnswering,  // all has been sent; the client is not read from
    kDropping,   // it has failed; what the client sends is dropped
  };
  static constexpr uint32_t kProbePart = 0, kValuePart = 1, kExecPart = 2;

  Upload(Session& session, const PartialInput& input);
  void ask();
  void ask_later();
  void on_probe(std::string_view reply);
  void send();
  void whole();
  void announce(std::string_view frame);
  void exec();
  void on_protocol_error();
  void fail(std::string_view reply);
  void finish(std::string_view reply);
  void drop_link();

  Session& session_;
  const Request whole_;  // holds a reference to the session
  resp::RequestStream stream_;
  std::unique_ptr<UploadTtl> ttl_;  // what changes the TTL that it says; null: nothing does
  std::string prefix_;              // what has come so far
  std::string probe_;
  FollowUps follow_ups_;  // what a rule adds: then the request goes as a part of MULTI and EXEC
  std::string error_;     // kDropping: what the client will get
  Link* link_ = nullptr;
  NodeId target_ = kNoNode;  // of an ASK
  State state_ = State::kAsking;
  bool all_there_ = false;  // the client has sent all
  bool sent_ = false;       // and so has Corral
  bool abandoned_ = false;  // its client has been answered
  uint32_t attempts_ = 0;
};

}  // namespace corral::core

// What one client has subscribed to, and the channels of one worker that clients have subscribed to.
//
// A channel knows its members and a member its place in there, so that leaving takes no search.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/pubsub_frame.h"

namespace corral::core {

class Session;

/// A channel, pattern or shard channel with its subscribers of one worker.
struct Channel {
  struct Member {
    Session* session;
    size_t* place;         // the subscriber's note of where this is in `members`
    bool leaving = false;  // its UNSUBSCRIBE is under way
  };
  ChannelKind kind;
  std::string name;
  std::vector<Member> members;
  size_t leaving = 0;    // of them
  uint32_t holders = 0;  // SUBSCRIBE commands under way that name it
  bool wanted = false;   // as the hub has been told
};

class Subscriptions {
 public:
  explicit Subscriptions(Session& session) : session_(session) {}

  /// Of all kinds.
  size_t count() const { return of(ChannelKind::kChannel) + of(ChannelKind::kPattern) + of(ChannelKind::kShard); }
  size_t of(ChannelKind kind) const { return places_[index_of(kind)].size(); }
  /// As confirmations tell it: channels and patterns are counted together.
  size_t told(ChannelKind kind) const;
  bool has(ChannelKind kind, std::string_view name) const;
  std::vector<std::string> names(ChannelKind kind) const;

  void join(Channel& channel);
  /// The channel that will be left; null if it had not been joined, or this has been said before.
  Channel* begin_to_leave(ChannelKind kind, std::string_view name);
  /// The channel that has been left; null if it had not been joined.
  Channel* leave(ChannelKind kind, std::string_view name);
  /// The client is gone or has said RESET.
  void leave_all();

 private:
  struct Place {
    Channel* channel;
    size_t index;  // among its members
  };
  // By the name in the channel, in its order: runs are to be repeatable.
  using Places = std::map<std::string_view, Place, std::less<>>;

  Session& session_;
  std::array<Places, kChannelKinds> places_;
};

}  // namespace corral::core

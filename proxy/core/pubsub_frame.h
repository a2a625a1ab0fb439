// The frames of pub/sub: messages and confirmations, as nodes send them and as clients get them. RESP3 says '>' where
// RESP2 says '*'; nothing else differs. Source: https://redis.io/docs/interact/pubsub; Redis 7.0, pubsub.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace corral::core {

/// What can be subscribed to. Each kind has names of its own.
enum class ChannelKind : uint8_t { kChannel, kPattern, kShard };
inline constexpr size_t kChannelKinds = 3;
inline constexpr size_t index_of(ChannelKind kind) { return static_cast<size_t>(kind); }

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const;
};
/// By the name of a channel or pattern; to be asked with a string_view.
template <typename T>
using NameMap = std::unordered_map<std::string, T, NameHash, std::equal_to<>>;

struct PubSubFrame {
  enum class Type : uint8_t {
    kOther,  // none of these
    kMessage,
    kSubscribed,
    kUnsubscribed,
    kPong,
  };
  Type type = Type::kOther;
  ChannelKind kind = ChannelKind::kChannel;
  std::string_view name;     // that was subscribed to
  std::string_view channel;  // of a message: where it was published
  size_t size = 0;           // of a message's frame
};

/// The frame at the start of `bytes`, which has wholly arrived; more may follow a message.
PubSubFrame parse_pubsub_frame(std::string_view bytes);

/// `name` null: an unsubscription by somebody who has subscribed to nothing. `count`: of subscriptions left.
void append_confirmation(std::string& out, bool subscribed, ChannelKind kind, const std::string_view* name,
                         size_t count, int resp);

/// Keyspace notifications are told on such channels, by each node for its own keys:
/// https://redis.io/docs/manual/keyspace-notifications.
bool is_keyspace_channel(std::string_view channel);
/// Whether a pattern may match such a channel; in doubt it may.
bool may_match_keyspace_channel(std::string_view pattern);

}  // namespace corral::core

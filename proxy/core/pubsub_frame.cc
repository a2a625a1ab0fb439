#include "proxy/core/pubsub_frame.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "resp/reply_builder.h"

namespace corral::core {

namespace {

struct Word {
  std::string_view text;
  PubSubFrame::Type type;
  ChannelKind kind;
};

constexpr std::array<Word, 10> kWords = {{
    {"message", PubSubFrame::Type::kMessage, ChannelKind::kChannel},
    {"pmessage", PubSubFrame::Type::kMessage, ChannelKind::kPattern},
    {"smessage", PubSubFrame::Type::kMessage, ChannelKind::kShard},
    {"subscribe", PubSubFrame::Type::kSubscribed, ChannelKind::kChannel},
    {"psubscribe", PubSubFrame::Type::kSubscribed, ChannelKind::kPattern},
    {"ssubscribe", PubSubFrame::Type::kSubscribed, ChannelKind::kShard},
    {"unsubscribe", PubSubFrame::Type::kUnsubscribed, ChannelKind::kChannel},
    {"punsubscribe", PubSubFrame::Type::kUnsubscribed, ChannelKind::kPattern},
    {"sunsubscribe", PubSubFrame::Type::kUnsubscribed, ChannelKind::kShard},
    {"pong", PubSubFrame::Type::kPong, ChannelKind::kChannel},
}};

constexpr std::array<std::string_view, 2> kKeyspacePrefixes = {"__keyspace@", "__keyevent@"};

// Reads the bulks of a frame one after the other.
class Bulks {
 public:
  explicit Bulks(std::string_view bytes) : bytes_(bytes), at_(bytes.find('\n') + 1) {}

  size_t at() const { return at_; }
  /// All that have been read were bulks.
  bool good() const { return good_; }
  /// Empty too if what is next is no bulk.
  std::string_view next() {
    good_ = good_ && at_ < bytes_.size() && bytes_[at_] == '$';
    if (!good_) return {};
    size_t length = 0;
    const auto [end, error] = std::from_chars(bytes_.data() + at_ + 1, bytes_.data() + bytes_.size(), length);
    const size_t from = static_cast<size_t>(end - bytes_.data()) + 2;
    good_ = error == std::errc() && from + length + 2 <= bytes_.size();
    if (!good_) return {};
    at_ = from + length + 2;
    return bytes_.substr(from, length);
  }

 private:
  const std::string_view bytes_;
  size_t at_;
  bool good_ = true;
};

}  // namespace

size_t NameHash::operator()(std::string_view name) const { return XXH3_64bits(name.data(), name.size()); }

PubSubFrame parse_pubsub_frame(std::string_view bytes) {
  PubSubFrame frame;
  if (bytes.empty() || bytes[0] != '*') return frame;
  Bulks bulks(bytes);
  const std::string_view first = bulks.next();
  const auto word = std::find_if(kWords.begin(), kWords.end(), [&](const Word& one) { return one.text == first; });
  if (word == kWords.end()) return frame;
  frame.type = word->type;
  frame.kind = word->kind;
  frame.name = frame.channel = bulks.next();
  if (frame.type != PubSubFrame::Type::kMessage) return frame;
  if (frame.kind == ChannelKind::kPattern) frame.channel = bulks.next();
  bulks.next();
  frame.size = bulks.at();
  // Clients get it as it is, and it is found again among others: so it has to be one.
  const bool counted = bytes.starts_with(frame.kind == ChannelKind::kPattern ? "*4\r" : "*3\r");
  if (!counted || !bulks.good()) frame.type = PubSubFrame::Type::kOther;
  return frame;
}

void append_confirmation(std::string& out, bool subscribed, ChannelKind kind, const std::string_view* name,
                         size_t count, int resp) {
  const auto type = subscribed ? PubSubFrame::Type::kSubscribed : PubSubFrame::Type::kUnsubscribed;
  const auto word =
      std::find_if(kWords.begin(), kWords.end(), [&](const Word& one) { return one.type == type && one.kind == kind; });
  out += resp == 3 ? ">3\r\n" : "*3\r\n";
  resp::append_bulk(out, word->text);
  name ? resp::append_bulk(out, *name) : resp::append_null(out, resp);
  resp::append_integer(out, static_cast<int64_t>(count));
}

bool is_keyspace_channel(std::string_view channel) {
  return std::any_of(kKeyspacePrefixes.begin(), kKeyspacePrefixes.end(),
                     [&](std::string_view prefix) { return channel.starts_with(prefix); });
}

bool may_match_keyspace_channel(std::string_view pattern) {
  const std::string_view literal = pattern.substr(0, pattern.find_first_of("*?[\\"));
  const bool whole = literal.size() == pattern.size();
  return std::any_of(kKeyspacePrefixes.begin(), kKeyspacePrefixes.end(), [&](std::string_view prefix) {
    return literal.starts_with(prefix) || (!whole && prefix.starts_with(literal));
  });
}

}  // namespace corral::core

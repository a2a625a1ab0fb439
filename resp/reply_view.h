// A look at one whole reply, in place: its type, its value, its elements. For the slow ways, where a reply is read and
// not only passed on (merging, redirects, the topology). The bytes must have gone through ReplyScanner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral::resp {

class ReplyView {
 public:
  ReplyView() = default;
  /// `bytes`: exactly one reply. Attributes before it are skipped.
  explicit ReplyView(std::string_view bytes);

  char type() const { return bytes_.empty() ? '\0' : bytes_[0]; }  // the first byte: '+', '-', ':', '$', '*', ...
  bool is_error() const { return type() == '-' || type() == '!'; }
  bool is_null() const;       // "$-1", "*-1", "_"
  bool is_aggregate() const;  // array, set, map, push
  /// The text of a simple string, error, bulk (also a verbatim string, without its "txt:"), number or boolean.
  std::string_view text() const;
  /// An integer reply, or text that is one.
  std::optional<int64_t> integer() const;
  /// The elements of an aggregate (keys and values of a map in turn); empty for anything else.
  std::vector<ReplyView> elements() const;
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace corral::resp

// A reply of RESP2 or RESP3 as a value that tests compare and print, together with the very bytes it came in.
//
// Parsed here rather than by hiredis: its reader refuses the nesting of COMMAND DOCS, and forgives what a test must
// not.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace corral::test {

struct Reply {
  enum class Type {
    kStatus,
    kError,
    kInteger,
    kString,
    kArray,
    kNil,
    // Of RESP3 only; its null is kNil too, and told apart by its bytes.
    kMap,
    kSet,
    kPush,
    kDouble,
    kBoolean,
    kVerbatim,
    kBigNumber
  };

  Type type = Type::kNil;
  std::string text;             // of all that are a line or a string; a verbatim string with its "txt:"
  int64_t integer = 0;          // also of a boolean
  std::vector<Reply> elements;  // of a map: key, value, key, value
  std::string raw;              // of the whole reply

  bool is_error() const { return type == Type::kError; }
  bool is_nil() const { return type == Type::kNil; }
  bool is_array() const { return type == Type::kArray; }
  bool is_push() const { return type == Type::kPush; }
  // Whether it is an error whose first word is `code`.
  bool is_error(std::string_view code) const;
  // The value of a map's key, or of an array that RESP2 sends for a map; nil if it is not there.
  Reply at(std::string_view key) const;
  // The texts of an array's elements.
  std::vector<std::string> strings() const;
  std::vector<std::string> sorted_strings() const;

  static Reply status(std::string text);
  static Reply error(std::string text);
  static Reply number(int64_t value);
  static Reply string(std::string text);
  static Reply array(std::vector<Reply> elements);
  static Reply nil() { return {}; }
};

// By meaning: the raw bytes do not count.
bool operator==(const Reply& a, const Reply& b);
std::ostream& operator<<(std::ostream& out, const Reply& reply);
std::string to_string(const Reply& reply);

// Reads the reply that begins at bytes[begin]. Returns where it ends, or nothing if it is not all there yet; throws if
// these bytes can be no reply.
std::optional<size_t> parse_reply(std::string_view bytes, size_t begin, Reply& out);

// Bytes as a C string would show them, cut to a readable length.
std::string printable(std::string_view bytes, size_t limit = 200);

}  // namespace corral::test

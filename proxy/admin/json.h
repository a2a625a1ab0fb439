// Writes JSON (RFC 8259), for what pages and programs read.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corral::admin {

/// Commas are its own affair; what is begun is to be ended, and in an object each value follows a key().
class JsonWriter {
 public:
  JsonWriter& begin_object() { return begin('{'); }
  JsonWriter& end_object() { return end('}'); }
  JsonWriter& begin_array() { return begin('['); }
  JsonWriter& end_array() { return end(']'); }
  JsonWriter& key(std::string_view name);

  /// Bytes that are no UTF-8 become text as in Redis' own tools: \xff. Control characters are escaped, so a document
  /// is one line.
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool yes) { return raw(yes ? "true" : "false"); }
  JsonWriter& value(std::integral auto number) { return raw(std::to_string(number)); }
  /// Six digits; what is no number is null.
  JsonWriter& value(double number);
  template <class T>
  JsonWriter& value(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : raw("null");
  }

  template <class T>
  JsonWriter& field(std::string_view name, const T& its_value) {
    return key(name).value(its_value);
  }

  std::string take() { return std::move(text_); }

 private:
  JsonWriter& begin(char bracket);
  JsonWriter& end(char bracket);
  JsonWriter& raw(std::string_view token);
  void separate();
  void append_quoted(std::string_view text);

  std::string text_;
  bool after_value_ = false;
};

}  // namespace corral::admin

// JSON, written as it goes. Source: RFC 8259.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace corral::admin {

/// Texts are to be UTF-8 (printable.h).
class Json {
 public:
  Json& begin_object() { return open('{'); }
  Json& begin_array() { return open('['); }
  Json& end_object() { return close('}'); }
  Json& end_array() { return close(']'); }
  Json& key(std::string_view name) {
    separate();
    append_text(name);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Json& value(std::string_view text) {
    separate();
    append_text(text);
    return *this;
  }
  Json& value(const char* text) { return value(std::string_view(text)); }
  Json& value(bool yes) { return raw(yes ? "true" : "false"); }
  Json& value(std::integral auto number) { return raw(std::to_string(number)); }
  /// To three places behind the point, which is enough for people.
  Json& value(double number);
  Json& null() { return raw("null"); }

  Json& field(std::string_view name, const auto& of) { return key(name).value(of); }
  std::string take() { return std::move(out_); }

 private:
  Json& open(char bracket) {
    separate();
    out_ += bracket;
    first_ = true;
    return *this;
  }
  Json& close(char bracket) {
    out_ += bracket;
    first_ = false;
    return *this;
  }
  Json& raw(std::string_view text) {
    separate();
    out_ += text;
    return *this;
  }
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  void append_text(std::string_view text);

  std::string out_;
  bool first_ = true;
};

}  // namespace corral::admin

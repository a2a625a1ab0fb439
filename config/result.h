// A value, or one line that says why there is none. What the loader and the flags return instead of throwing.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace corral::config {

template <class T>
struct Result {
  std::optional<T> value;
  std::string error;  // one line without its end; empty if there is a value

  static Result of(T v) { return {std::move(v), {}}; }
  static Result failure(std::string why) { return {std::nullopt, std::move(why)}; }
  explicit operator bool() const { return value.has_value(); }
  const T& operator*() const { return *value; }
  const T* operator->() const { return &*value; }
};

}  // namespace corral::config

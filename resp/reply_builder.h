// Writes RESP: replies that Corral gives itself and commands that it sends. Each function appends to `out`.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace corral::resp {

inline constexpr std::string_view kOk = "+OK\r\n";

void append_simple(std::string& out, std::string_view text);  // text without CR and LF
/// `text` begins with its code ("ERR unknown command ..."). CR and LF in it become spaces, as Redis does.
void append_error(std::string& out, std::string_view text);
void append_integer(std::string& out, int64_t value);
void append_bulk(std::string& out, std::string_view bytes);
/// RESP2 "$-1" or RESP3 "_".
void append_null(std::string& out, int resp);
void append_array(std::string& out, size_t count);
/// A map of `pairs` pairs: '%' in RESP3, an array of twice as many in RESP2.
void append_map(std::string& out, size_t pairs, int resp);
void append_set(std::string& out, size_t count, int resp);
/// Text to be read by people (INFO, CLIENT LIST): '=' with "txt:" in RESP3, a bulk in RESP2.
void append_verbatim(std::string& out, std::string_view text, int resp);
/// A command in multibulk form.
void append_command(std::string& out, std::span<const std::string_view> args);
void append_command(std::string& out, std::initializer_list<std::string_view> args);

}  // namespace corral::resp

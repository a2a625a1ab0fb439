// Plain appending. Numbers go through to_chars, which neither allocates nor looks at the locale.
#include "resp/reply_builder.h"

#include <charconv>

namespace corral::resp {
namespace {

void append_line(std::string& out, char type, int64_t value) {
  char line[24];
  line[0] = type;
  char* end = std::to_chars(line + 1, line + sizeof line - 2, value).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(line, end);
}

void append_line(std::string& out, char type, size_t value) { append_line(out, type, static_cast<int64_t>(value)); }

}  // namespace

void append_simple(std::string& out, std::string_view text) {
  out += '+';
  out += text;
  out += "\r\n";
}

void append_error(std::string& out, std::string_view text) {
  out += '-';
  for (const char c : text) out += c == '\r' || c == '\n' ? ' ' : c;
  out += "\r\n";
}

void append_integer(std::string& out, int64_t value) { append_line(out, ':', value); }

void append_bulk(std::string& out, std::string_view bytes) {
  append_line(out, '$', bytes.size());
  out += bytes;
  out += "\r\n";
}

void append_null(std::string& out, int resp) { out += resp >= 3 ? "_\r\n" : "$-1\r\n"; }

void append_array(std::string& out, size_t count) { append_line(out, '*', count); }

void append_map(std::string& out, size_t pairs, int resp) {
  resp >= 3 ? append_line(out, '%', pairs) : append_line(out, '*', pairs * 2);
}

void append_set(std::string& out, size_t count, int resp) { append_line(out, resp >= 3 ? '~' : '*', count); }

void append_verbatim(std::string& out, std::string_view text, int resp) {
  if (resp < 3) return append_bulk(out, text);
  append_line(out, '=', text.size() + 4);
  out += "txt:";
  out += text;
  out += "\r\n";
}

void append_command(std::string& out, std::span<const std::string_view> args) {
  append_array(out, args.size());
  for (const std::string_view arg : args) append_bulk(out, arg);
}

void append_command(std::string& out, std::initializer_list<std::string_view> args) {
  append_command(out, std::span<const std::string_view>(args.begin(), args.size()));
}

}  // namespace corral::resp

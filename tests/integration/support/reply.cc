#include "reply.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <stdexcept>

namespace corral::test {
namespace {

[[noreturn]] void malformed(std::string_view bytes, size_t at) {
  throw std::runtime_error("not a reply: " + printable(bytes.substr(at)));
}

// The line that begins at `begin`, without its CRLF; nothing if the CRLF is not there yet.
std::optional<std::string_view> line_at(std::string_view bytes, size_t begin) {
  const size_t end = bytes.find('\n', begin);
  if (end == std::string_view::npos) return std::nullopt;
  if (end == begin || bytes[end - 1] != '\r') malformed(bytes, begin);
  return bytes.substr(begin, end - 1 - begin);
}

int64_t integer_of(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) malformed(digits, 0);
  return value;
}

std::optional<size_t> parse_string(std::string_view bytes, size_t begin, int64_t length, Reply& out) {
  const auto size = static_cast<size_t>(length);
  if (bytes.size() < begin + size + 2) return std::nullopt;
  if (bytes.substr(begin + size, 2) != "\r\n") malformed(bytes, begin);
  out.text = bytes.substr(begin, size);
  return begin + size + 2;
}

std::optional<size_t> parse_elements(std::string_view bytes, size_t begin, int64_t count, Reply& out) {
  for (int64_t i = 0; i < count; ++i) {
    const auto end = parse_reply(bytes, begin, out.elements.emplace_back());
    if (!end) return std::nullopt;
    begin = *end;
  }
  return begin;
}

// What is all on its first line. False if it is none of these.
bool parse_line(char type, std::string_view line, Reply& out) {
  switch (type) {
    case '+':
      out.type = Reply::Type::kStatus, out.text = line;
      return true;
    case '-':
      out.type = Reply::Type::kError, out.text = line;
      return true;
    case ':':
      out.type = Reply::Type::kInteger, out.integer = integer_of(line);
      return true;
    case ',':
      out.type = Reply::Type::kDouble, out.text = line;
      return true;
    case '(':
      out.type = Reply::Type::kBigNumber, out.text = line;
      return true;
    case '#':
      if (line != "t" && line != "f") malformed(line, 0);
      out.type = Reply::Type::kBoolean, out.integer = line == "t";
      return true;
    case '_':
      if (!line.empty()) malformed(line, 0);
      return true;
    default:
      return false;
  }
}

// The type of what a first line only begins, or nothing.
std::optional<Reply::Type> type_of(char first) {
  switch (first) {
    case '$':
      return Reply::Type::kString;
    case '=':
      return Reply::Type::kVerbatim;
    case '!':
      return Reply::Type::kError;
    case '*':
      return Reply::Type::kArray;
    case '%':
      return Reply::Type::kMap;
    case '~':
      return Reply::Type::kSet;
    case '>':
      return Reply::Type::kPush;
    default:
      return std::nullopt;
  }
}

std::optional<size_t> parse_body(std::string_view bytes, size_t begin, Reply& out) {
  const char first = bytes[begin];
  const auto type = type_of(first);
  if (!type && std::string_view("+-:,(#_").find(first) == std::string_view::npos) malformed(bytes, begin);
  const auto line = line_at(bytes, begin + 1);
  if (!line) return std::nullopt;
  const size_t after = begin + 1 + line->size() + 2;
  if (parse_line(first, *line, out)) return after;
  const int64_t length = integer_of(*line);
  if (length == -1 && (first == '$' || first == '*')) return after;  // nil
  if (length < 0) malformed(bytes, begin);
  out.type = *type;
  if (first == '$' || first == '=' || first == '!') return parse_string(bytes, after, length, out);
  return parse_elements(bytes, after, first == '%' ? 2 * length : length, out);
}

}  // namespace

bool Reply::is_error(std::string_view code) const {
  return is_error() && std::string_view(text).substr(0, text.find(' ')) == code;
}

Reply Reply::at(std::string_view key) const {
  for (size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].text == key) return elements[i + 1];
  }
  return nil();
}

std::vector<std::string> Reply::strings() const {
  std::vector<std::string> all;
  for (const Reply& element : elements) all.push_back(element.text);
  return all;
}

std::vector<std::string> Reply::sorted_strings() const {
  auto all = strings();
  std::sort(all.begin(), all.end());
  return all;
}

Reply Reply::status(std::string text) { return {Type::kStatus, std::move(text), 0, {}, {}}; }
Reply Reply::error(std::string text) { return {Type::kError, std::move(text), 0, {}, {}}; }
Reply Reply::number(int64_t value) { return {Type::kInteger, {}, value, {}, {}}; }
Reply Reply::string(std::string text) { return {Type::kString, std::move(text), 0, {}, {}}; }
Reply Reply::array(std::vector<Reply> elements) { return {Type::kArray, {}, 0, std::move(elements), {}}; }

bool operator==(const Reply& a, const Reply& b) {
  return a.type == b.type && a.text == b.text && a.integer == b.integer && a.elements == b.elements;
}

std::ostream& operator<<(std::ostream& out, const Reply& reply) {
  switch (reply.type) {
    case Reply::Type::kStatus:
      return out << '+' << reply.text;
    case Reply::Type::kError:
      return out << '-' << reply.text;
    case Reply::Type::kInteger:
      return out << ':' << reply.integer;
    case Reply::Type::kString:
      return out << '"' << printable(reply.text) << '"';
    case Reply::Type::kNil:
      return out << "nil";
    case Reply::Type::kDouble:
      return out << ',' << reply.text;
    case Reply::Type::kBoolean:
      return out << (reply.integer ? "#t" : "#f");
    case Reply::Type::kVerbatim:
      return out << '=' << printable(reply.text);
    case Reply::Type::kBigNumber:
      return out << '(' << reply.text;
    case Reply::Type::kArray:
      break;
    case Reply::Type::kMap:
      out << '%';
      break;
    case Reply::Type::kSet:
      out << '~';
      break;
    case Reply::Type::kPush:
      out << '>';
      break;
  }
  out << '[';
  for (size_t i = 0; i < reply.elements.size() && i < 40; ++i) out << (i ? ", " : "") << reply.elements[i];
  if (reply.elements.size() > 40) out << ", ... " << reply.elements.size() << " in all";
  return out << ']';
}

std::string to_string(const Reply& reply) {
  std::ostringstream out;
  out << reply;
  return out.str();
}

std::optional<size_t> parse_reply(std::string_view bytes, size_t begin, Reply& out) {
  out = Reply();
  if (begin >= bytes.size()) return std::nullopt;
  const auto end = parse_body(bytes, begin, out);
  if (end) out.raw = bytes.substr(begin, *end - begin);
  return end;
}

std::string printable(std::string_view bytes, size_t limit) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r')
      text += "\\r";
    else if (c == '\n')
      text += "\\n";
    else if (byte < 32 || byte > 126)
      (text += "\\x") += {kHex[byte >> 4], kHex[byte & 15]};
    else
      text += c;
  }
  if (bytes.size() > limit) text += "... (" + std::to_string(bytes.size()) + " bytes)";
  return text;
}

}  // namespace corral::test

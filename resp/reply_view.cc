// The bytes have been scanned, so their form is known to be right; bounds are asserted, not reported.
#include "resp/reply_view.h"

#include <cassert>
#include <cstring>

#include "resp/decimal.h"

namespace corral::resp {
namespace {

struct Line {
  std::string_view text;  // after the type, without CRLF
  size_t size;            // all of it
};

Line first_line(std::string_view bytes) {
  const size_t cr = bytes.find('\r');
  assert(cr != std::string_view::npos && cr + 2 <= bytes.size());
  return {bytes.substr(1, cr - 1), cr + 2};
}

int64_t header_value(const Line& line) { return parse_decimal(line.text).value_or(0); }

bool is_bulk(char type) { return type == '$' || type == '!' || type == '='; }

/// How many elements follow the header of an aggregate or attribute; 0 for a null array and for what is neither.
size_t element_count(char type, const Line& line) {
  if (type != '*' && type != '~' && type != '>' && type != '%' && type != '|') return 0;
  const int64_t value = header_value(line);
  if (value <= 0) return 0;
  return static_cast<size_t>(value) * (type == '%' || type == '|' ? 2 : 1);
}

/// The bytes of the first `count` replies and the attributes before each. No stack: whatever an aggregate holds is
/// just as many more replies to go over.
size_t size_of(std::string_view bytes, size_t count) {
  size_t pos = 0;
  while (count > 0) {
    const std::string_view rest = bytes.substr(pos);
    assert(!rest.empty());
    const Line line = first_line(rest);
    pos += line.size;
    if (is_bulk(rest[0])) {
      const int64_t length = header_value(line);
      if (length >= 0) pos += static_cast<size_t>(length) + 2;
    }
    if (rest[0] != '|') --count;
    count += element_count(rest[0], line);
  }
  return pos;
}

size_t size_of_attributes(std::string_view bytes) {
  size_t pos = 0;
  while (pos < bytes.size() && bytes[pos] == '|') {
    const Line line = first_line(bytes.substr(pos));
    const size_t elements = element_count('|', line);
    pos += line.size;
    pos += size_of(bytes.substr(pos), elements);
  }
  return pos;
}

}  // namespace

ReplyView::ReplyView(std::string_view bytes) : bytes_(bytes.substr(size_of_attributes(bytes))) {}

bool ReplyView::is_null() const {
  if (type() == '_') return true;
  return (type() == '$' || type() == '*') && bytes_.size() > 1 && bytes_[1] == '-';
}

bool ReplyView::is_aggregate() const {
  return (type() == '*' || type() == '~' || type() == '%' || type() == '>') && !is_null();
}

std::string_view ReplyView::text() const {
  if (bytes_.empty() || is_null() || is_aggregate()) return {};
  const Line line = first_line(bytes_);
  if (!is_bulk(type())) return line.text;
  std::string_view body = bytes_.substr(line.size, static_cast<size_t>(header_value(line)));
  const bool marked = type() == '=' && body.size() >= 4 && body[3] == ':';
  return marked ? body.substr(4) : body;
}

std::optional<int64_t> ReplyView::integer() const { return parse_decimal(text()); }

std::vector<ReplyView> ReplyView::elements() const {
  std::vector<ReplyView> elements;
  if (!is_aggregate()) return elements;
  const Line line = first_line(bytes_);
  const size_t count = element_count(type(), line);
  elements.resize(count);
  std::string_view rest = bytes_.substr(line.size);
  for (ReplyView& element : elements) {
    rest.remove_prefix(size_of_attributes(rest));
    element.bytes_ = rest.substr(0, size_of(rest, 1));
    rest.remove_prefix(element.bytes_.size());
  }
  return elements;
}

}  // namespace corral::resp

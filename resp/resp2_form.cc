// The differences: https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md. Where Redis answers
// with scores in RESP3, each member and its score are an array of their own; in RESP2 they follow each other.
#include "resp/resp2_form.h"

#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::resp {

namespace {

bool is_scored_member(const ReplyView& element) {
  if (element.type() != '*') return false;
  const auto pair = element.elements();
  return pair.size() == 2 && pair[1].type() == ',';
}

void append_elements(std::string& out, const ReplyView& reply) {
  const auto elements = reply.elements();
  const bool scored = !elements.empty() && is_scored_member(elements[0]);
  append_array(out, elements.size() * (scored ? 2 : 1));
  for (const ReplyView& element : elements) {
    if (!scored) {
      append_resp2_form(out, element.bytes());
      continue;
    }
    for (const ReplyView& part : element.elements()) append_resp2_form(out, part.bytes());
  }
}

}  // namespace

void append_resp2_form(std::string& out, std::string_view bytes) {
  const ReplyView reply(bytes);
  switch (reply.type()) {
    case '_':
      return append_null(out, 2);
    case ',':
    case '(':
    case '=':
      return append_bulk(out, reply.text());
    case '#':
      return append_integer(out, bytes[1] == 't');
    case '*':
    case '~':
    case '%':
      return append_elements(out, reply);
    default:
      out += bytes;
  }
}

}  // namespace corral::resp

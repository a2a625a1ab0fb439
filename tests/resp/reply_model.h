// Replies as trees: random ones, their bytes, and what a ReplyView or hiredis' reader makes of bytes. Two trees are
// equal if their types, texts and elements are.
#pragma once

#include <hiredis/hiredis.h>

#include <string>
#include <string_view>
#include <vector>

#include "resp/reply_view.h"
#include "support.h"

namespace corral::test {

struct ReplyTree {
  char type = '_';
  bool null = false;  // "$-1", "*-1"
  std::string text;   // of scalars
  std::vector<ReplyTree> elements;
  bool operator==(const ReplyTree&) const = default;
};

inline bool is_line(char type) { return std::string_view("+-:_#,(").find(type) != std::string_view::npos; }
inline bool is_bulk(char type) { return std::string_view("$!=").find(type) != std::string_view::npos; }

/// With `random`, attributes are strewn in where RESP3 allows them.
inline void append_tree(std::string& out, const ReplyTree& tree, std::mt19937_64* random = nullptr) {
  if (random != nullptr && below(*random, 12) == 0) {
    static constexpr std::string_view kAttributes[] = {
        "|0\r\n", "|1\r\n+ttl\r\n:3600\r\n", "|1\r\n$1\r\na\r\n*2\r\n|1\r\n#t\r\n_\r\n:1\r\n%1\r\n+k\r\n_\r\n"};
    out += kAttributes[below(*random, std::size(kAttributes))];
  }
  out += tree.type;
  if (tree.null) {
    out += "-1\r\n";
  } else if (is_line(tree.type)) {
    out += tree.text + "\r\n";
  } else if (is_bulk(tree.type)) {
    const std::string body = (tree.type == '=' ? "txt:" : "") + tree.text;
    out += std::to_string(body.size()) + "\r\n" + body + "\r\n";
  } else {
    out += std::to_string(tree.elements.size() / (tree.type == '%' ? 2 : 1)) + "\r\n";
    for (const ReplyTree& element : tree.elements) append_tree(out, element, random);
  }
}

inline ReplyTree random_scalar(std::mt19937_64& random, char type) {
  ReplyTree tree{type, false, {}, {}};
  switch (type) {
    case ':':
      tree.text = std::to_string(static_cast<int64_t>(random()) >> below(random, 64));
      break;
    case '(':
      tree.text = "3492890328409238509324850943850943825024385";
      break;
    case '#':
      tree.text = below(random, 2) ? "t" : "f";
      break;
    case ',':
      tree.text = "-1.5e10";
      break;
    case '_':
      break;
    default: {
      const bool line = is_line(type);
      tree.text.resize(below(random, 30) == 0 ? below(random, 5000) : below(random, 40));
      for (char& c : tree.text) c = line ? static_cast<char>(' ' + below(random, 90)) : static_cast<char>(random());
    }
  }
  return tree;
}

inline ReplyTree random_tree(std::mt19937_64& random, std::string_view types, int depth) {
  const char type = types[below(random, types.size())];
  if (is_line(type) || is_bulk(type)) {
    if (type == '$' && below(random, 6) == 0) return {'$', true, {}, {}};
    return random_scalar(random, type);
  }
  if (depth == 0) return random_scalar(random, ':');
  if (type == '*' && below(random, 8) == 0) return {'*', true, {}, {}};
  ReplyTree tree{type, false, {}, {}};
  const size_t count = below(random, 20) == 0 ? below(random, 200) : below(random, 5);
  for (size_t i = 0; i < count * (type == '%' ? 2 : 1); ++i) {
    tree.elements.push_back(random_tree(random, types, count > 10 ? 0 : depth - 1));
  }
  return tree;
}

inline ReplyTree tree_of(const resp::ReplyView& view) {
  ReplyTree tree{view.type(), view.is_null() && view.type() != '_', std::string(view.text()), {}};
  for (const resp::ReplyView& element : view.elements()) tree.elements.push_back(tree_of(element));
  return tree;
}

/// hiredis does not tell null arrays from null bulks: all nulls are '$' here.
inline ReplyTree tree_of(const redisReply& reply) {
  ReplyTree tree;
  switch (reply.type) {
    case REDIS_REPLY_STATUS:
      tree.type = '+';
      break;
    case REDIS_REPLY_ERROR:
      tree.type = '-';
      break;
    case REDIS_REPLY_STRING:
      tree.type = '$';
      break;
    case REDIS_REPLY_INTEGER:
      return {':', false, std::to_string(reply.integer), {}};
    case REDIS_REPLY_NIL:
      return {'$', true, {}, {}};
    default:
      tree.type = '*';
  }
  if (tree.type != '*') tree.text.assign(reply.str, static_cast<size_t>(reply.len));
  for (size_t i = 0; i < reply.elements; ++i) tree.elements.push_back(tree_of(*reply.element[i]));
  return tree;
}

}  // namespace corral::test

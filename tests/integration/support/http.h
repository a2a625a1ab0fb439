// HTTP for tests of the admin port.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace corral::test {

using HttpHeaders = std::multimap<std::string, std::string>;

struct HttpReply {
  int status = 0;  // 0: nobody answers
  std::string body;
  HttpHeaders headers = {};

  std::string header(const std::string& name) const;  // empty: it is not there
};

// Of 127.0.0.1.
HttpReply http_get(uint16_t port, const std::string& path, const HttpHeaders& headers = {});
HttpReply http_post(uint16_t port, const std::string& path, const std::string& body, const HttpHeaders& headers = {});

// A text/event-stream, until `count` events have come or it has ended.
struct HttpEvents {
  int status = 0;
  struct Event {
    std::string name, data;
  };
  std::vector<Event> events;
};
HttpEvents http_events(uint16_t port, const std::string& path, size_t count, const HttpHeaders& headers = {});

// The metrics of a scrape, without comments: "corral_requests_total" or "name{label=\"value\"}" and its value.
using Metrics = std::map<std::string, double>;
Metrics parse_metrics(const std::string& text);

}  // namespace corral::test

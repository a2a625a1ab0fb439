#include "http.h"

#include <httplib.h>

#include <sstream>

namespace corral::test {
namespace {

HttpReply to_reply(const httplib::Result& result) {
  if (!result) return {};
  return {result->status, result->body, {result->headers.begin(), result->headers.end()}};
}

httplib::Headers to_headers(const HttpHeaders& headers) { return {headers.begin(), headers.end()}; }

}  // namespace

std::string HttpReply::header(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? std::string() : it->second;
}

HttpEvents http_events(uint16_t port, const std::string& path, size_t count, const HttpHeaders& headers) {
  HttpEvents result;
  std::string rest;
  const auto on_headers = [&](const httplib::Response& response) {
    result.status = response.status;
    return response.status == 200;
  };
  const auto on_bytes = [&](const char* data, size_t size) {
    rest.append(data, size);
    for (size_t end; (end = rest.find("\n\n")) != std::string::npos; rest.erase(0, end + 2)) {
      std::istringstream lines(rest.substr(0, end));
      HttpEvents::Event event;
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("event: ")) event.name = line.substr(7);
        if (line.starts_with("data: ")) event.data = line.substr(6);
      }
      result.events.push_back(std::move(event));
    }
    return result.events.size() < count;
  };
  httplib::Client("127.0.0.1", port).Get(path, to_headers(headers), on_headers, on_bytes);
  return result;
}

HttpReply http_get(uint16_t port, const std::string& path, const HttpHeaders& headers) {
  return to_reply(httplib::Client("127.0.0.1", port).Get(path, to_headers(headers)));
}

HttpReply http_post(uint16_t port, const std::string& path, const std::string& body, const HttpHeaders& headers) {
  return to_reply(httplib::Client("127.0.0.1", port).Post(path, to_headers(headers), body, "text/plain"));
}

Metrics parse_metrics(const std::string& text) {
  Metrics metrics;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t blank = line.rfind(' ');
    if (line.empty() || line[0] == '#' || blank == std::string::npos) continue;
    metrics[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
  }
  return metrics;
}

}  // namespace corral::test

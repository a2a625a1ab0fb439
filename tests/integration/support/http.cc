#include "http.h"

#include <httplib.h>

#include <sstream>

namespace corral::test {
namespace {

HttpReply to_reply(const httplib::Result& result) {
  return result ? HttpReply{result->status, result->body} : HttpReply{};
}

httplib::Headers to_headers(const HttpHeaders& headers) { return {headers.begin(), headers.end()}; }

}  // namespace

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

// The page and what it is told: files without anything from elsewhere, events whose numbers are INFO's, viewers that do
// not read, and who may press the buttons. How it looks is for tests/page.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "support/cluster.h"
#include "support/corral.h"
#include "support/http.h"

namespace corral::test {
namespace {

constexpr size_t kMostViewers = 16;
constexpr const char* kSettings =
    "[[rule]]\nname = \"pages\"\nmatch = [\"page:*\"]\nnear_cache = {}\nttl = { default = \"5m\" }\n";
const HttpHeaders kAction = {{"X-Corral-Action", "1"}};

// The number behind the first "name": that follows `section` in a snapshot; -1: there is none.
int64_t number_in(const std::string& snapshot, const std::string& section, const std::string& name) {
  const size_t from = snapshot.find('"' + section + "\":");
  const std::string wanted = '"' + name + "\":";
  const size_t at = from == std::string::npos ? from : snapshot.find(wanted, from);
  return at == std::string::npos ? -1 : std::stoll(snapshot.substr(at + wanted.size(), 20));
}

class PageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }

  CorralOptions options(const std::string& settings = kSettings) const {
    return {.upstream = cluster_->seeds(), .settings = settings, .admin = "127.0.0.1:" + std::to_string(port())};
  }
  uint16_t port() const { return port_->number(); }
  HttpReply post(const std::string& path, const std::string& body, HttpHeaders headers = kAction) const {
    return http_post(port(), path, body, headers);
  }
  // The first that is made after this call: one that there was may come before it.
  std::string snapshot() const {
    const HttpEvents told = http_events(port(), "/events", 3);
    EXPECT_EQ(told.status, 200);
    EXPECT_EQ(told.events.size(), 3u);
    return told.events.size() == 3 ? told.events[2].data : "";
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  const std::shared_ptr<Port> port_ = std::make_shared<Port>();
};

TEST_F(PageTest, consists_of_files_from_here_without_scripts_in_its_text) {
  Corral corral(options());
  const HttpReply page = http_get(port(), "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  const std::string policy = page.header("Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';")) << policy;
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(page.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(page.header("Cache-Control"), "no-store");
  EXPECT_EQ(page.header("Cross-Origin-Resource-Policy"), "same-origin");
  std::set<std::string> files;
  const auto add_files = [&](const std::string& text, const char* pattern, const std::string& prefix) {
    const std::regex regex(pattern);
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
      files.insert(prefix + (*it)[1].str());
    }
  };
  add_files(page.body, "(?:src|href)=\"([^\"]*)\"", "");
  const HttpReply main = http_get(port(), "/page/main.js");
  EXPECT_EQ(main.header("Content-Type"), "text/javascript; charset=utf-8");
  add_files(main.body, "from '\\./([^']*)'", "/page/");
  EXPECT_GE(files.size(), 6u);
  for (const std::string& file : files) {
    const HttpReply reply = http_get(port(), file);
    EXPECT_EQ(reply.status, 200) << file;
    EXPECT_TRUE(file.starts_with("/page/")) << file;
    EXPECT_FALSE(std::regex_search(reply.body, std::regex("innerHTML|outerHTML|insertAdjacent|eval\\("))) << file;
  }
  EXPECT_FALSE(std::regex_search(page.body, std::regex("<style|style=| on[a-z]+=|<script>|https?://")));
}

TEST_F(PageTest, events_begin_with_the_history_and_their_numbers_are_those_of_info) {
  Corral corral(options());
  corral.wait_until_serving();
  Client client = corral.connect();
  client.command("SET", "page:1", "v");
  for (int i = 0; i < 100; ++i) client.command("GET", "page:1");
  client.command("NOSUCHCOMMAND");
  const HttpEvents told = http_events(port(), "/events", 3);
  ASSERT_EQ(told.events.size(), 3u);
  EXPECT_EQ(told.events[0].name, "history");
  EXPECT_TRUE(told.events[0].data.starts_with("[[")) << told.events[0].data;
  EXPECT_EQ(told.events[1].name, "snapshot");
  EXPECT_EQ(told.events[2].name, "snapshot");
  EXPECT_GT(number_in(told.events[2].data, "process", "workers"), 0);
  const std::string now = told.events[2].data;
  for (const std::string name : {"near_cache_hits", "near_cache_misses", "near_cache_keys", "ttl_defaulted"}) {
    EXPECT_EQ(number_in(now, "counters", name), corral.counter(name)) << name;
  }
  EXPECT_GE(number_in(now, "counters", "near_cache_hits"), 90);
  EXPECT_EQ(number_in(now, "rules", "hits"), number_in(now, "counters", "near_cache_hits"));
  EXPECT_EQ(number_in(now, "rules", "defaulted"), 1);
  EXPECT_EQ(number_in(now, "errors", "ERR"), 1);
  const int64_t requests = corral.counter("requests");  // which asks INFO
  EXPECT_EQ(number_in(snapshot(), "counters", "requests"), requests);
  EXPECT_EQ(number_in(now, "clients", "connected"), 1);
}

TEST_F(PageTest, names_of_clients_are_told_as_they_are) {
  Corral corral(options());
  Client client = corral.connect();
  client.command("CLIENT", "SETNAME", "<b>\"\\");
  EXPECT_NE(snapshot().find(R"("name":"<b>\"\\")"), std::string::npos);
}

TEST_F(PageTest, viewers_who_do_not_read_make_room_for_others) {
  std::string long_settings;  // so that a snapshot is larger than what lies between
  for (int i = 0; i < 200; ++i) {
    const std::string number = std::to_string(i);
    long_settings += "[[rule]]\nname = \"" + number + "\"\nmatch = [\"" + number + std::string(10'000, 'k') +
                     "*\"]\nnear_cache = {}\n";
  }
  Corral corral(options(long_settings));
  std::vector<Client> viewers;
  require_eventually("nobody else is let in", [&] {
    viewers.emplace_back(port());
    viewers.back().shrink_receive_buffer(4096);
    viewers.back().send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return viewers.back().read_bytes(12) == "HTTP/1.1 503";
  });
  EXPECT_GT(viewers.size(), kMostViewers);
  EXPECT_EQ(http_get(port(), "/healthz").status, 200) << "others are served";
  require_eventually("there is room again", [&] {
    const HttpEvents told = http_events(port(), "/events", 3);
    return told.status == 200 && told.events.size() == 3;
  });
  EXPECT_EQ(corral.connect().command("PING").text, "PONG");
}

TEST_F(PageTest, viewers_hold_up_no_end) {
  Corral corral(options());
  Client viewer(port());
  viewer.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(viewer.readable(kPatience));
  corral.terminate();
  EXPECT_EQ(corral.wait_for_exit(), 0);
}

TEST_F(PageTest, purges_and_reloads) {
  Corral corral(options());
  corral.wait_until_serving();
  Client client = corral.connect();
  for (const char* key : {"page:a1", "page:a2", "page:b"}) {
    client.command("SET", key, "v");
    ASSERT_TRUE(eventually([&] {
      const int64_t hits = corral.counter("near_cache_hits");
      client.command("GET", key);
      return corral.counter("near_cache_hits") > hits;
    }));
  }
  const HttpReply purged = post("/purge", "page:a*");
  EXPECT_EQ(purged.status, 200);
  EXPECT_EQ(purged.body, "{\"purged\":2}");
  EXPECT_EQ(corral.counter("near_cache_keys"), 1);
  EXPECT_EQ(post("/purge", "").status, 400);
  EXPECT_EQ(post("/purge", std::string(2000, '*')).status, 400);
  EXPECT_EQ(post("/reload", "").body, "{\"reloaded\":true}");
  const std::string now = snapshot();
  EXPECT_NE(now.find("2 keys purged from the near cache: page:a*"), std::string::npos);
  EXPECT_NE(now.find("the settings have been loaded again: 1 rules"), std::string::npos);
}

TEST_F(PageTest, only_the_page_itself_may_press_the_buttons) {
  Corral corral(options());
  const std::string own = "127.0.0.1:" + std::to_string(port());
  for (const std::string path : {"/purge", "/reload"}) {
    EXPECT_EQ(http_get(port(), path).status, 404) << path;
    EXPECT_EQ(post(path, "*", {}).status, 403) << path;
    EXPECT_EQ(post(path, "*", {{"X-Corral-Action", "1"}, {"Origin", "http://evil.example"}}).status, 403) << path;
    EXPECT_EQ(post(path, "*", {{"X-Corral-Action", "1"}, {"Sec-Fetch-Site", "cross-site"}}).status, 403) << path;
    EXPECT_EQ(post(path, "*", {{"X-Corral-Action", "1"}, {"Host", "evil.example"}}).status, 403) << path;
    EXPECT_EQ(post(path, "*", {{"X-Corral-Action", "1"}, {"Origin", "http://" + own}}).status, 200) << path;
  }
  EXPECT_EQ(http_get(port(), "/events", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(http_get(port(), "/", {{"Host", "evil.example"}}).status, 403);
}

TEST_F(PageTest, where_a_token_is_set_only_files_are_told_without) {
  Corral corral(options("[server]\nadmin_token = \"s3cret\"\n"));
  const HttpHeaders bearer = {{"Authorization", "Bearer s3cret"}, {"X-Corral-Action", "1"}};
  EXPECT_EQ(http_get(port(), "/").status, 200);
  EXPECT_EQ(http_get(port(), "/page/main.js").status, 200);
  EXPECT_EQ(http_get(port(), "/events").status, 401);
  EXPECT_EQ(http_get(port(), "/events?token=s3cret").status, 401) << "where it would be in logs";
  EXPECT_EQ(http_events(port(), "/events", 2, bearer).events.size(), 2u);
  EXPECT_EQ(post("/purge", "*").status, 401);
  EXPECT_EQ(post("/purge", "*", bearer).status, 200);
}

}  // namespace
}  // namespace corral::test

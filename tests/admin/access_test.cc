// Who may ask the admin port for what.
#include "proxy/admin/access.h"

#include <gtest/gtest.h>

namespace corral::admin {
namespace {

Asked get(std::string_view path, std::string_view host = "127.0.0.1:9380") {
  Asked asked;
  asked.method = "GET";
  asked.path = path;
  asked.host = host;
  return asked;
}

Asked post(std::string_view path) {
  Asked asked = get(path);
  asked.method = "POST";
  asked.action = "1";
  return asked;
}

TEST(AccessTest, WithoutATokenReadsAreForAll) {
  const Access access("", "127.0.0.1");
  for (const char* path : {"/", "/metrics", "/healthz", "/readyz", "/events"}) {
    EXPECT_EQ(access.judge(get(path)), Verdict::kYes) << path;
  }
}

TEST(AccessTest, WithoutATokenOtherNamesAreTurnedAway) {
  const Access access("", "admin.local");
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:80", "[::1]:9380", "localhost:9380", "admin.local:9380", "10.0.0.7:9380"}) {
    EXPECT_EQ(access.judge(get("/metrics", host)), Verdict::kYes) << host;
  }
  for (const char* host :
       {"", ":9380", "evil.example", "evil.example:9380", "127.0.0.1.evil.example:9380", "localhost.evil.example"}) {
    EXPECT_EQ(access.judge(get("/metrics", host)), Verdict::kWrongName) << host;
    EXPECT_EQ(access.judge(get("/", host)), Verdict::kWrongName) << host;
  }
}

TEST(AccessTest, TokenIsWantedButForThePageAndTheProbes) {
  const Access access("secret", "0.0.0.0");
  for (const char* path : {"/", "/page/main.js", "/healthz", "/readyz"}) {
    EXPECT_EQ(access.judge(get(path, "corral.example")), Verdict::kYes) << path;
  }
  for (const char* path : {"/metrics", "/events", "/page", "/purge", "/other"}) {
    Asked asked = get(path, "corral.example");
    EXPECT_EQ(access.judge(asked), Verdict::kWantsToken) << path;
    for (const char* wrong : {"secret", "Bearer secre", "Bearer secret2", "Bearer ", "Basic secret", "bearer:secret"}) {
      asked.authorization = wrong;
      EXPECT_EQ(access.judge(asked), Verdict::kWantsToken) << path << ' ' << wrong;
    }
    asked.authorization = "Bearer secret";
    EXPECT_EQ(access.judge(asked), Verdict::kYes) << path;
  }
  Asked action = post("/");
  EXPECT_EQ(access.judge(action), Verdict::kWantsToken) << "only reading is open";
}

TEST(AccessTest, ActionsWantTheirHeader) {
  const Access access("", "127.0.0.1");
  EXPECT_EQ(access.judge(post("/reload")), Verdict::kYes);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    Asked asked = get("/reload");
    asked.method = method;
    EXPECT_EQ(access.judge(asked), Verdict::kFromElsewhere) << method;
  }
}

TEST(AccessTest, ActionsAreNotForOtherSitesPages) {
  const Access access("", "127.0.0.1");
  const auto judge = [&](std::string_view origin, std::string_view site) {
    Asked asked = post("/purge");
    asked.origin = origin;
    asked.fetch_site = site;
    return access.judge(asked);
  };
  EXPECT_EQ(judge("http://127.0.0.1:9380", "same-origin"), Verdict::kYes);
  EXPECT_EQ(judge("http://127.0.0.1:9380", ""), Verdict::kYes);
  EXPECT_EQ(judge("http://127.0.0.1:8080", ""), Verdict::kFromElsewhere) << "another port is another origin";
  EXPECT_EQ(judge("http://evil.example", ""), Verdict::kFromElsewhere);
  EXPECT_EQ(judge("null", ""), Verdict::kFromElsewhere);
  EXPECT_EQ(judge("", "cross-site"), Verdict::kFromElsewhere);
  EXPECT_EQ(judge("", "same-site"), Verdict::kFromElsewhere);
}

}  // namespace
}  // namespace corral::admin

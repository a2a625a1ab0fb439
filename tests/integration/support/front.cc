#include "front.h"

#include <cstdlib>
#include <string_view>

namespace corral::test {

namespace {

bool target_is(std::string_view name) {
  const char* target = std::getenv("CORRAL_TEST_TARGET");
  return target && target == name;
}

// TOML lets a section begin once only.
std::string for_one_server(std::string settings) {
  const std::string section = "[upstream]\n", mode = "mode = \"standalone\"\n";
  const size_t at = settings.find(section);
  return at == std::string::npos ? settings + section + mode : settings.insert(at + section.size(), mode);
}

}  // namespace

bool Front::is_control() { return target_is("redis"); }
bool Front::is_standalone() { return target_is("standalone"); }

Front::Front(FrontOptions options) : masters_(static_cast<size_t>(options.cluster.masters)) {
  std::string upstream;
  if (is_control() || is_standalone() || options.standalone) {
    server_ = std::make_unique<RedisServer>(false, options.cluster.settings);
    upstream = server_->address();
    options.settings = for_one_server(options.settings);
  } else {
    cluster_ = std::make_unique<RedisCluster>(options.cluster);
    upstream = cluster_->seeds();
  }
  if (is_control()) return;
  corral_ = std::make_unique<Corral>(
      CorralOptions{.upstream = upstream, .workers = options.workers, .settings = options.settings});
  corral_->wait_until_serving();
}

Client Front::connect3(milliseconds timeout) const {
  Client client = connect(timeout);
  const Reply hello = client.command("HELLO", "3");
  if (hello.type != Reply::Type::kMap) throw std::runtime_error("HELLO 3: " + to_string(hello));
  return client;
}

int64_t Front::info_sum(const std::string& field) {
  int64_t sum = 0;
  for (size_t i = 0; i < masters(); ++i) sum += master(i).info_number(field);
  return sum;
}

pid_t Front::pid() const { return corral_ ? corral_->pid() : server_->process().pid(); }

}  // namespace corral::test

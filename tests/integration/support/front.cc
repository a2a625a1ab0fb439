#include "front.h"

#include <cstdlib>
#include <string_view>

namespace corral::test {

bool Front::is_control() {
  const char* target = std::getenv("CORRAL_TEST_TARGET");
  return target && std::string_view(target) == "redis";
}

Front::Front(FrontOptions options) : masters_(static_cast<size_t>(options.cluster.masters)) {
  if (is_control()) {
    control_ = std::make_unique<RedisServer>(false, options.cluster.settings);
    return;
  }
  cluster_ = std::make_unique<RedisCluster>(options.cluster);
  corral_ = std::make_unique<Corral>(
      CorralOptions{.upstream = cluster_->seeds(), .workers = options.workers, .settings = options.settings});
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

pid_t Front::pid() const { return control_ ? control_->process().pid() : corral_->pid(); }

}  // namespace corral::test

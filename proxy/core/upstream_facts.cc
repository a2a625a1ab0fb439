// INFO server: https://redis.io/commands/info. CONFIG GET databases: https://redis.io/commands/config-get.
#include "proxy/core/upstream_facts.h"

#include <string>
#include <string_view>
#include <utility>

#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::ReplyView;

namespace {

class FactsTask final : public Task {
 public:
  FactsTask(Worker& worker, NodeId master, std::function<void()> failed)
      : worker_(worker), master_(master), failed_(std::move(failed)) {}

  void start() {
    ask(kInfo, {"INFO", "server"});
    if (worker_.settings().upstream.has_one_owner()) ask(kDatabases, {"CONFIG", "GET", "databases"});
    done_one();
  }

  void on_reply(uint32_t part, std::string_view bytes) override {
    const ReplyView reply(bytes);
    part == kInfo ? on_info(reply) : on_databases(reply);
    done_one();
  }

 private:
  enum Part : uint32_t { kInfo, kDatabases };

  void ask(Part part, std::initializer_list<std::string_view> command) {
    ++awaited_;
    std::string bytes;
    resp::append_command(bytes, command);
    Request request;
    request.task = this;
    request.ticket = part;
    request.flags = kReadOnly;
    worker_.send_to_node(request, master_, bytes, true);
  }

  void on_info(const ReplyView& reply) {
    std::string version = info_field(reply.text(), "redis_version:");
    if (reply.is_error() || version.empty()) return failed_();
    worker_.process().set_upstream_version(std::move(version));
    if (!worker_.settings().upstream.has_one_owner() || info_field(reply.text(), "redis_mode:") != "cluster") return;
    const config::Address address = worker_.process().node_address(master_);
    worker_.transport().log(LogLevel::kWarn, "upstream.mode is \"" + worker_.settings().upstream.mode + "\", but " +
                                                 address.host + ':' + std::to_string(address.port) +
                                                 " is a node of a cluster");
  }

  // {"databases", "16"}; a server that does not tell has as many as most do.
  void on_databases(const ReplyView& reply) {
    const auto pair = reply.elements();
    const auto number = pair.size() == 2 ? pair[1].integer() : std::nullopt;
    if (number && *number > 0) worker_.process().set_upstream_databases(static_cast<uint32_t>(*number));
  }

  void done_one() {
    if (--awaited_ == 0) delete this;
  }

  Worker& worker_;
  const NodeId master_;
  const std::function<void()> failed_;
  uint32_t awaited_ = 1;  // itself, until all is asked
};

}  // namespace

void ask_upstream_facts(Worker& worker, NodeId master, std::function<void()> failed) {
  (new FactsTask(worker, master, std::move(failed)))->start();
}

std::string info_field(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return {};
  const size_t from = at + name.size();
  return std::string(text.substr(from, text.find_first_of("\r\n", from) - from));
}

}  // namespace corral::core

// One server: it is known from the settings, and nobody has to be asked.
#include "proxy/core/topology_source.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr uint32_t kMostGapMs = 2000;

class StandaloneSource final : public TopologySource {
 public:
  explicit StandaloneSource(Worker& worker) : worker_(worker) {}

  Pace pace() const override {
    return {static_cast<uint32_t>(worker_.settings().upstream.refresh_interval_ms), kMostGapMs};
  }
  void ask(Done done) override { done(view_of_one_owner("standalone", worker_.settings().upstream.seeds[0])); }
  void conclude() override {}

 private:
  Worker& worker_;
};

}  // namespace

std::unique_ptr<TopologySource> make_standalone_source(Worker& worker) {
  return std::make_unique<StandaloneSource>(worker);
}

ClusterView view_of_one_owner(std::string name, config::Address address) {
  ClusterView view;
  view.nodes.push_back({std::move(name), std::move(address), true});
  view.owner.fill(0);
  return view;
}

}  // namespace corral::core

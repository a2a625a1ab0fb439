// The checker's part for queues: what is pushed is popped by one client at most, in order, and by one at least unless
// that has gone.
#include "checker.h"

namespace corral::sim {

void Checker::on_pushed(const std::string& name, const std::string& item) {
  List& list = lists_[name];
  if (!list.places.emplace(item, list.pushed.size()).second) fail("pushed twice: " + item);
  list.pushed.push_back(item);
}

void Checker::on_popped(const std::string& name, const std::string& item) {
  List& list = lists_[name];
  if (list.popped >= list.pushed.size() || list.pushed[list.popped] != item) fail("the simulator's lists are wrong");
  ++list.popped;
}

bool Checker::was_pushed(const std::string& list, const std::string& item) const {
  const auto it = lists_.find(list);
  return it != lists_.end() && it->second.places.contains(item);
}

void Checker::on_taken(uint32_t client, const std::string& name, const std::string& item) {
  List& list = lists_[name];
  const auto place = list.places.find(item);
  if (place == list.places.end()) return fail("client " + std::to_string(client) + " got what nobody pushed: " + item);
  if (!list.taken.emplace(item, client).second) return fail("two clients got " + item);
  const auto [last, is_first] = list.last_places.try_emplace(client, place->second);
  if (!is_first && place->second <= last->second) fail("client " + std::to_string(client) + " got an older " + item);
  last->second = place->second;
}

void Checker::check_lists() {
  uint64_t lost = 0;
  for (const auto& [name, list] : lists_) lost += list.popped - list.taken.size();
  if (lost > takers_losses_) {
    fail(std::to_string(lost) + " elements were popped and got lost, with " + std::to_string(takers_losses_) +
         " clients that may have lost one");
  }
}

}  // namespace corral::sim

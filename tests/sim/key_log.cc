#include "key_log.h"

#include <algorithm>

namespace corral::sim {

void KeyLog::on_written(const std::string& name, const Writer* writer, int64_t at_us) {
  Key& key = keys_[name];
  if (!writer && key.versions.back().absent) return;
  if (writer) key.places[*writer] = static_cast<int64_t>(key.versions.size());
  key.versions.push_back({at_us, writer == nullptr, writer ? *writer : Writer{}});
}

KeyLog::Sent KeyLog::on_sent(uint32_t process, const std::string& name, int64_t now_us) {
  Key& key = keys_[name];
  return {now_us, key.floors[process], static_cast<int64_t>(key.versions.size()) - 1};
}

void KeyLog::raise(Key& key, const Asker& asker, int64_t floor) {
  for (int64_t* each : {&key.floors[asker.process], &key.own_floors[asker.client]}) *each = std::max(*each, floor);
}

// It had been replaced for longer than the bound when the request was sent.
bool KeyLog::too_old(const Key& key, int64_t place, const Sent& sent) const {
  const auto next = static_cast<size_t>(place) + 1;
  return next < key.versions.size() && key.versions[next].from_us + bound_us < sent.us;
}

std::string KeyLog::on_value(const Asker& asker, const std::string& name, const Sent& sent, const Writer& writer) {
  Key& key = keys_[name];
  const auto it = key.places.find(writer);
  if (it == key.places.end()) return "was told a value that no node has had";
  const int64_t place = it->second;
  const int64_t floor = std::max(sent.floor, key.own_floors[asker.client]);
  if (place < floor) {
    return "was told version " + std::to_string(place) + " after version " + std::to_string(floor) +
           " had been told or its write been answered (G1, G2)";
  }
  if (too_old(key, place, sent)) {
    const int64_t gone_us = sent.us - key.versions[static_cast<size_t>(place) + 1].from_us;
    return "was told a value that had been replaced or gone for " + std::to_string(gone_us) + " us (G3)";
  }
  raise(key, asker, place);
  return {};
}

std::string KeyLog::on_nothing(const Asker& asker, const std::string& name, const Sent& sent, int64_t) {
  Key& key = keys_[name];
  const auto count = static_cast<int64_t>(key.versions.size());
  for (int64_t place = std::max(sent.floor, key.own_floors[asker.client]); place < count; ++place) {
    if (!key.versions[static_cast<size_t>(place)].absent || too_old(key, place, sent)) continue;
    raise(key, asker, place);
    return {};
  }
  return "was told that there is nothing, though there was something all the time (G1, G2, G3)";
}

bool KeyLog::was_absent(const std::string& name, int64_t since_us, bool blind) const {
  const auto it = keys_.find(name);
  if (it == keys_.end()) return true;
  const auto& versions = it->second.versions;
  for (size_t i = versions.size(); i-- > 0;) {
    if (versions[i].absent) return true;
    if (blind && versions[i].writer.first == kDirectWriter) continue;
    if (versions[i].from_us < since_us) return false;
  }
  return true;
}

void KeyLog::on_stored(const Asker& asker, const std::string& name, const Sent& sent, const Writer& writer) {
  Key& key = keys_[name];
  const auto it = key.places.find(writer);
  raise(key, asker, it == key.places.end() ? sent.current : it->second);
}

void KeyLog::on_removed(const Asker& asker, const std::string& name, const Sent& sent, bool was_there) {
  raise(keys_[name], asker, sent.current + (was_there ? 1 : 0));
}

}  // namespace corral::sim

// Leases that hold for all proxies before a cluster (`scope = "cluster"`): a lease is also a key beside the data, in
// the same slot, that goes by itself when the lease ends.
//
// It is asked for in one transaction, which also tells how the key itself is at the same moment: another proxy may have
// set it meanwhile. All that is read there is tracked, so that the proxy hears when the key is set or the others' lease
// is given up, and need not ask again and again. A holder's lease is deleted only if it is still the one that was set.
// Source: https://redis.io/docs/manual/patterns/distributed-locks, "Correct implementation with a single instance".
#pragma once

#include <string>
#include <string_view>

namespace corral::core {

class Worker;

/// The name of the key beside `key`.
std::string lease_key_of(const Worker& worker, std::string_view key);
/// The key beside which there is one of this name; empty if it is no such name.
std::string_view key_of_lease(std::string_view name);
inline bool is_lease_key(std::string_view name) { return !key_of_lease(name).empty(); }

/// Whether there may be such keys.
bool has_lease_keys(const Worker& worker);

}  // namespace corral::core

// For each slot a short text that is in it: for keys of Corral's own that have to be in a given slot, also beside a key
// of any form (as a hash tag).
#pragma once

#include <cstdint>
#include <string_view>

namespace corral::resp {

/// At most four letters or digits, whose key_slot() is `slot` (less than kSlots). Lives as long as the program; made at
/// the first call.
std::string_view slot_tag(uint16_t slot);

}  // namespace corral::resp

// A reply in RESP3 as the same server gives it in RESP2: what is read once over a RESP3 connection can so be told to
// clients of either version. For the commands that the near cache answers (NearRead in command_table.h); what others
// answer may differ in more than this.
#pragma once

#include <string>
#include <string_view>

namespace corral::resp {

/// Appends the RESP2 form of `reply`, which is one whole RESP3 reply without attributes.
void append_resp2_form(std::string& out, std::string_view reply);

}  // namespace corral::resp

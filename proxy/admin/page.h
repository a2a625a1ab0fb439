// The live page: page.html, in the program.
#pragma once

#include <string_view>

namespace corral::admin {

extern const std::string_view kPage;

/// In the page, stands for a random number of each reply, without which no script or style in it runs.
inline constexpr std::string_view kNoncePlace = "NONCE";

}  // namespace corral::admin

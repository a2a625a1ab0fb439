// Splits an inline request ("SET k \"a b\"") into its words, as sdssplitargs of Redis' sds.c does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resp/command.h"

namespace corral::resp {

/// Appends the words of `line`, unquoted, to `text` one after the other and puts the place of the i-th into words[i]
/// (words grows as needed). Returns how many there are, or -1 if quotes are unbalanced.
///
/// Double quotes know \xHH \n \r \t \b \a and take any other escaped byte as it is, single quotes know only \'. A
/// closing quote must be followed by a blank or by the end. Unlike in C strings a NUL byte is an ordinary one.
int split_inline_words(std::string_view line, std::string& text, std::vector<Slice>& words);

}  // namespace corral::resp

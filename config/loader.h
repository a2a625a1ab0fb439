// The settings from a TOML file. Strict: what is misspelt, of the wrong type, out of range or not served by this
// version is an error with its line, so that no setting is ever silently without effect.
#pragma once

#include <string>
#include <string_view>

#include "config/conflict.h"
#include "config/reader.h"
#include "config/result.h"
#include "config/settings.h"

namespace corral::config {

// What is wrong with the files that settings name (certificates), if anything is. Settings do not know what such files
// hold, so the program passes this in.
using FileCheck = std::function<std::optional<Conflict>(const Settings&)>;

// What the file leaves out has its default. The error is that of the first wrong line:
// `FILE:LINE: what is wrong; what is allowed`, or `FILE: ...` if the file cannot be read at all.
Result<Settings> load_file(const std::string& file, const CommandCheck& is_command = {}, const FileCheck& check = {});

// The same for a text; `file` is what errors call it.
Result<Settings> load_text(std::string_view toml, const std::string& file, const CommandCheck& is_command = {},
                           const FileCheck& check = {});

}  // namespace corral::config

// What may be done by way of the admin port: what is safe, whenever and however often.
#pragma once

#include <string>

#include "proxy/admin/collector.h"

namespace corral::admin {

/// The HTTP status and a JSON document: {"purged":12}, or {"error":"..."}.
struct Outcome {
  int status = 200;
  std::string text;
};

/// Drops the keys that match a glob from the near cache. Waits for it, some seconds at most; from any thread but a
/// worker's, as below.
Outcome purge(const Post& post, const std::string& glob);
/// Loads the settings again.
Outcome reload(const Post& post);

}  // namespace corral::admin

// Certificates of a test's own, made at run time by openssl(1): an authority, and what it signs.
#pragma once

#include <string>

#include "process.h"

namespace corral::test {

class Authority {
 public:
  // Its files are NAME.pem and so on below `dir`, which outlives it.
  Authority(const TempDir& dir, std::string name);
  std::string file() const { return path(name_); }

  // Makes NAME.pem and NAME.key for a server that has these names ("DNS:localhost,IP:127.0.0.1"), or for a client.
  // `days`: below 0, it has expired.
  void sign(const std::string& name, const std::string& subjects, int days = 10) const;
  std::string path(const std::string& name, const std::string& ending = ".pem") const {
    return (dir_.path() / (name + ending)).string();
  }

 private:
  const TempDir& dir_;
  const std::string name_;
};

}  // namespace corral::test

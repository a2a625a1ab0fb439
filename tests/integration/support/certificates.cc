#include "certificates.h"

#include <fstream>
#include <stdexcept>

namespace corral::test {
namespace {

void openssl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  const Finished finished = run(arguments);
  if (finished.status != 0) throw std::runtime_error("openssl " + arguments[1] + ": " + finished.output);
}

}  // namespace

Authority::Authority(const TempDir& dir, std::string name) : dir_(dir), name_(std::move(name)) {
  openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "10",
           "-subj", "/CN=authority " + name_, "-keyout", path(name_, ".key"), "-out", path(name_)});
}

void Authority::sign(const std::string& name, const std::string& subjects, int days) const {
  const std::string request = path(name, ".csr"), extensions = path(name, ".ext");
  std::ofstream(extensions) << "subjectAltName=" << subjects << "\n";
  openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + name,
           "-keyout", path(name, ".key"), "-out", request});
  openssl({"x509", "-req", "-in", request, "-CA", file(), "-CAkey", path(name_, ".key"), "-CAcreateserial", "-days",
           std::to_string(days), "-extfile", extensions, "-out", path(name)});
}

}  // namespace corral::test

// Version and build: what a bug report needs.
#include <openssl/crypto.h>
#include <pybind11/pybind11.h>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "mailsbuddy/base.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::python {
namespace {

py::dict build_info() {
  py::dict info;
  info["version"] = to_str(version());
  info["compiler"] = MAILSBUDDY_COMPILER;
  info["build_type"] = MAILSBUDDY_BUILD_TYPE;
  info["sanitizers"] = MAILSBUDDY_SANITIZERS;
  info["python"] = PY_VERSION;  // That it was built for; any release of the same minor version runs it.
  info["pybind11"] = PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_MINOR);
  info["openssl"] = OpenSSL_version(OPENSSL_VERSION);
  info["rocksdb"] = MAILSBUDDY_ROCKSDB_VERSION;
  info["libuv"] = MAILSBUDDY_LIBUV_VERSION;
  info["cares"] = MAILSBUDDY_CARES_VERSION;
  info["libopendkim"] = dkim::available(dkim::Backend::kLibopendkim);
  return info;
}

}  // namespace

void bind_base(py::module_& core) {
  core.attr("__version__") = to_str(version());
  core.def("build_info", &build_info, "Versions of this library and of what it was built with, for bug reports.");
}

}  // namespace mailsbuddy::python

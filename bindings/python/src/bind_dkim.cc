// DKIM (mailsbuddy/dkim.h).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::python {
namespace {

void bind_key_ring(py::module_& dkim) {
  // Shared with the engine once it is given; only the constructor of the package's KeyRing adds to it.
  py::class_<dkim::KeyRing, std::shared_ptr<dkim::KeyRing>>(dkim, "KeyRing", "Which key signs for which domain of From.")
      .def(py::init<>())
      .def(
          "add_pem",
          [](dkim::KeyRing& self, const std::string& domain, const std::string& selector, py::object pem) {
            const std::string bytes = to_bytes(pem, "pem");
            value_or_raise(without_gil([&]() -> Result<void> {
              auto key = dkim::PrivateKey::parse(bytes);
              if (!key) return Error{key.error().code, "the key of " + domain + ": " + key.error().detail};
              auto signer = dkim::Signer::make(domain, selector, *std::move(key));
              if (!signer) return std::move(signer).error();
              return self.add(*std::move(signer));
            }));
          },
          py::arg("domain"), py::arg("selector"), py::arg("pem"));
}

}  // namespace

void bind_dkim(py::module_& core) {
  auto dkim = core.def_submodule("dkim", "DKIM: keys, signatures, verifying.");
  bind_key_ring(dkim);
}

}  // namespace mailsbuddy::python

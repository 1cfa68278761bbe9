// DKIM (mailsbuddy/dkim.h).
#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/python/src/bind.h"
#include "bindings/python/src/convert.h"
#include "bindings/python/src/errors.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::python {
namespace {

using dkim::KeyRecord;
using dkim::PrivateKey;
using dkim::Signer;
using dkim::SignOptions;

TimePoint time_or_now(py::handle time) { return time.is_none() ? SystemClock().now() : to_time_point(time, "now"); }

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

void bind_record(py::module_& dkim) {
  py::class_<KeyRecord>(dkim, "KeyRecord", "What stands in the DNS for a selector (RFC 6376 3.6.1).")
      .def_static(
          "parse", [](std::string_view text) { return value_or_raise(KeyRecord::parse(text)); }, py::arg("text"),
          "From a TXT record's text. Raises InvalidArgument with the reason.")
      .def_property_readonly("key_type", [](const KeyRecord& self) { return to_str(self.key_type); }, "k=: rsa or ed25519.")
      .def_property_readonly(
          "bits", [](const KeyRecord& self) { return value_or_raise(dkim::key_bits(self)); },
          "Of RSA's modulus; 256 for Ed25519. Raises InvalidArgument when revoked, or when p= is no such key.")
      .def_property_readonly("revoked", &KeyRecord::revoked, "p= is empty.")
      .def_property_readonly("testing", [](const KeyRecord& self) { return self.has_flag("y"); }, "t=y.")
      .def_property_readonly("serves_email", &KeyRecord::serves_email)
      .def_property_readonly("allows_sha256", [](const KeyRecord& self) { return self.allows_hash("sha256"); })
      .def_property_readonly("notes", [](const KeyRecord& self) { return to_str(self.notes); }, "n=, decoded.")
      .def(
          "zone_file", [](const KeyRecord& self) { return to_str(dkim::zone_file_strings(self.str())); },
          "Quoted strings of 255 octets at most, for a zone file.")
      .def("__str__", [](const KeyRecord& self) { return to_str(self.str()); })
      .def("__repr__", [](const KeyRecord& self) { return fmt::format("<mailsbuddy.dkim.KeyRecord {}>", self.key_type); });
}

void bind_private_key(py::module_& dkim) {
  py::class_<PrivateKey>(dkim, "PrivateKey", "A private key, parsed once; never shown by repr.")
      .def_static(
          "parse",
          [](py::handle key, bool allow_short_rsa) {
            const std::string bytes = to_bytes(key, "key");
            return value_or_raise(without_gil([&] { return PrivateKey::parse(bytes, {.allow_short_rsa = allow_short_rsa}); }));
          },
          py::arg("key"), py::kw_only(), py::arg("allow_short_rsa") = false,
          "From PEM or DER, PKCS#8 or PKCS#1. Raises InvalidArgument saying what it is instead.")
      .def_static(
          "generate_rsa",
          [](int bits) { return value_or_raise(without_gil([&] { return PrivateKey::generate_rsa(bits); })); },
          py::arg("bits") = dkim::kRsaBitsDefault, "A new RSA key of 2048 to 4096 bits.")
      .def_static(
          "generate_ed25519", [] { return value_or_raise(PrivateKey::generate_ed25519()); }, "A new Ed25519 key.")
      .def_property_readonly("algorithm", [](const PrivateKey& self) { return to_str(to_string(self.algorithm())); })
      .def_property_readonly("bits", &PrivateKey::bits)
      .def_property_readonly("record", &PrivateKey::record, "The KeyRecord to publish.")
      .def("pem", [](const PrivateKey& self) { return py::bytes(self.pem()); }, "PKCS#8, unencrypted: keep it safe.")
      .def(
          "check_record",
          [](const PrivateKey& self, std::string_view text) { value_or_raise(dkim::check_record(self, text)); },
          py::arg("text"), "Raises InvalidArgument unless that TXT record publishes this key's public half for mail.")
      .def("__repr__", [](const PrivateKey& self) {
        return fmt::format("<mailsbuddy.dkim.PrivateKey {}>", to_string(self.algorithm()));
      });
}

dkim::Canonicalisation form_named(std::string_view name, std::string_view what) {
  if (name == "relaxed") return dkim::Canonicalisation::kRelaxed;
  if (name == "simple") return dkim::Canonicalisation::kSimple;
  raise(ErrorCode::kInvalidArgument, fmt::format("{}: \"{}\" is neither relaxed nor simple", what, name));
}

Signer make_signer(std::string_view domain, std::string_view selector, const PrivateKey& key,
                   std::optional<std::vector<std::string>> headers, std::optional<std::vector<std::string>> oversigned,
                   std::string_view header_form, std::string_view body_form, py::handle expires_after,
                   const std::string& identity, bool timestamp) {
  SignOptions options;
  if (headers) options.headers = *std::move(headers);
  if (oversigned) options.oversigned = *std::move(oversigned);
  options.header = form_named(header_form, "header_form");
  options.body = form_named(body_form, "body_form");
  if (!expires_after.is_none()) {
    options.expires_after = std::chrono::duration_cast<std::chrono::seconds>(to_duration(expires_after, "expires_after"));
  }
  options.identity = identity;
  options.timestamp = timestamp;
  return value_or_raise(Signer::make(domain, selector, key, std::move(options)));
}

void bind_signer(py::module_& dkim) {
  py::class_<Signer>(dkim, "Signer", "Signs for one domain and selector.")
      .def(py::init(&make_signer), py::arg("domain"), py::arg("selector"), py::arg("key"), py::kw_only(), py::arg("headers"),
           py::arg("oversigned"), py::arg("header_form"), py::arg("body_form"), py::arg("expires_after"),
           py::arg("identity"), py::arg("timestamp"))
      .def(
          "sign",
          [](const Signer& self, const py::bytes& message, py::handle now) {
            const auto bytes = std::string_view(message);
            const TimePoint at = time_or_now(now);
            return py::bytes(value_or_raise(without_gil([&] { return self.sign(bytes, at); })));
          },
          py::arg("message"), py::arg("now"))
      .def_property_readonly("domain", [](const Signer& self) { return to_str(self.domain()); })
      .def_property_readonly("selector", [](const Signer& self) { return to_str(self.selector()); })
      .def_property_readonly("warnings", [](const Signer& self) {
        py::list list;
        for (const std::string& each : self.warnings()) list.append(to_str(each));
        return list;
      });
}

using Answers = std::map<std::string, std::pair<std::string, std::vector<std::string>>>;  // Name: status and records.

dkim::KeyAnswer answer_of(const Answers& answers, std::string_view name) {
  using Kind = dkim::KeyAnswer::Kind;
  const auto found = answers.find(std::string(name));
  if (found == answers.end()) return {.kind = Kind::kTemporaryFailure, .records = {}, .detail = "it was not looked up"};
  const auto& [status, records] = found->second;
  if (status == "ok") return {.kind = Kind::kFound, .records = records};
  if (status == "failed") return {.kind = Kind::kTemporaryFailure, .records = {}, .detail = "DNS failed"};
  return {};
}

void bind_result(py::module_& dkim) {
  using dkim::SignatureResult;
  const auto text = [](std::string SignatureResult::* field) {
    return [field](const SignatureResult& self) { return to_str(self.*field); };
  };
  py::class_<SignatureResult>(dkim, "SignatureResult", "One DKIM-Signature field and what is to be said of it.")
      .def_property_readonly("domain", text(&SignatureResult::domain), "d=")
      .def_property_readonly("selector", text(&SignatureResult::selector), "s=")
      .def_property_readonly("identity", text(&SignatureResult::identity), "i=, decoded.")
      .def_property_readonly("algorithm", text(&SignatureResult::algorithm), "a=")
      .def_property_readonly("detail", text(&SignatureResult::detail), "More than the reason; may quote the message.")
      .def_property_readonly(
          "status", [](const SignatureResult& self) { return to_str(to_string(self.status)); }, "pass, fail, permerror, ...")
      .def_property_readonly(
          "reason", [](const SignatureResult& self) { return to_str(to_string(self.reason)); }, "For programs: body-hash-mismatch.")
      .def_property_readonly(
          "description", [](const SignatureResult& self) { return to_str(dkim::describe(self.reason)); }, "For people.")
      .def_property_readonly("body_length", [](const SignatureResult& self) { return self.body_length; }, "l=")
      .def_readonly("key_bits", &SignatureResult::key_bits, "0: no key was read.")
      .def_readonly("testing", &SignatureResult::testing, "t=y: to be treated as unsigned.")
      .def("__repr__", [](const SignatureResult& self) {
        return fmt::format("<mailsbuddy.dkim.SignatureResult {}>", to_string(self.status));
      });
  using dkim::Verification;
  py::class_<Verification>(dkim, "Verification", "What all signatures of a message come to.")
      .def_property_readonly("status", [](const Verification& self) { return to_str(to_string(self.status)); })
      .def_property_readonly("signatures", [](const Verification& self) { return self.signatures; })
      .def(
          "authentication_results",
          [](const Verification& self, std::string_view id) { return to_str(self.authentication_results(id)); },
          py::arg("authserv_id"), "The value of an Authentication-Results field (RFC 8601).")
      .def("__repr__", [](const Verification& self) {
        return fmt::format("<mailsbuddy.dkim.Verification {}>", to_string(self.status));
      });
}

void bind_verify(py::module_& dkim) {
  dkim.def(
      "keys_needed",
      [](const py::bytes& message, std::size_t signatures_max) {
        return dkim::keys_needed(std::string_view(message), signatures_max);
      },
      py::arg("message"), py::arg("signatures_max"));
  dkim.def(
      "verify",
      [](const py::bytes& message, const Answers& answers, py::handle now, bool allow_sha1, int rsa_bits_min,
         std::size_t signatures_max) {
        const auto bytes = std::string_view(message);
        dkim::VerifyOptions options{.now = time_or_now(now)};
        options.allow_sha1 = allow_sha1;
        options.rsa_bits_min = rsa_bits_min;
        options.signatures_max = signatures_max;
        return without_gil(
            [&] { return dkim::verify(bytes, [&](std::string_view name) { return answer_of(answers, name); }, options); });
      },
      py::arg("message"), py::arg("answers"), py::arg("now"), py::arg("allow_sha1"), py::arg("rsa_bits_min"),
      py::arg("signatures_max"));
}

}  // namespace

void bind_dkim(py::module_& core) {
  auto dkim = core.def_submodule("dkim", "DKIM: keys, signatures, verifying.");
  bind_key_ring(dkim);
  bind_record(dkim);
  bind_private_key(dkim);
  bind_signer(dkim);
  bind_result(dkim);
  bind_verify(dkim);
}

}  // namespace mailsbuddy::python

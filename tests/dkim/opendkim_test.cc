// Our signatures before libopendkim, the verifier of many receivers.
#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <boost/test/unit_test.hpp>
#include <map>

#include "tests/dkim/known_leak.h"
#include "tests/dkim/messages.h"

namespace mailsbuddy::dkim {
namespace {

// What the DNS has: "rsa._domainkey.brand.example" and its record.
std::map<std::string, std::string>& records() {
  static std::map<std::string, std::string> known;
  return known;
}

DKIM_CBSTAT look_up(DKIM*, DKIM_SIGINFO* signature, u_char* buffer, size_t size) noexcept {
  const auto text = [](const u_char* value) { return std::string(reinterpret_cast<const char*>(value)); };
  const auto found =
      records().find(text(dkim_sig_getselector(signature)) + "._domainkey." + text(dkim_sig_getdomain(signature)));
  if (found == records().end()) return DKIM_CBSTAT_NOTFOUND;
  if (found->second.size() + 1 > size) return DKIM_CBSTAT_ERROR;
  std::copy_n(found->second.c_str(), found->second.size() + 1, buffer);
  return DKIM_CBSTAT_CONTINUE;
}

class OpenDkim {
 public:
  OpenDkim() : library_(dkim_init(nullptr, nullptr)) { dkim_set_key_lookup(library_, look_up); }
  ~OpenDkim() { dkim_close(library_); }

  // DKIM_STAT_OK, or why not.
  DKIM_STAT verify(std::string message) {
    DKIM_STAT status = DKIM_STAT_OK;
    DKIM* dkim = dkim_verify(library_, reinterpret_cast<const u_char*>("test"), nullptr, &status);
    BOOST_REQUIRE(dkim != nullptr);
    status = dkim_chunk(dkim, reinterpret_cast<u_char*>(message.data()), message.size());
    if (status == DKIM_STAT_OK) status = dkim_chunk(dkim, nullptr, 0);
    if (status == DKIM_STAT_OK) status = dkim_eom(dkim, nullptr);
    dkim_free(dkim);
    return status;
  }

 private:
  DKIM_LIB* library_;
};

std::string result_of(DKIM_STAT status) { return dkim_getresultstr(status); }

constexpr TimePoint kTime{std::chrono::seconds(1'700'000'000)};
constexpr std::string_view kMessage = "From: <news@brand.example>\r\nSubject: s\r\n\r\nbody \r\n\r\n";
constexpr const char* kName = "s1._domainkey.brand.example";

BOOST_AUTO_TEST_CASE(verifies_what_is_whole_and_nothing_else) {
  const KnownLeak known;
  SignedMessages messages;
  for (const char* selector : {"rsa", "ed"}) {
    records()[std::string(selector) + "._domainkey.brand.example"] = messages.record(selector);
  }
  OpenDkim opendkim;
  for (int i = 0; i < 10'000; ++i) {
    const SignedMessage message = messages.next();
    const DKIM_STAT status = opendkim.verify(message.text);
    if ((status == DKIM_STAT_OK) != message.verifies) BOOST_ERROR(message.what << ": " << result_of(status));
  }
}

BOOST_AUTO_TEST_CASE(refuses_another_key) {
  SignedMessages messages;
  records()["rsa._domainkey.brand.example"] =
      PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value().record().str();
  BOOST_TEST(OpenDkim().verify(messages.next().text) == DKIM_STAT_BADSIG);
}

// The sizes of key that there are.
BOOST_AUTO_TEST_CASE(verifies_keys_of_every_size) {
  OpenDkim opendkim;
  for (const int bits : {1024, 1536, 2048, 4096}) {
    BOOST_TEST_CONTEXT(bits) {
      const PrivateKey key = PrivateKey::generate_rsa(bits, {.allow_short_rsa = true}).value();
      records()[kName] = key.record().str();
      const Signer signer = Signer::make("brand.example", "s1", key).value();
      BOOST_TEST(opendkim.verify(signer.sign(kMessage, kTime).value() + std::string(kMessage)) == DKIM_STAT_OK);
    }
  }
}

// Every optional tag, by both engines, verified.
BOOST_AUTO_TEST_CASE(verifies_every_option_of_both_engines) {
  const KnownLeak known;
  OpenDkim opendkim;
  const PrivateKey keys[] = {PrivateKey::generate_rsa().value(), PrivateKey::generate_ed25519().value()};
  const auto far = std::chrono::hours(24 * 365 * 50);
  using enum Canonicalisation;
  for (const PrivateKey& key : keys) {
    records()[kName] = key.record().str();
    for (const Backend backend : {Backend::kNative, Backend::kLibopendkim}) {
      for (const SignOptions& options :
           {SignOptions{.expires_after = far}, SignOptions{.identity = "@x.brand.example"},
            SignOptions{.body_length = 4}, SignOptions{.body_length = 0}, SignOptions{.copied_headers = true},
            SignOptions{.header = kSimple, .body = kSimple, .copied_headers = true},
            SignOptions{.oversigned = {"From", "X-None"}}}) {
        SignOptions given = options;
        given.backend = backend;
        const Signer signer = Signer::make("brand.example", "s1", key, given).value();
        const std::string field = signer.sign(kMessage, kTime).value();
        BOOST_TEST_CONTEXT(field) {
          BOOST_TEST(result_of(opendkim.verify(field + std::string(kMessage))) == result_of(DKIM_STAT_OK));
        }
      }
    }
    const Signer more = Signer::make("brand.example", "s1", key, {.timestamp = false, .query_method = true}).value();
    BOOST_TEST(opendkim.verify(more.sign(kMessage, kTime).value() + std::string(kMessage)) == DKIM_STAT_OK);
  }
}

}  // namespace
}  // namespace mailsbuddy::dkim

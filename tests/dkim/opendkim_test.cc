// Our signatures before libopendkim, the verifier of many receivers.
#include <sys/types.h>

#define _Bool bool  // C99's word, which their header uses in C++ too.
#include <opendkim/dkim.h>
#undef _Bool

#include <boost/test/unit_test.hpp>

#include "tests/dkim/messages.h"

namespace mailsbuddy::dkim {
namespace {

std::string& key_record() {
  static std::string record;
  return record;
}

DKIM_CBSTAT look_up(DKIM*, DKIM_SIGINFO*, u_char* buffer, size_t size) noexcept {
  const std::string& record = key_record();
  if (record.size() + 1 > size) return DKIM_CBSTAT_ERROR;
  std::copy_n(record.c_str(), record.size() + 1, buffer);
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

BOOST_AUTO_TEST_CASE(verifies_what_is_whole_and_nothing_else) {
  Messages messages;
  key_record() = messages.key().record().str();
  OpenDkim opendkim;
  for (const SignedMessage& message : messages.make(300)) {
    BOOST_TEST_CONTEXT(message.what) {
      const DKIM_STAT status = opendkim.verify(message.text);
      BOOST_TEST_CONTEXT(dkim_getresultstr(status)) { BOOST_TEST((status == DKIM_STAT_OK) == message.verifies); }
    }
  }
}

BOOST_AUTO_TEST_CASE(refuses_another_key) {
  Messages messages;
  key_record() = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value().record().str();
  OpenDkim opendkim;
  BOOST_TEST(opendkim.verify(messages.make(1).front().text) == DKIM_STAT_BADSIG);
}

// The sizes of key that there are.
BOOST_AUTO_TEST_CASE(verifies_keys_of_every_size) {
  OpenDkim opendkim;
  for (const int bits : {1024, 1536, 2048, 4096}) {
    BOOST_TEST_CONTEXT(bits) {
      const PrivateKey key = PrivateKey::generate_rsa(bits, {.allow_short_rsa = true}).value();
      key_record() = key.record().str();
      const std::string message = "From: <news@brand.example>\r\n\r\nbody\r\n";
      const Signer signer = Signer::make("brand.example", "s1", key).value();
      BOOST_TEST(opendkim.verify(signer.sign(message, TimePoint(std::chrono::seconds(1'700'000'000))).value() +
                                 message) == DKIM_STAT_OK);
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::dkim

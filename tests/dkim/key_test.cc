#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <boost/test/unit_test.hpp>

#include "dkim/key.h"

namespace mailsbuddy::dkim {
namespace {

OpenSslPtr<EVP_PKEY> rsa(unsigned bits) { return OpenSslPtr<EVP_PKEY>(EVP_RSA_gen(bits)); }

OpenSslPtr<EVP_PKEY> rsa_pss() {
  const OpenSslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr));
  EVP_PKEY* made = nullptr;
  BOOST_REQUIRE(EVP_PKEY_keygen_init(context.get()) == 1);
  BOOST_REQUIRE(EVP_PKEY_generate(context.get(), &made) == 1);
  return OpenSslPtr<EVP_PKEY>(made);
}

std::string text_of(const OpenSslPtr<BIO>& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(const OpenSslPtr<EVP_PKEY>& pkey, const char* password = nullptr) {
  BOOST_REQUIRE(pkey != nullptr);
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  const int size = password == nullptr ? 0 : static_cast<int>(std::string_view(password).size());
  BOOST_REQUIRE(PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey.get(), password == nullptr ? nullptr : EVP_aes_256_cbc(),
                                              password, size, nullptr, nullptr) == 1);
  return text_of(bio);
}

std::string pkcs1_of(const OpenSslPtr<EVP_PKEY>& pkey) {
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  BOOST_REQUIRE(PEM_write_bio_PrivateKey_traditional(bio.get(), pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
                1);
  return text_of(bio);
}

std::string public_of(const OpenSslPtr<EVP_PKEY>& pkey) {
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  BOOST_REQUIRE(PEM_write_bio_PUBKEY(bio.get(), pkey.get()) == 1);
  return text_of(bio);
}

BOOST_AUTO_TEST_CASE(reads_pkcs8_and_pkcs1_and_writes_pkcs8) {
  const auto pkey = rsa(2048);
  const auto pkcs8 = PrivateKey::from_pem(pem_of(pkey));
  const auto pkcs1 = PrivateKey::from_pem(pkcs1_of(pkey));
  BOOST_REQUIRE((pkcs8 && pkcs1));
  BOOST_TEST(pkcs1_of(pkey).starts_with("-----BEGIN RSA PRIVATE KEY-----"));
  BOOST_TEST(pkcs8->bits() == 2048);
  BOOST_TEST(pkcs1->record() == pkcs8->record());
  BOOST_TEST(pkcs1->pem() == pem_of(pkey));
  BOOST_TEST(PrivateKey::from_pem(pkcs8->pem()).value().record() == pkcs8->record());
}

BOOST_AUTO_TEST_CASE(reads_a_key_among_other_text) {
  const std::string pem = "Bag Attributes\n  friendlyName: s1\n" + pem_of(rsa(1024)) + "\ntrailing\n";
  BOOST_TEST(PrivateKey::from_pem(pem).value().bits() == 1024);
}

BOOST_AUTO_TEST_CASE(record_text) {
  const std::string record = PrivateKey::generate(1024).value().record();
  BOOST_TEST(record.starts_with("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEB"));  // RSA-1024 SubjectPublicKeyInfo.
  BOOST_TEST(record.ends_with("AQAB"));                                      // The exponent, 65537.
}

struct RefusedCase {
  std::string name;
  std::string pem;
  std::string_view detail;
};

BOOST_AUTO_TEST_CASE(what_is_no_usable_key_is_refused_with_the_reason) {
  const auto named = [](const char* type) { return OpenSslPtr<EVP_PKEY>(EVP_PKEY_Q_keygen(nullptr, nullptr, type)); };
  const auto ec = OpenSslPtr<EVP_PKEY>(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const auto pss = rsa_pss();
  const std::string good = pem_of(rsa(1024));
  const RefusedCase cases[] = {
      {"empty", "", "not a PEM private key"},
      {"text", "brand.pem", "not a PEM private key"},
      {"begin line alone", "-----BEGIN PRIVATE KEY-----\n", "not a PEM private key"},
      {"cut in the middle", good.substr(0, good.size() / 2), "not a PEM private key"},
      {"no base 64", "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n", "not a PEM private key"},
      {"public key", public_of(rsa(1024)), "not a PEM private key"},
      {"too long", std::string(1 << 20, 'x'), "not a PEM private key"},
      {"encrypted", pem_of(rsa(1024), "secret"), "the PEM private key is encrypted: decrypt it first"},
      {"Ed25519", pem_of(named("ED25519")), "not an RSA key but ED25519: only RSA keys can sign in this version"},
      {"elliptic curve", pem_of(ec), "not an RSA key but EC: only RSA keys can sign in this version"},
      {"RSA-PSS", pem_of(pss), "not an RSA key but RSA-PSS: only RSA keys can sign in this version"},
      {"weak", pem_of(rsa(768)), "RSA key of 768 bits: from 1024 to 4096 are usable (RFC 8301 3.2)"},
  };
  for (const RefusedCase& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto key = PrivateKey::from_pem(c.pem);
      BOOST_REQUIRE(!key);
      BOOST_TEST((key.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(key.error().detail == c.detail);
    }
  }
}

// A key that still parses with a digit changed is refused, or it signs for the same public key as before.
BOOST_AUTO_TEST_CASE(a_damaged_digit_never_makes_another_key) {
  const auto key = PrivateKey::generate(1024).value();
  const std::string pem = key.pem();
  int refused = 0;
  for (std::size_t i = 30; i < pem.size() - 30; i += 3) {
    std::string damaged = pem;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    const auto other = PrivateKey::from_pem(damaged);
    if (other) {
      BOOST_TEST(other->record() == key.record());
    } else {
      ++refused;
    }
  }
  BOOST_TEST(refused > 50);
}

BOOST_AUTO_TEST_CASE(generate_keeps_the_limits) {
  BOOST_TEST((PrivateKey::generate(512).error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST((PrivateKey::generate(8192).error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST(PrivateKey::generate().value().bits() == kRsaBitsDefault);
}

struct ZoneCase {
  std::string_view name;
  std::string text;
  std::string strings;
};

BOOST_AUTO_TEST_CASE(zone_file_text) {
  const ZoneCase cases[] = {
      {"empty", "", "\"\""},
      {"one string", "v=DKIM1", "\"v=DKIM1\""},
      {"255 octets", std::string(255, 'a'), '"' + std::string(255, 'a') + '"'},
      {"256 octets", std::string(256, 'a'), '"' + std::string(255, 'a') + "\" \"a\""},
      {"two full strings", std::string(510, 'a'), '"' + std::string(255, 'a') + "\" \"" + std::string(255, 'a') + '"'},
      {"escapes", "a\"b\\c\n\xff", "\"a\\\"b\\\\c\\010\\255\""},
  };
  for (const ZoneCase& c : cases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(zone_file_strings(c.text) == c.strings); }
  }
}

}  // namespace
}  // namespace mailsbuddy::dkim

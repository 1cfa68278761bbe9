#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "dkim/key.h"

namespace mailsbuddy::dkim {
namespace {

// As most of the tests want it: keys of 1024 bits are made in no time.
Result<PrivateKey> parse(std::string_view bytes) { return PrivateKey::parse(bytes, {.allow_short_rsa = true}); }

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

std::string der_of(const OpenSslPtr<EVP_PKEY>& pkey, bool pkcs8 = true) {
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  BOOST_REQUIRE((pkcs8 ? i2d_PKCS8PrivateKey_bio(bio.get(), pkey.get(), nullptr, nullptr, 0, nullptr, nullptr)
                       : i2d_PrivateKey_bio(bio.get(), pkey.get())) == 1);
  return text_of(bio);
}

std::string public_of(const OpenSslPtr<EVP_PKEY>& pkey) {
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  BOOST_REQUIRE(PEM_write_bio_PUBKEY(bio.get(), pkey.get()) == 1);
  return text_of(bio);
}

BOOST_AUTO_TEST_CASE(reads_pkcs8_and_pkcs1_and_writes_pkcs8) {
  const auto pkey = rsa(2048);
  const auto pkcs8 = parse(pem_of(pkey));
  const auto pkcs1 = parse(pkcs1_of(pkey));
  BOOST_REQUIRE((pkcs8 && pkcs1));
  BOOST_TEST(pkcs1_of(pkey).starts_with("-----BEGIN RSA PRIVATE KEY-----"));
  BOOST_TEST(pkcs8->bits() == 2048);
  BOOST_TEST(pkcs1->record().str() == pkcs8->record().str());
  BOOST_TEST(pkcs1->pem() == pem_of(pkey));
  BOOST_TEST(parse(pkcs8->pem()).value().record().str() == pkcs8->record().str());
}

BOOST_AUTO_TEST_CASE(reads_der_of_both_kinds) {
  const auto pkey = rsa(2048);
  const std::string record = PrivateKey::parse(pem_of(pkey)).value().record().str();
  BOOST_TEST(PrivateKey::parse(der_of(pkey)).value().record().str() == record);
  BOOST_TEST(PrivateKey::parse(der_of(pkey, false)).value().record().str() == record);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_key_is_none) {
  const auto pkey = rsa(2048);
  const OpenSslPtr<EVP_PKEY> ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  for (const std::string& whole : {der_of(pkey), der_of(pkey, false), der_of(ed25519)}) {
    BOOST_TEST(PrivateKey::parse(whole).has_value());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      if (PrivateKey::parse(whole.substr(0, size))) BOOST_ERROR("taken: " << size << " of " << whole.size());
    }
  }
  for (const std::string& whole : {pem_of(pkey), pkcs1_of(pkey), pem_of(ed25519)}) {
    for (std::size_t size = 0; size < whole.size() - 10; size += 7) {
      if (PrivateKey::parse(whole.substr(0, size))) BOOST_ERROR("taken: " << size << " of " << whole.size());
    }
  }
}

BOOST_AUTO_TEST_CASE(ed25519) {
  const auto key = PrivateKey::generate_ed25519().value();
  BOOST_TEST((key.algorithm() == Algorithm::kEd25519Sha256));
  BOOST_TEST(key.bits() == 256);
  BOOST_TEST(key.record().public_key.size() == 32U);
  BOOST_TEST(key.record().str().starts_with("v=DKIM1; k=ed25519; p="));
  BOOST_TEST(PrivateKey::parse(key.pem()).value().record().str() == key.record().str());
  const OpenSslPtr<EVP_PKEY> pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  BOOST_TEST(PrivateKey::parse(der_of(pkey)).value().pem() == pem_of(pkey));
}

class File {
 public:
  explicit File(std::string_view text) : path_(std::filesystem::temp_directory_path() / "mailsbuddy-key-test.XXXXXX") {
    std::string name = path_.string();
    const int descriptor = mkstemp(name.data());
    BOOST_REQUIRE(descriptor >= 0);
    BOOST_REQUIRE(write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    close(descriptor);
    path_ = name;
  }
  ~File() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

BOOST_AUTO_TEST_CASE(from_files) {
  const auto pkey = rsa(2048);
  const File pem(pem_of(pkey));
  const File der(der_of(pkey));
  BOOST_TEST(PrivateKey::from_file(pem.path()).value().pem() == pem_of(pkey));
  BOOST_TEST(PrivateKey::from_file(der.path()).value().pem() == pem_of(pkey));

  const File bad("hello");
  const auto refused = PrivateKey::from_file(bad.path());
  BOOST_TEST(refused.error().detail == bad.path().string() + ": not a private key: neither PEM nor DER");
  const auto missing = PrivateKey::from_file("/nonexistent/key.pem");
  BOOST_TEST((missing.error().code == ErrorCode::kNotFound));
  BOOST_TEST(missing.error().detail == "/nonexistent/key.pem: No such file or directory");
  const auto folder = PrivateKey::from_file("/");
  BOOST_TEST((folder.error().code == ErrorCode::kIo));
  BOOST_TEST(folder.error().detail == "/: Is a directory");
}

BOOST_AUTO_TEST_CASE(from_sources) {
  const std::string pem = pem_of(rsa(2048));
  BOOST_TEST(PrivateKey::from_source([&]() -> Result<std::string> { return pem; }).value().pem() == pem);
  const auto failed = PrivateKey::from_source([]() -> Result<std::string> {
    return Error{ErrorCode::kUnavailable, "vault is sealed"};
  });
  BOOST_TEST((failed.error().code == ErrorCode::kUnavailable));
  BOOST_TEST(failed.error().detail == "vault is sealed");
  BOOST_TEST(PrivateKey::from_source(nullptr).error().detail == "no source of the key");
}

BOOST_AUTO_TEST_CASE(records_that_publish_a_key_and_those_that_do_not) {
  const auto key = parse(pem_of(rsa(1024))).value();
  const auto ed25519_key = PrivateKey::generate_ed25519().value();
  const std::string own = key.record().str();
  const auto checked = [](const PrivateKey& of, std::string_view txt) {
    const auto result = check_record(of, txt);
    return result ? "" : result.error().detail;
  };
  KeyRecord pkcs1 = key.record();  // RSAPublicKey: the SubjectPublicKeyInfo without the 22 octets before it.
  pkcs1.public_key.erase(0, 22);
  BOOST_TEST(checked(key, own) == "");
  BOOST_TEST(checked(key, pkcs1.str()) == "");
  BOOST_TEST(checked(ed25519_key, ed25519_key.record().str()) == "");
  BOOST_TEST(checked(key, own + "; t=y; s=email; h=sha1:sha256") == "");
  BOOST_TEST(checked(key, "v=DKIM1; p=") == "the key is revoked: p= is empty");
  BOOST_TEST(checked(key, "hello") == "no key record: tag 1 has no \"=\"");
  BOOST_TEST(checked(key, ed25519_key.record().str()) == "the record is for a key of type ed25519, this one is rsa");
  BOOST_TEST(checked(ed25519_key, own) == "the record is for a key of type rsa, this one is ed25519");
  BOOST_TEST(checked(key, parse(pem_of(rsa(1024))).value().record().str()) == "the record publishes another key");
  BOOST_TEST(checked(ed25519_key, PrivateKey::generate_ed25519().value().record().str()) ==
             "the record publishes another key");
  BOOST_TEST(checked(key, "v=DKIM1; p=AAAA") == "the record publishes another key");
  BOOST_TEST(checked(key, own + "; h=sha1") == "h= does not allow sha256");
  BOOST_TEST(checked(key, own + "; s=tlsrpt") == "s= does not allow email");
}

BOOST_AUTO_TEST_CASE(reads_a_key_among_other_text) {
  const std::string pem = "Bag Attributes\n  friendlyName: s1\n" + pem_of(rsa(1024)) + "\ntrailing\n";
  BOOST_TEST(parse(pem).value().bits() == 1024);
}

BOOST_AUTO_TEST_CASE(record_text) {
  const std::string record = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value().record().str();
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
  const auto pem = rsa(1024);
  const RefusedCase cases[] = {
      {"empty", "", "not a private key: empty"},
      {"text", "brand.pem", "not a private key: neither PEM nor DER"},
      {"begin line alone", "-----BEGIN PRIVATE KEY-----\n", "not a private key: the PEM does not parse"},
      {"cut in the middle", good.substr(0, good.size() / 2), "not a private key: the PEM does not parse"},
      {"no base 64", "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
       "not a private key: the PEM does not parse"},
      {"public key", public_of(rsa(1024)), "a public key: signing takes the private one"},
      {"public key in DER", KeyRecord::parse(parse(good).value().record().str()).value().public_key,
       "a public key: signing takes the private one"},
      {"certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
       "a certificate: signing takes a private key"},
      {"DER cut short", der_of(pem).substr(0, 100), "not a private key: neither PEM nor DER"},
      {"too long", std::string(1 << 20, 'x'), "not a private key: over 65536 octets"},
      {"encrypted", pem_of(rsa(1024), "secret"), "the private key is encrypted: decrypt it first"},
      {"elliptic curve", pem_of(ec), "a key of type EC: DKIM signs with RSA or Ed25519"},
      {"X25519", pem_of(named("X25519")), "a key of type X25519: DKIM signs with RSA or Ed25519"},
      {"RSA-PSS", pem_of(pss), "a key of type RSA-PSS: DKIM signs with RSA or Ed25519"},
      {"weak", pem_of(rsa(768)), "RSA key of 768 bits: from 1024 to 4096 are usable (RFC 8301 3.2)"},
  };
  for (const RefusedCase& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto key = parse(c.pem);
      BOOST_REQUIRE(!key);
      BOOST_TEST((key.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(key.error().detail == c.detail);
    }
  }
}

// A key that still parses with a digit changed is refused, or it signs for the same public key as before.
BOOST_AUTO_TEST_CASE(a_damaged_digit_never_makes_another_key) {
  const auto key = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  const std::string pem = key.pem();
  int refused = 0;
  for (std::size_t i = 30; i < pem.size() - 30; i += 3) {
    std::string damaged = pem;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    const auto other = parse(damaged);
    if (other) {
      BOOST_TEST(other->record().str() == key.record().str());
    } else {
      ++refused;
    }
  }
  BOOST_TEST(refused > 50);
}

BOOST_AUTO_TEST_CASE(short_keys_only_if_allowed) {
  const std::string pem = pem_of(rsa(1024));
  BOOST_TEST(PrivateKey::parse(pem).error().detail ==
             "RSA key of 1024 bits is weak: 2048 are wanted (RFC 8301 3.2), fewer only if allowed");
  BOOST_TEST(PrivateKey::parse(pem, {.allow_short_rsa = true}).has_value());
  BOOST_TEST(PrivateKey::parse(pem_of(rsa(2048))).has_value());
}

BOOST_AUTO_TEST_CASE(generate_keeps_the_limits) {
  for (const int bits : {512, 1024, 2047, 8192}) {
    BOOST_TEST((PrivateKey::generate_rsa(bits).error().code == ErrorCode::kInvalidArgument));
  }
  BOOST_TEST(PrivateKey::generate_rsa(512, {.allow_short_rsa = true}).error().detail ==
             "RSA key of 512 bits: from 1024 to 4096 are usable (RFC 8301 3.2)");
  BOOST_TEST(PrivateKey::generate_rsa().value().bits() == kRsaBitsDefault);
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

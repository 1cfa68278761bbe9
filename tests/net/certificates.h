// certificates.h - keys and certificates made in the test, and the TLSA records to them.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "core/net/tls.h"

namespace mailsbuddy::net::test {

using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;

struct Identity {
  KeyPtr key;
  CertPtr certificate;
};

enum class Age { kValid, kExpired };

// A P-256 key, or another one, and a certificate for `name`, signed by `issuer`; null: self-signed, a CA.
inline Identity make_identity(const char* name, const Identity* issuer, Age age = Age::kValid, EVP_PKEY* key = nullptr) {
  static long serial = 1;
  Identity made{KeyPtr(key != nullptr ? key : EVP_EC_gen("P-256")), CertPtr(X509_new())};
  X509* x = made.certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), -7'200);
  X509_gmtime_adj(X509_getm_notAfter(x), age == Age::kValid ? 7'200 : -3'600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name),
                             -1, -1, 0);
  X509_set_pubkey(x, made.key.get());
  X509_set_issuer_name(x, X509_get_subject_name(issuer != nullptr ? issuer->certificate.get() : x));
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer != nullptr ? issuer->certificate.get() : x, x, nullptr, nullptr, 0);
  const std::string alternative = std::string("DNS:") + name;
  const auto extend = [&](int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  };
  if (issuer == nullptr) {
    extend(NID_basic_constraints, "critical,CA:TRUE");
  } else {
    extend(NID_subject_alt_name, alternative.c_str());
  }
  X509_sign(x, issuer != nullptr ? issuer->key.get() : made.key.get(), EVP_sha256());
  return made;
}

// A CA, and a file with its certificate.
struct Authority {
  explicit Authority(const char* name = "Test CA", const EVP_MD* digest = EVP_sha256()) : identity(make_identity(name, nullptr)) {
    X509_sign(identity.certificate.get(), identity.key.get(), digest);
    char pattern[] = "/tmp/mailsbuddy-ca-XXXXXX";
    const int fd = mkstemp(pattern);
    file = pattern;
    FILE* out = fdopen(fd, "w");
    PEM_write_X509(out, identity.certificate.get());
    fclose(out);
  }
  ~Authority() { std::filesystem::remove(file); }
  Identity identity;
  std::string file;
};

inline std::string bio_text(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

inline std::string certificate_pem(const Identity& identity) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, identity.certificate.get());
  return bio_text(bio);
}

inline std::string key_pem(const Identity& identity) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return bio_text(bio);
}

// The record that matches `identity`: usage 2 or 3; selector and matching as in RFC 6698 2.1.
inline TlsaRecord tlsa_of(const Identity& identity, std::uint8_t usage, std::uint8_t selector, std::uint8_t matching) {
  unsigned char* der = nullptr;
  const int size = selector == 0 ? i2d_X509(identity.certificate.get(), &der)
                                 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(identity.certificate.get()), &der);
  std::string data(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  if (matching != 0) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_Digest(data.data(), data.size(), digest, &length, matching == 1 ? EVP_sha256() : EVP_sha512(), nullptr);
    data.assign(reinterpret_cast<char*>(digest), length);
  }
  return {usage, selector, matching, std::move(data)};
}

}  // namespace mailsbuddy::net::test

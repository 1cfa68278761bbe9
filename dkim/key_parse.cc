// Reading private keys: what the bytes are, and what they are instead when they are no key to sign with. Those that are
// go past OpenSSL's decoders (key_der.h); what is said of the others is what those find.
//   PEM "PRIVATE KEY"      PrivateKeyInfo (PKCS#8, RFC 5208 5)
//   PEM "RSA PRIVATE KEY"  RSAPrivateKey (PKCS#1, RFC 8017 A.1.2)
//   DER                    either of the two
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "dkim/key.h"
#include "dkim/key_der.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kKeyBytesMax = 64 * 1024;  // An RSA-4096 key with its text takes 13 KB.

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

// Encrypted keys are not asked a password for: OpenSSL's own callback would read the terminal.
int no_password(char*, int, int, void* asked) noexcept {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<OpenSslPtr<EVP_PKEY>> parse_pem(std::string_view pem) {
  if (auto read = read_pem_key(pem)) return read;
  const OpenSslPtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return Error{ErrorCode::kInternal, "OpenSSL: BIO_new_mem_buf failed"};
  bool encrypted = false;
  OpenSslPtr<EVP_PKEY> pkey(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, &encrypted));
  if (pkey) return pkey;
  if (encrypted) return invalid("the private key is encrypted: decrypt it first");
  if (pem.find("PUBLIC KEY-----") != std::string_view::npos)
    return invalid("a public key: signing takes the private one");
  if (pem.find("-----BEGIN CERTIFICATE") != std::string_view::npos)
    return invalid("a certificate: signing takes a private key");
  return invalid("not a private key: the PEM does not parse");
}

template <class Parse>
auto parse_whole(std::string_view der, Parse parse) {
  auto* at = reinterpret_cast<const unsigned char*>(der.data());
  return parse(&at, static_cast<long>(der.size()));
}

Result<OpenSslPtr<EVP_PKEY>> parse_der(std::string_view der) {
  if (auto read = read_der_key(der)) return read;
  OpenSslPtr<EVP_PKEY> pkey(parse_whole(der, [](auto at, long size) { return d2i_AutoPrivateKey(nullptr, at, size); }));
  if (pkey) return pkey;
  const OpenSslPtr<EVP_PKEY> public_key(
      parse_whole(der, [](auto at, long size) { return d2i_PUBKEY(nullptr, at, size); }));
  if (public_key) return invalid("a public key: signing takes the private one");
  X509_SIG* encrypted = parse_whole(der, [](auto at, long size) { return d2i_X509_SIG(nullptr, at, size); });
  if (encrypted == nullptr) return invalid("not a private key: neither PEM nor DER");
  X509_SIG_free(encrypted);
  return invalid("the private key is encrypted: decrypt it first");
}

// Past the C library's buffers, which would keep a copy.
Result<void> read_file(const std::filesystem::path& file, std::string& bytes) {
  const std::unique_ptr<std::FILE, decltype(&std::fclose)> stream(std::fopen(file.c_str(), "rb"), &std::fclose);
  if (!stream) return Error{errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, std::strerror(errno)};
  std::setvbuf(stream.get(), nullptr, _IONBF, 0);
  bytes.resize(kKeyBytesMax + 1);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), stream.get()));
  if (std::ferror(stream.get()) != 0) return Error{ErrorCode::kIo, std::strerror(errno)};
  return {};
}

}  // namespace

Result<PrivateKey> PrivateKey::parse(std::string_view pem_or_der, KeyOptions options) {
  const ErrorMark mark;
  if (pem_or_der.empty()) return invalid("not a private key: empty");
  if (pem_or_der.size() > kKeyBytesMax) return invalid(fmt::format("not a private key: over {} octets", kKeyBytesMax));
  const bool pem = pem_or_der.find("-----BEGIN ") != std::string_view::npos;
  auto pkey = pem ? parse_pem(pem_or_der) : parse_der(pem_or_der);
  if (!pkey) return std::move(pkey).error();
  return Key::make(*std::move(pkey), options);
}

Result<PrivateKey> PrivateKey::from_file(const std::filesystem::path& file, KeyOptions options) {
  WipedString bytes;
  const auto about = [&file](const Error& error) {
    return Error{error.code, fmt::format("{}: {}", file.string(), error.detail)};
  };
  if (auto read = read_file(file, bytes.text()); !read) return about(read.error());
  auto key = parse(bytes.text(), options);
  if (!key) return about(key.error());
  return key;
}

Result<PrivateKey> PrivateKey::from_source(const KeySource& source, KeyOptions options) {
  if (!source) return invalid("no source of the key");
  auto bytes = source();
  if (!bytes) return std::move(bytes).error();
  WipedString wiped(*std::move(bytes));
  return parse(wiped.text(), options);
}

}  // namespace mailsbuddy::dkim

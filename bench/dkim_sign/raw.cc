// What no signer can avoid, by OpenSSL alone.
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>

#include "bench/dkim_sign/contender.h"
#include "bench/support/mail.h"

namespace mailsbuddy::bench {
namespace {

void require(bool good, const char* what) {
  if (!good) need(Result<void>(Error{ErrorCode::kInternal, what}));
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Key parse(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Key key(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr), &EVP_PKEY_free);
  BIO_free(bio);
  require(key != nullptr, "reading the key");
  return key;
}

class DigestSign final : public Contender {
 public:
  explicit DigestSign(const dkim::PrivateKey& key)
      : rsa_(key.algorithm() == dkim::Algorithm::kRsaSha256), key_(parse(key.pem())) {
    const EVP_MD* md = rsa_ ? EVP_sha256() : nullptr;
    require(EVP_DigestSignInit(prepared_.get(), nullptr, md, nullptr, key_.get()) == 1, "EVP_DigestSignInit");
  }

  std::string_view sign(const std::string& message) override {
    // RSA's hash has a state, so each signature begins with a copy of the prepared context; Ed25519's has none.
    if (rsa_) require(EVP_MD_CTX_copy_ex(context_.get(), prepared_.get()) == 1, "EVP_MD_CTX_copy_ex");
    const auto* input = reinterpret_cast<const unsigned char*>(message.data());
    std::size_t size = signature_.size();
    require(EVP_DigestSign(rsa_ ? context_.get() : prepared_.get(), signature_.data(), &size, input,
                           rsa_ ? message.size() : kDigestBytes) == 1,
            "EVP_DigestSign");
    return {reinterpret_cast<const char*>(signature_.data()), size};
  }

 private:
  static constexpr std::size_t kDigestBytes = 32;
  bool rsa_;
  Key key_;
  Context prepared_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  Context context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  std::array<unsigned char, 512> signature_;
};

class PlainSha256 final : public Contender {
 public:
  std::string_view sign(const std::string& message) override {
    const std::string_view body = std::string_view(message).substr(message.find("\r\n\r\n") + 4);
    require(EVP_DigestInit_ex(context_.get(), md_.get(), nullptr) == 1 &&
                EVP_DigestUpdate(context_.get(), body.data(), body.size()) == 1 &&
                EVP_DigestFinal_ex(context_.get(), digest_.data(), nullptr) == 1,
            "EVP_Digest");
    return {reinterpret_cast<const char*>(digest_.data()), digest_.size()};
  }

 private:
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> md_{EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free};
  Context context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  std::array<unsigned char, 32> digest_;
};

}  // namespace

std::unique_ptr<Contender> make_raw_digest_sign(const dkim::PrivateKey& key) {
  return std::make_unique<DigestSign>(key);
}
std::unique_ptr<Contender> make_raw_sha256() { return std::make_unique<PlainSha256>(); }

}  // namespace mailsbuddy::bench

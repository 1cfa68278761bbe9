// What no verifier can avoid, by OpenSSL alone.
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>

#include "bench/dkim_verify/contender.h"
#include "bench/support/mail.h"

namespace mailsbuddy::bench {
namespace {

void require(bool good, const char* what) {
  if (!good) need(Result<void>(Error{ErrorCode::kInternal, what}));
}

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Key parse(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Key key(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr), &EVP_PKEY_free);
  BIO_free(bio);
  require(key != nullptr, "reading the key");
  return key;
}

class DigestVerify final : public Contender {
 public:
  DigestVerify(const dkim::PrivateKey& key, const std::string& message)
      : rsa_(key.algorithm() == dkim::Algorithm::kRsaSha256), key_(parse(key.pem())) {
    const EVP_MD* md = rsa_ ? EVP_sha256() : nullptr;
    const Context signing(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    const std::string_view input = part_of(message);
    size_ = signature_.size();
    require(EVP_DigestSignInit(signing.get(), nullptr, md, nullptr, key_.get()) == 1 &&
                EVP_DigestSign(signing.get(), signature_.data(), &size_, octets(input), input.size()) == 1,
            "EVP_DigestSign");
    require(EVP_DigestVerifyInit(prepared_.get(), nullptr, md, nullptr, key_.get()) == 1, "EVP_DigestVerifyInit");
  }

  bool verify(const std::string& message) override {
    // RSA's hash has a state, so each begins with a copy of the prepared context; Ed25519's has none.
    if (rsa_) require(EVP_MD_CTX_copy_ex(context_.get(), prepared_.get()) == 1, "EVP_MD_CTX_copy_ex");
    const std::string_view input = part_of(message);
    return EVP_DigestVerify(rsa_ ? context_.get() : prepared_.get(), signature_.data(), size_, octets(input),
                            input.size()) == 1;
  }

 private:
  static constexpr std::size_t kDigestBytes = 32;
  std::string_view part_of(std::string_view message) const { return rsa_ ? message : message.substr(0, kDigestBytes); }

  bool rsa_;
  Key key_;
  Context prepared_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  Context context_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  std::array<unsigned char, 512> signature_;
  std::size_t size_ = 0;
};

}  // namespace

std::unique_ptr<Contender> make_raw_digest_verify(const dkim::PrivateKey& key, const std::string& message) {
  return std::make_unique<DigestVerify>(key, message);
}

}  // namespace mailsbuddy::bench

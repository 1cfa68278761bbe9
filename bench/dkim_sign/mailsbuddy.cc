#include "bench/dkim_sign/contender.h"
#include "bench/support/mail.h"

namespace mailsbuddy::bench {
namespace {

class Signs final : public Contender {
 public:
  Signs(const dkim::PrivateKey& key, dkim::Backend backend)
      : signer_(need(dkim::Signer::make(kDomain, kSelector, key, {.backend = backend}))) {}

  std::string_view sign(const std::string& message) override {
    field_.clear();
    need(signer_.sign(message, kTime, field_));
    return field_;
  }

 private:
  dkim::Signer signer_;
  std::string field_;
};

class Hashes final : public Contender {
 public:
  explicit Hashes(const dkim::PrivateKey& key) : signer_(need(dkim::Signer::make(kDomain, kSelector, key))) {}

  std::string_view sign(const std::string& message) override {
    hash_ = need(signer_.hash_body(std::string_view(message).substr(message.find("\r\n\r\n") + 4)));
    return {reinterpret_cast<const char*>(hash_.sha256.data()), hash_.sha256.size()};
  }

 private:
  dkim::Signer signer_;
  dkim::BodyHash hash_;
};

}  // namespace

std::unique_ptr<Contender> make_mailsbuddy(const dkim::PrivateKey& key, dkim::Backend backend) {
  return std::make_unique<Signs>(key, backend);
}
std::unique_ptr<Contender> make_mailsbuddy_hash(const dkim::PrivateKey& key) { return std::make_unique<Hashes>(key); }

}  // namespace mailsbuddy::bench

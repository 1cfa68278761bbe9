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

class SignsSeveral final : public Contender {
 public:
  explicit SignsSeveral(const dkim::PrivateKey& key) : signer_(need(dkim::Signer::make(kDomain, kSelector, key))) {}

  std::string_view sign(const std::string& message) override {
    const dkim::Signer* const by = &signer_;
    std::array<dkim::SignTask, dkim::kSignedAtOnce> tasks{};
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      fields_[i].clear();
      tasks[i] = {.signers = {&by, 1}, .message = message, .out = &fields_[i]};
    }
    dkim::sign_batch(tasks, kTime);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      need(tasks[i].result);
      if (fields_[i] != fields_[0]) need(Result<void>(Error{ErrorCode::kInternal, "not the same signature"}));
    }
    return fields_[0];
  }
  std::uint64_t times() const override { return dkim::kSignedAtOnce; }

 private:
  dkim::Signer signer_;
  std::array<std::string, dkim::kSignedAtOnce> fields_;
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
std::unique_ptr<Contender> make_mailsbuddy_batch(const dkim::PrivateKey& key) { return std::make_unique<SignsSeveral>(key); }
std::unique_ptr<Contender> make_mailsbuddy_hash(const dkim::PrivateKey& key) { return std::make_unique<Hashes>(key); }

}  // namespace mailsbuddy::bench

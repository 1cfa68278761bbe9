#include "dkim/public_key.h"

#include <fmt/format.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/base/ascii.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kEd25519Bytes = 32;  // RFC 8032 5.1.5

const unsigned char* bytes(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

OpenSslPtr<EVP_PKEY_CTX> verifying_context(EVP_PKEY* pkey, const char* hash) {
  OpenSslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey, nullptr));
  const OpenSslPtr<EVP_MD> md(EVP_MD_fetch(nullptr, hash, nullptr));
  const bool ready = context && md && EVP_PKEY_verify_init(context.get()) > 0 &&
                     EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) > 0 &&
                     EVP_PKEY_CTX_set_signature_md(context.get(), md.get()) > 0;
  return ready ? std::move(context) : nullptr;
}

bool verify_digest(EVP_PKEY_CTX* context, std::string_view digest, std::string_view signature) {
  return context != nullptr &&
         EVP_PKEY_verify(context, bytes(signature), signature.size(), bytes(digest), digest.size()) == 1;
}

}  // namespace

Digests::Digests() : sha1(EVP_MD_fetch(nullptr, "SHA1", nullptr)), sha256(EVP_MD_fetch(nullptr, "SHA256", nullptr)) {}

void Hasher::start(Hash hash) {
  const EVP_MD* md = digests_.find(hash);
  good_ = context_ && md != nullptr && EVP_DigestInit_ex2(context_.get(), md, nullptr) > 0;
}

void Hasher::update(std::string_view bytes) {
  good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) > 0;
}

std::string_view Hasher::finish() {
  unsigned size = 0;
  if (!good_ || EVP_DigestFinal_ex(context_.get(), sum_.data(), &size) <= 0) return {};
  return {reinterpret_cast<const char*>(sum_.data()), size};
}

std::string_view Hasher::sum_with(std::string_view tail) {
  Hasher copy(digests_);
  copy.good_ = good_ && copy.context_ && EVP_MD_CTX_copy_ex(copy.context_.get(), context_.get()) > 0;
  copy.update(tail);
  const std::string_view sum = copy.finish();
  sum_ = copy.sum_;
  return {reinterpret_cast<const char*>(sum_.data()), sum.size()};
}

std::shared_ptr<const PublicKey> PublicKey::parse(std::string_view record_text) {
  const ErrorMark mark;
  auto key = std::make_shared<PublicKey>();
  key->fault_ = key->load(record_text);
  return key;
}

Finding PublicKey::load(std::string_view record_text) {
  auto record = KeyRecord::parse(record_text);
  if (!record) return {Reason::kKeySyntax, record.error().detail};
  record_ = *std::move(record);
  if (record_.revoked()) return {Reason::kKeyRevoked, ""};
  if (record_.key_type == "rsa") return load_rsa();
  if (record_.key_type == "ed25519") return load_ed25519();
  return {};  // check() finds that no signature can be of it.
}

// RFC 6376 3.6.1 says RSAPublicKey, its appendix C shows a SubjectPublicKeyInfo, which is what all publish.
Finding PublicKey::load_rsa() {
  const std::string& der = record_.public_key;
  const auto size = static_cast<long>(der.size());
  const unsigned char* at = bytes(der);
  pkey_.reset(d2i_PUBKEY(nullptr, &at, size));
  if (!pkey_) {
    at = bytes(der);
    pkey_.reset(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size));
  }
  if (!pkey_ || at != bytes(der) + size) return {Reason::kKeySyntax, "p= is not the DER of an RSA key"};
  if (!EVP_PKEY_is_a(pkey_.get(), "RSA")) return {Reason::kKeySyntax, "k=rsa, but p= is no RSA key"};
  bits_ = EVP_PKEY_get_bits(pkey_.get());
  if (bits_ > kRsaVerifyBitsMax) return {Reason::kKeyTooLong, fmt::format("{} bits", bits_)};
  rsa_sha256_ = verifying_context(pkey_.get(), "SHA256");
  if (!rsa_sha256_) return {Reason::kKeySyntax, "p= is an RSA key that OpenSSL refuses"};
  return {};
}

Finding PublicKey::load_ed25519() {
  const std::string& key = record_.public_key;
  if (key.size() != kEd25519Bytes) {
    return {Reason::kKeySyntax,
            fmt::format("p= has {} octets, an Ed25519 key {} (RFC 8463 4.2)", key.size(), kEd25519Bytes)};
  }
  pkey_.reset(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, bytes(key), key.size()));
  if (!pkey_) return {Reason::kKeySyntax, "p= is no Ed25519 key"};
  bits_ = 256;
  return {};
}

Finding PublicKey::check(const Signature& signature, const VerifyOptions& options) const {
  if (!fault_.ok()) return fault_;
  const SignatureAlgorithm& algorithm = *signature.algorithm;
  if (!record_.allows_hash(algorithm.hash_name))
    return {Reason::kHashNotAllowed, fmt::format("not {}", algorithm.hash_name)};
  if (record_.key_type != algorithm.key_type) {
    return {Reason::kKeyTypeMismatch, fmt::format("a={}, but not k={}", algorithm.text, algorithm.key_type)};
  }
  if (!record_.serves_email()) return {Reason::kServiceNotEmail, ""};
  if (record_.has_flag("s") && !ascii::iequals(signature.identity_domain(), signature.domain)) {
    return {Reason::kSubdomainNotAllowed, ""};
  }
  if (algorithm.key_type == "rsa" && bits_ < options.rsa_bits_min) {
    return {Reason::kKeyTooShort, fmt::format("{} bits", bits_)};
  }
  return {};
}

bool PublicKey::verifies(Hash hash, std::string_view digest, std::string_view signature) const {
  const ErrorMark mark;
  if (record_.key_type == "ed25519") {  // RFC 8463 3: PureEdDSA of the hash.
    const OpenSslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    return context &&
           EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, pkey_.get(), nullptr) > 0 &&
           EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(digest), digest.size()) == 1;
  }
  if (hash == Hash::kSha1) return verify_digest(verifying_context(pkey_.get(), "SHA1").get(), digest, signature);
  const OpenSslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_dup(rsa_sha256_.get()));
  return verify_digest(context.get(), digest, signature);
}

Result<int> key_bits(const KeyRecord& record) {
  const auto key = PublicKey::parse(record.str());
  const Finding& fault = key->fault();
  if (!fault.ok()) {
    return Error{ErrorCode::kInvalidArgument,
                 fault.detail.empty() ? std::string(describe(fault.reason)) : fault.detail};
  }
  if (key->bits() == 0) return Error{ErrorCode::kInvalidArgument, fmt::format("k={} is unknown", record.key_type)};
  return key->bits();
}

KeyCache::KeyCache(std::size_t keys_max) : impl_(std::make_unique<Impl>()) {
  impl_->keys_max = std::max<std::size_t>(keys_max, 1);
}
KeyCache::~KeyCache() = default;

// A record with a key of 8,192 bits has 1,400 octets. What is much longer is none, and shall not fill the cache.
constexpr std::size_t kCachedBytesMax = 4096;

std::shared_ptr<const PublicKey> KeyCache::Impl::find(std::string_view text) {
  {
    const std::lock_guard lock(mutex);
    if (const auto found = by_text.find(text); found != by_text.end()) {
      recent.splice(recent.begin(), recent, found->second);
      return found->second->second;
    }
  }
  auto key = PublicKey::parse(text);  // Without the lock: it may take a tenth of a millisecond.
  if (text.size() > kCachedBytesMax) return key;
  const std::lock_guard lock(mutex);
  if (by_text.contains(text)) return key;  // Another thread came first.
  recent.emplace_front(std::string(text), key);
  by_text.emplace(recent.front().first, recent.begin());
  if (recent.size() > keys_max) {
    by_text.erase(recent.back().first);
    recent.pop_back();
  }
  return key;
}

}  // namespace mailsbuddy::dkim

#include "dkim/key.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>

#include "core/base/ascii.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::size_t kEd25519Bytes = 32;       // RFC 8032 5.1.5
constexpr int kShortRsaBits = kRsaBitsDefault;  // RFC 8301 3.2: "Signers SHOULD use RSA keys of at least 2048 bits."

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }
Error openssl_refused(std::string_view what) { return {ErrorCode::kInternal, fmt::format("OpenSSL: {} failed", what)}; }

bool ready_for_rsa(EVP_PKEY_CTX* context, int (*init)(EVP_PKEY_CTX*)) noexcept {
  return context != nullptr && init(context) > 0 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
         EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0;
}

bool verifies(EVP_PKEY& pkey, Algorithm algorithm, const Sha256& digest, std::span<const unsigned char> signature) {
  if (algorithm == Algorithm::kRsaSha256) {
    const OpenSslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_pkey(nullptr, &pkey, nullptr));
    return ready_for_rsa(context.get(), EVP_PKEY_verify_init) &&
           EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(), digest.size()) == 1;
  }
  const OpenSslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, &pkey, nullptr) > 0 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), digest.data(), digest.size()) == 1;
}

Result<void> check_bits(int bits, KeyOptions options) {
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return invalid(
        fmt::format("RSA key of {} bits: from {} to {} are usable (RFC 8301 3.2)", bits, kRsaBitsMin, kRsaBitsMax));
  }
  if (bits < kShortRsaBits && !options.allow_short_rsa) {
    return invalid(fmt::format("RSA key of {} bits is weak: {} are wanted (RFC 8301 3.2), fewer only if allowed", bits,
                               kShortRsaBits));
  }
  return {};
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Signing

SigningContexts::Context SigningContexts::take(EVP_PKEY& pkey) {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Context context = std::move(idle_.back());
      idle_.pop_back();
      return context;
    }
  }
  Context context;
  if (algorithm_ == Algorithm::kRsaSha256) {
    context.rsa.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, &pkey, nullptr));
    if (!ready_for_rsa(context.rsa.get(), EVP_PKEY_sign_init)) context.rsa.reset();
  } else {
    context.ed25519.reset(EVP_MD_CTX_new());
    if (!context.ed25519 ||
        EVP_DigestSignInit_ex(context.ed25519.get(), nullptr, nullptr, nullptr, nullptr, &pkey, nullptr) <= 0) {
      context.ed25519.reset();
    }
  }
  return context;
}

void SigningContexts::give_back(Context context) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
}

std::size_t SigningContexts::sign(EVP_PKEY& pkey, const Sha256& digest,
                                  std::span<unsigned char, kSignatureBytesMax> out) {
  const ErrorMark mark;
  Context context = take(pkey);
  std::size_t size = out.size();
  bool good = false;
  if (context.rsa) good = EVP_PKEY_sign(context.rsa.get(), out.data(), &size, digest.data(), digest.size()) > 0;
  if (context.ed25519) {
    good = EVP_DigestSign(context.ed25519.get(), out.data(), &size, digest.data(), digest.size()) > 0;
  }
  if (!good) return 0;  // A context that failed once is not trusted again.
  give_back(std::move(context));
  return size;
}

bool SigningContexts::verifies(EVP_PKEY& pkey, const Sha256& digest, std::span<const unsigned char> signature) {
  const ErrorMark mark;
  Context context = take(pkey);
  if (!context.rsa_verify) {
    context.rsa_verify.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, &pkey, nullptr));
    if (!ready_for_rsa(context.rsa_verify.get(), EVP_PKEY_verify_init)) return false;
  }
  const bool good = EVP_PKEY_verify(context.rsa_verify.get(), signature.data(), signature.size(), digest.data(),
                                    digest.size()) == 1;
  if (good) give_back(std::move(context));
  return good;
}

namespace {

// EMSA-PKCS1-v1_5 (RFC 8017 9.2): 0x00 0x01 0xff... 0x00, the DigestInfo of SHA-256 and the digest.
void encode_emsa(const Sha256& digest, RsaBlock& out) {
  static constexpr unsigned char kDigestInfo[] = {0x00, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
                                                  0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
  out.fill(0xff);
  out[0] = 0;
  out[1] = 1;
  const auto digest_at = out.end() - digest.size();
  std::copy(digest.begin(), digest.end(), digest_at);
  std::copy(std::begin(kDigestInfo), std::end(kDigestInfo), digest_at - std::size(kDigestInfo));
}

// Each signature is verified before it leaves: by one that a fault of the processor or a wrong number of the key
// spoiled, the key could be computed (Boneh, DeMillo, Lipton 1997). It is made again by OpenSSL, which from then on has
// the key alone.
void sign_in_lanes(std::span<DigestToSign* const> few) {
  std::array<RsaBlock, kRsaLanesMax> blocks;
  std::array<RsaLane, kRsaLanesMax> lanes;
  for (std::size_t i = 0; i < few.size(); ++i) {
    encode_emsa(few[i]->digest, blocks[i]);
    lanes[i] = {.key = few[i]->key->lanes.get(), .block = &blocks[i]};
  }
  rsa_lanes_sign(std::span(lanes).first(few.size()));
  for (std::size_t i = 0; i < few.size(); ++i) {
    DigestToSign& each = *few[i];
    if (each.key->contexts.verifies(*each.key->pkey, each.digest, blocks[i])) {
      std::copy(blocks[i].begin(), blocks[i].end(), each.signature.begin());
      each.size = blocks[i].size();
    } else {
      each.key->lanes_failed = true;
      OPENSSL_cleanse(blocks[i].data(), blocks[i].size());
      each.size = each.key->sign(each.digest, each.signature);
    }
  }
}

}  // namespace

static_assert(kRsaLanesMax == kSignedAtOnce);

// One alone takes OpenSSL less time than the lanes, two take it more.
void sign_digests(std::span<DigestToSign> digests) {
  std::array<DigestToSign*, kRsaLanesMax> few;
  std::size_t count = 0;
  const auto flush = [&] {
    if (count == 1) few[0]->size = few[0]->key->sign(few[0]->digest, few[0]->signature);
    if (count > 1) sign_in_lanes(std::span(few).first(count));
    count = 0;
  };
  for (DigestToSign& each : digests) {
    if (each.key->lanes == nullptr || each.key->lanes_failed) {
      each.size = each.key->sign(each.digest, each.signature);
      continue;
    }
    few[count++] = &each;
    if (count == few.size()) flush();
  }
  flush();
}

std::size_t PrivateKey::Key::sign(const Sha256& digest, std::span<unsigned char, kSignatureBytesMax> out) const {
  return contexts.sign(*pkey, digest, out);
}

// ---------------------------------------------------------------------------------------------------------------------
// Making

Result<PrivateKey> PrivateKey::Key::make(OpenSslPtr<EVP_PKEY> pkey, KeyOptions options) {
  const ErrorMark mark;
  const bool rsa = EVP_PKEY_is_a(pkey.get(), "RSA") == 1;
  if (!rsa && EVP_PKEY_is_a(pkey.get(), "ED25519") != 1) {
    const char* name = EVP_PKEY_get0_type_name(pkey.get());
    return invalid(fmt::format("a key of type {}: DKIM signs with RSA or Ed25519", name == nullptr ? "unknown" : name));
  }
  const int bits = rsa ? EVP_PKEY_get_bits(pkey.get()) : 256;
  if (rsa) {
    if (auto good = check_bits(bits, options); !good) return std::move(good).error();
  }
  const Algorithm algorithm = rsa ? Algorithm::kRsaSha256 : Algorithm::kEd25519Sha256;
  auto key = std::make_shared<Key>(std::move(pkey), algorithm, bits);
  // A damaged digit in a PEM file still parses, and every message would fail at its receiver.
  const Sha256 digest{};
  std::array<unsigned char, kSignatureBytesMax> signature;
  const std::size_t size = key->sign(digest, signature);
  if (size == 0 || !verifies(*key->pkey, algorithm, digest, std::span(signature).first(size))) {
    return invalid(fmt::format("a damaged {} key: its signatures do not verify", rsa ? "RSA" : "Ed25519"));
  }
  std::array<DigestToSign, 2> tried{};  // So many go by the lanes, if it has them.
  for (DigestToSign& each : tried) each.key = key.get();
  sign_digests(tried);
  PrivateKey made;
  made.key_ = std::move(key);
  return made;
}

Result<PrivateKey> PrivateKey::generate_rsa(int bits, KeyOptions options) {
  const ErrorMark mark;
  if (auto good = check_bits(bits, options); !good) return std::move(good).error();
  OpenSslPtr<EVP_PKEY> pkey(EVP_RSA_gen(static_cast<unsigned>(bits)));
  if (!pkey) return openssl_refused("generating an RSA key");
  return Key::make(std::move(pkey), options);
}

Result<PrivateKey> PrivateKey::generate_ed25519() {
  const ErrorMark mark;
  OpenSslPtr<EVP_PKEY> pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!pkey) return openssl_refused("generating an Ed25519 key");
  return Key::make(std::move(pkey), {});
}

// ---------------------------------------------------------------------------------------------------------------------
// What is asked of it

Algorithm PrivateKey::algorithm() const noexcept { return key_->algorithm; }
int PrivateKey::bits() const noexcept { return key_->bits; }

std::string PrivateKey::pem() const {
  const ErrorMark mark;
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_secmem()));  // Cleared when freed.
  char* data = nullptr;
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_->pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) <= 0) {
    return {};
  }
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string PrivateKey::Key::public_key() const {
  const ErrorMark mark;
  std::string octets;
  if (algorithm == Algorithm::kEd25519Sha256) {
    std::array<unsigned char, kEd25519Bytes> raw;
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(pkey.get(), raw.data(), &size) > 0) octets.assign(raw.begin(), raw.end());
    return octets;
  }
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(pkey.get(), &der);
  if (size > 0) octets.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return octets;
}

KeyRecord PrivateKey::record() const {
  KeyRecord record;
  record.key_type = key_->algorithm == Algorithm::kEd25519Sha256 ? "ed25519" : "rsa";
  record.public_key = key_->public_key();
  return record;
}

Result<void> check_record(const PrivateKey& key, std::string_view txt) {
  const auto record = KeyRecord::parse(txt);
  if (!record) return invalid(fmt::format("no key record: {}", record.error().detail));
  const KeyRecord own = key.record();
  if (record->revoked()) return invalid("the key is revoked: p= is empty");
  if (record->key_type != own.key_type) {
    return invalid(fmt::format("the record is for a key of type {}, this one is {}", record->key_type, own.key_type));
  }
  if (!record->allows_hash("sha256")) return invalid("h= does not allow sha256");
  if (!record->serves_email()) return invalid("s= does not allow email");
  if (record->public_key == own.public_key) return {};
  // RSAPublicKey, which RFC 6376 3.6.1 speaks of, where all others publish SubjectPublicKeyInfo.
  if (own.key_type == "rsa") {
    const ErrorMark mark;
    auto* der = reinterpret_cast<const unsigned char*>(record->public_key.data());
    const OpenSslPtr<EVP_PKEY> published(
        d2i_PublicKey(EVP_PKEY_RSA, nullptr, &der, static_cast<long>(record->public_key.size())));
    if (published && EVP_PKEY_eq(published.get(), key.key()->pkey.get()) == 1) return {};
  }
  return invalid("the record publishes another key");
}

}  // namespace mailsbuddy::dkim

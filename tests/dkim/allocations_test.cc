// What signing takes from the heap once a thread has signed before, ours and OpenSSL's apart; and that nothing of a
// private key is left in memory that was given back. Alone in its program: it replaces operator new and OpenSSL's
// allocator.
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/encoding.h"
#include "dkim/key.h"
#include "mailsbuddy/dkim.h"

namespace {

// Both allocators put the size before the block, to look through it when it comes back.
constexpr std::size_t kBefore = 16;

struct Watch {
  std::size_t ours = 0;
  std::size_t openssl = 0;
  std::string_view secrets[5];  // What no block may hold when it is given back.
  std::size_t leaked = 0;
};
Watch watch;

bool holds_secret(std::string_view block) {
  return std::any_of(std::begin(watch.secrets), std::end(watch.secrets), [block](std::string_view secret) {
    return !secret.empty() && secret.size() <= block.size() &&
           memmem(block.data(), block.size(), secret.data(), secret.size()) != nullptr;
  });
}

void* take(std::size_t size, std::size_t& counter) noexcept {
  ++counter;
  auto* block = static_cast<char*>(std::malloc(size + kBefore));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &size, sizeof size);
  return block + kBefore;
}

std::size_t size_of(void* given) noexcept {
  std::size_t size = 0;
  std::memcpy(&size, static_cast<char*>(given) - kBefore, sizeof size);
  return size;
}

void give_back(void* given) noexcept {
  if (given == nullptr) return;
  watch.leaked += holds_secret({static_cast<char*>(given), size_of(given)}) ? 1 : 0;
  std::free(static_cast<char*>(given) - kBefore);
}

void* openssl_malloc(std::size_t size, const char*, int) { return take(size, watch.openssl); }
void openssl_free(void* given, const char*, int) { give_back(given); }
void* openssl_realloc(void* given, std::size_t size, const char*, int) {
  void* made = take(size, watch.openssl);
  if (given != nullptr && made != nullptr) std::memcpy(made, given, std::min(size, size_of(given)));
  give_back(given);
  return made;
}

// Before main(): OpenSSL must not have taken anything yet.
const int kReplaced = CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);

}  // namespace

void* operator new(std::size_t size) {
  void* made = take(size, watch.ours);
  if (made == nullptr) std::abort();
  return made;
}
void operator delete(void* given) noexcept { give_back(given); }
void operator delete(void* given, std::size_t) noexcept { give_back(given); }

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'700'000'000)};

std::string message(std::size_t body_bytes) {
  std::string text =
      "From: News <news@brand.example>\r\nTo: Ann <ann@example.net>\r\nSubject:  What is\r\n new\r\n"
      "List-Unsubscribe: <https://brand.example/u/0123456789abcdef>\r\n\r\n";
  while (text.size() < body_bytes) text += "  The quick brown fox \t jumps over the lazy dog.  \r\n";
  return text;
}

// What `sign` takes, after it was called before.
template <class Sign>
Watch steady(Sign sign) {
  for (int i = 0; i < 3; ++i) sign();
  const Watch before = watch;
  sign();
  return {.ours = watch.ours - before.ours, .openssl = watch.openssl - before.openssl};
}

BOOST_AUTO_TEST_CASE(the_allocators_are_replaced) {
  BOOST_TEST(kReplaced == 1);
  const Watch before = watch;
  delete new int(1);
  OPENSSL_free(OPENSSL_malloc(1));
  BOOST_TEST(watch.ours > before.ours);
  BOOST_TEST(watch.openssl > before.openssl);
}

// OpenSSL 3.0's share, of which no API of it can do without: a block for each hash begun (of the body, of the header),
// and what its RSA and Ed25519 take inside one operation (20 and 5; every 32nd RSA signature a dozen more, for new
// blinding). Bounds and no exact numbers, since the next version may need less.
BOOST_AUTO_TEST_CASE(signing_takes_nothing_from_the_heap) {
  const auto rsa = PrivateKey::generate_rsa().value();
  const auto ed25519 = PrivateKey::generate_ed25519().value();
  using enum Canonicalisation;
  for (const std::size_t size : {std::size_t{1'000}, std::size_t{10'000}, std::size_t{100'000}}) {
    const std::string text = message(size);
    for (const PrivateKey* key : {&rsa, &ed25519}) {
      for (const SignOptions& options : {SignOptions{}, SignOptions{.header = kSimple, .body = kSimple},
                                         SignOptions{.expires_after = std::chrono::hours(1),
                                         .identity = "@brand.example",
                                         .body_length = 100,
                                         .copied_headers = true,
                                         .query_method = true}}) {
        const Signer signer = Signer::make("brand.example", "s1", *key, options).value();
        std::string out;
        const Watch taken = steady([&] {
          out.clear();
          if (!signer.sign(text, kNow, out)) std::abort();
        });
        BOOST_TEST(taken.ours == 0U);
        BOOST_TEST(taken.openssl <= (key == &rsa ? 40U : 8U));
        BOOST_TEST_MESSAGE(to_string(key->algorithm())
                           << ", " << size << " octets: ours " << taken.ours << ", OpenSSL's " << taken.openssl);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(several_signatures_and_shared_bodies_take_nothing_either) {
  const Signer rsa = Signer::make("brand.example", "s1", PrivateKey::generate_rsa().value()).value();
  const Signer simple =
      Signer::make("platform.test", "p1", PrivateKey::generate_ed25519().value(), {.body = Canonicalisation::kSimple})
          .value();
  KeyRing ring;
  BOOST_REQUIRE(ring.add(rsa).has_value());
  BOOST_REQUIRE(ring.add_for_all(simple).has_value());
  const std::string text = message(10'000);
  std::string out;
  BOOST_TEST(steady([&] {
               out.clear();
               const auto signers = ring.signers_for("news.brand.example", kNow).value();
               if (signers.view().size() != 2 || !sign_all(signers.view(), text, kNow, out)) std::abort();
             }).ours == 0U);
  std::array<std::string, 6> outs;
  BOOST_TEST(steady([&] {
               const auto signers = ring.signers_for("news.brand.example", kNow).value();
               std::array<SignTask, 6> tasks{};
               for (std::size_t i = 0; i < tasks.size(); ++i) {
                 outs[i].clear();
                 tasks[i] = {.signers = signers.view(), .message = text, .out = &outs[i]};
               }
               sign_batch(tasks, kNow);
               if (!std::all_of(tasks.begin(), tasks.end(), [](const SignTask& task) { return task.result.has_value(); })) std::abort();
             }).ours == 0U);
  BOOST_TEST(steady([&] {
               out.clear();
               const std::string_view whole = text;
               const std::size_t body = whole.find("\r\n\r\n") + 4;
               const auto hash = rsa.hash_body(whole.substr(body)).value();
               if (!rsa.sign_header(whole.substr(0, body), hash, kNow, out)) std::abort();
             }).ours == 0U);
}

// ---------------------------------------------------------------------------------------------------------------------
// Wiping

// The numbers of a key as they stand in memory: RSA's first prime as OpenSSL's words have it, Ed25519's seed.
std::string secret_of(const std::string& pem) {
  const OpenSslPtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const OpenSslPtr<EVP_PKEY> pkey(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  std::string secret(32, '\0');
  std::size_t size = secret.size();
  if (EVP_PKEY_get_raw_private_key(pkey.get(), reinterpret_cast<unsigned char*>(secret.data()), &size) == 1)
    return secret;
  BIGNUM* prime = nullptr;
  BOOST_REQUIRE(EVP_PKEY_get_bn_param(pkey.get(), "rsa-factor1", &prime) == 1);
  secret.resize(static_cast<std::size_t>(BN_num_bytes(prime)));
  BN_bn2lebinpad(prime, reinterpret_cast<unsigned char*>(secret.data()), static_cast<int>(secret.size()));
  BN_clear_free(prime);
  return secret;
}

std::string der_of(std::string_view pem) {
  const std::size_t begin = pem.find('\n');
  return decode_base64_lenient(pem.substr(begin, pem.rfind("-----END") - begin));
}

void check_wiped(const PrivateKey& made, const std::function<Result<PrivateKey>(const std::string& pem)>& parse) {
  const std::string pem = made.pem();
  const std::string number = secret_of(pem);
  const std::string der = der_of(pem);
  watch.secrets[0] = number;
  watch.secrets[1] = std::string_view(pem).substr(80, 40);  // A line's middle: text that held the key.
  watch.secrets[2] = std::string_view(der).substr(der.size() - 24);
  RsaDigits digits{};  // As the lanes have them.
  if (made.key()->lanes) digits = made.key()->lanes->p.modulus;
  if (made.key()->lanes) watch.secrets[3] = {reinterpret_cast<const char*>(&digits), sizeof digits};
  watch.leaked = 0;
  {
    auto key = parse(pem);
    if (!key) std::abort();
    const Signer signer = Signer::make("brand.example", "s1", *std::move(key)).value();
    const Signer* const by = &signer;
    std::string first, second;
    SignTask tasks[] = {{{&by, 1}, "From: a\r\n\r\n", &first}, {{&by, 1}, "From: b\r\n\r\n", &second}};
    sign_batch(tasks, kNow);
    if (!tasks[0].result || !tasks[1].result) std::abort();
  }
  const std::size_t leaked = watch.leaked;
  std::fill(std::begin(watch.secrets), std::end(watch.secrets), std::string_view());
  BOOST_TEST(leaked == 0U);
}

class File {
 public:
  explicit File(const std::string& text) {
    const int descriptor = mkstemp(path_);
    BOOST_REQUIRE(
        (descriptor >= 0 && write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size())));
    close(descriptor);
  }
  ~File() { unlink(path_); }
  const char* path() const { return path_; }

 private:
  char path_[40] = "/tmp/mailsbuddy-wipe-test.XXXXXX";
};

BOOST_AUTO_TEST_CASE(nothing_of_a_key_is_left_in_memory_given_back) {
  for (const PrivateKey& key : {PrivateKey::generate_rsa().value(), PrivateKey::generate_ed25519().value()}) {
    check_wiped(key, [](const std::string& pem) { return PrivateKey::parse(pem); });
    const File file(key.pem());
    check_wiped(key, [&file](const std::string&) { return PrivateKey::from_file(file.path()); });
    check_wiped(key, [](const std::string& pem) {
      return PrivateKey::from_source([&pem]() -> Result<std::string> { return pem; });
    });
  }
}

// That the watch sees what is left: a copy that nobody wipes.
BOOST_AUTO_TEST_CASE(a_copy_that_nobody_wipes_is_seen) {
  const std::string pem = PrivateKey::generate_ed25519().value().pem();
  watch.secrets[0] = std::string_view(pem).substr(60, 40);
  watch.leaked = 0;
  { const std::string copy = pem; }
  watch.secrets[0] = {};
  BOOST_TEST(watch.leaked == 1U);
}

}  // namespace
}  // namespace mailsbuddy::dkim

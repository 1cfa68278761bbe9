// The lanes against OpenSSL: PKCS #1 v1.5 signatures and RSASP1 are functions, so that both must give the same octets.
#include "dkim/rsa_lanes.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <pthread.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <deque>
#include <functional>
#include <random>

#include "dkim/key.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

constexpr TimePoint kNow{std::chrono::seconds(1'700'000'000)};

const PrivateKey& key(std::size_t index) {
  static std::deque<PrivateKey> made;
  while (made.size() <= index) made.push_back(PrivateKey::generate_rsa(2048).value());
  return made[index];
}

bool lanes_here() {
  if (key(0).key()->lanes != nullptr) return true;
  BOOST_TEST_MESSAGE("not on this processor: it has no AVX-512 IFMA");
  return false;
}

struct BnDelete {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
  void operator()(BN_CTX* context) const noexcept { BN_CTX_free(context); }
};
using Bn = std::unique_ptr<BIGNUM, BnDelete>;
using Context = std::unique_ptr<BN_CTX, BnDelete>;

Bn part(const PrivateKey& of, const char* name) {
  BIGNUM* number = nullptr;
  BOOST_REQUIRE(EVP_PKEY_get_bn_param(of.key()->pkey.get(), name, &number) == 1);
  return Bn(number);
}

RsaBlock block_of(const BIGNUM* number) {
  RsaBlock block;
  BOOST_REQUIRE(BN_bn2binpad(number, block.data(), block.size()) == static_cast<int>(block.size()));
  return block;
}

// block ^ d modulo n.
RsaBlock power(const PrivateKey& of, const RsaBlock& block) {
  const Context context(BN_CTX_new());
  const Bn base(BN_bin2bn(block.data(), block.size(), nullptr)), out(BN_new());
  BOOST_REQUIRE(BN_mod_exp(out.get(), base.get(), part(of, OSSL_PKEY_PARAM_RSA_D).get(),
                           part(of, OSSL_PKEY_PARAM_RSA_N).get(), context.get()) == 1);
  return block_of(out.get());
}

// Numbers at which a digit, a carry or a residue is at its end.
std::vector<RsaBlock> edges(const PrivateKey& of) {
  const Context context(BN_CTX_new());
  const Bn n = part(of, OSSL_PKEY_PARAM_RSA_N), p = part(of, OSSL_PKEY_PARAM_RSA_FACTOR1),
           q = part(of, OSSL_PKEY_PARAM_RSA_FACTOR2);
  std::vector<RsaBlock> blocks;
  const Bn number(BN_new());
  const auto add = [&] { blocks.push_back(block_of(number.get())); };
  for (const BN_ULONG small : {0UL, 1UL, 2UL, 65'537UL}) BN_set_word(number.get(), small), add();
  for (const BIGNUM* each : {p.get(), q.get()}) {
    BN_copy(number.get(), each), add();
    BN_sub_word(number.get(), 1), add();
    BN_add_word(number.get(), 2), add();
  }
  for (const BIGNUM* each : {p.get(), q.get()}) {  // The largest multiple of one that is below n.
    BN_sub(number.get(), n.get(), each), add();
  }
  BN_copy(number.get(), n.get());
  for (int i = 0; i < 3; ++i) BN_sub_word(number.get(), 1), add();
  for (const int bit : {51, 52, 1023, 1024, 1039, 1040, 1041, 2046}) {
    BN_zero(number.get());
    BN_set_bit(number.get(), bit), add();
    BN_sub_word(number.get(), 1), add();
  }
  return blocks;
}

BOOST_AUTO_TEST_CASE(powers_at_the_edges) {
  if (!lanes_here()) return;
  std::vector<std::pair<const PrivateKey*, RsaBlock>> all;
  for (std::size_t i = 0; i < 3; ++i) {
    for (const RsaBlock& block : edges(key(i))) all.emplace_back(&key(i), block);
  }
  std::mt19937 random(1);
  std::shuffle(all.begin(), all.end(), random);  // Keys beside each other, too.
  for (std::size_t i = 0; i < all.size();) {
    const std::size_t count = std::min<std::size_t>(all.size() - i, 1 + random() % kRsaLanesMax);
    std::vector<RsaBlock> blocks;
    for (std::size_t j = 0; j < count; ++j) blocks.push_back(all[i + j].second);
    std::vector<RsaLane> lanes;
    for (std::size_t j = 0; j < count; ++j) lanes.push_back({all[i + j].first->key()->lanes.get(), &blocks[j]});
    rsa_lanes_sign(lanes);
    for (std::size_t j = 0; j < count; ++j) BOOST_TEST((blocks[j] == power(*all[i + j].first, all[i + j].second)));
    i += count;
  }
}

// RFC 8017 3.2 asks for no order of the primes.
BOOST_AUTO_TEST_CASE(the_smaller_prime_first) {
  if (!lanes_here()) return;
  const Context context(BN_CTX_new());
  const Bn p = part(key(0), OSSL_PKEY_PARAM_RSA_FACTOR1), q = part(key(0), OSSL_PKEY_PARAM_RSA_FACTOR2);
  const Bn dp = part(key(0), OSSL_PKEY_PARAM_RSA_EXPONENT1), dq = part(key(0), OSSL_PKEY_PARAM_RSA_EXPONENT2);
  const Bn inverse(BN_mod_inverse(nullptr, p.get(), q.get(), context.get()));
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(),
                                                                                &OSSL_PARAM_BLD_free);
  const Bn n = part(key(0), OSSL_PKEY_PARAM_RSA_N), e = part(key(0), OSSL_PKEY_PARAM_RSA_E),
           d = part(key(0), OSSL_PKEY_PARAM_RSA_D);
  for (const auto& [name, number] :
       {std::pair(OSSL_PKEY_PARAM_RSA_N, n.get()), std::pair(OSSL_PKEY_PARAM_RSA_E, e.get()),
        std::pair(OSSL_PKEY_PARAM_RSA_D, d.get()), std::pair(OSSL_PKEY_PARAM_RSA_FACTOR1, q.get()),
        std::pair(OSSL_PKEY_PARAM_RSA_FACTOR2, p.get()), std::pair(OSSL_PKEY_PARAM_RSA_EXPONENT1, dq.get()),
        std::pair(OSSL_PKEY_PARAM_RSA_EXPONENT2, dp.get()),
        std::pair(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse.get())}) {
    BOOST_REQUIRE(OSSL_PARAM_BLD_push_BN(builder.get(), name, number) == 1);
  }
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> params(OSSL_PARAM_BLD_to_param(builder.get()),
                                                                       &OSSL_PARAM_free);
  const OpenSslPtr<EVP_PKEY_CTX> maker(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* pkey = nullptr;
  BOOST_REQUIRE(EVP_PKEY_fromdata_init(maker.get()) == 1);
  BOOST_REQUIRE(EVP_PKEY_fromdata(maker.get(), &pkey, EVP_PKEY_KEYPAIR, params.get()) == 1);
  const OpenSslPtr<EVP_PKEY> owner(pkey);
  const auto lanes = RsaLanesKey::make(*pkey);
  BOOST_REQUIRE(lanes != nullptr);
  for (const RsaBlock& block : edges(key(0))) {
    RsaBlock made = block;
    const RsaLane lane{lanes.get(), &made};
    rsa_lanes_sign({&lane, 1});
    BOOST_TEST((made == power(key(0), block)));
  }
}

BOOST_AUTO_TEST_CASE(keys_that_lanes_do_not_take) {
  for (const int bits : {1024, 2046, 3072, 4096}) {
    const auto other = PrivateKey::generate_rsa(bits, {.allow_short_rsa = true});
    BOOST_REQUIRE_MESSAGE(other, (other ? "" : other.error().detail));
    BOOST_TEST((other->key()->lanes == nullptr), bits);
  }
  BOOST_TEST((PrivateKey::generate_ed25519()->key()->lanes == nullptr));
}

// Every size of a batch, and keys of all sorts in it.
BOOST_AUTO_TEST_CASE(digests_are_signed_as_one_by_one) {
  const PrivateKey keys[] = {key(0), key(1), PrivateKey::generate_ed25519().value(), key(2),
                             PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value()};
  std::mt19937 random(2);
  for (std::size_t count = 0; count <= 13; ++count) {
    std::vector<DigestToSign> digests(count);
    for (DigestToSign& each : digests) {
      each.key = keys[random() % (count % 2 == 0 ? std::size(keys) : 1)].key().get();
      std::generate(each.digest.begin(), each.digest.end(), [&] { return static_cast<unsigned char>(random()); });
    }
    sign_digests(digests);
    for (const DigestToSign& each : digests) {
      std::array<unsigned char, kSignatureBytesMax> alone;
      const std::size_t size = each.key->sign(each.digest, alone);
      BOOST_TEST_REQUIRE(each.size == size);
      BOOST_TEST(std::equal(alone.begin(), alone.begin() + static_cast<std::ptrdiff_t>(size), each.signature.begin()));
    }
  }
}

BOOST_AUTO_TEST_CASE(messages_are_signed_as_one_by_one) {
  std::vector<Signer> signers;
  for (std::size_t i = 0; i < 3; ++i) {
    signers.push_back(Signer::make("brand.example", "s" + std::to_string(i), key(i)).value());
  }
  signers.push_back(Signer::make("brand.example", "e", PrivateKey::generate_ed25519().value()).value());
  const std::string good = "From: a@brand.example\r\nSubject: s\r\n\r\nbody ", bad = "Subject: no author\r\n\r\n";
  for (std::size_t count = 0; count <= 9; ++count) {
    std::vector<std::string> messages, outs(count, "before");
    std::vector<std::vector<const Signer*>> by(count);
    for (std::size_t i = 0; i < count; ++i) {
      messages.push_back(i % 4 == 2 ? bad : good + std::to_string(i));
      for (std::size_t j = 0; j < i % 5; ++j) by[i].push_back(&signers[(i + j) % signers.size()]);
    }
    std::vector<SignTask> tasks;
    for (std::size_t i = 0; i < count; ++i)
      tasks.push_back({.signers = by[i], .message = messages[i], .out = &outs[i]});
    sign_batch(tasks, kNow);
    for (std::size_t i = 0; i < count; ++i) {
      std::string alone = "before";
      const auto done = sign_all(by[i], messages[i], kNow, alone);
      BOOST_TEST(tasks[i].result.has_value() == done.has_value());
      BOOST_TEST(outs[i] == alone);
      if (i % 4 == 2 && i % 5 > 0) BOOST_TEST(tasks[i].result.error().detail == "no From field");
    }
  }
}

// The digits of p, q and the coefficient that stand in the dead stack of a thread that has signed.
std::size_t digits_left(const RsaLanesKey& lanes, std::span<const unsigned char> stack) {
  std::size_t left = 0;
  for (const RsaDigits* digits : {&lanes.p.modulus, &lanes.q.modulus, &lanes.q_inverse}) {
    for (const std::uint64_t digit : *digits)
      left += memmem(stack.data(), stack.size(), &digit, sizeof digit) != nullptr;
  }
  return left;
}

struct OnOwnStack {
  explicit OnOwnStack(std::function<void()> run) : memory(1 << 20) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory.data(), memory.size());
    pthread_t thread;
    const auto call = [](void* given) -> void* {
      (*static_cast<std::function<void()>*>(given))();
      return nullptr;
    };
    BOOST_REQUIRE(pthread_create(&thread, &attributes, call, &run) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
  }
  std::vector<unsigned char> memory;
};

BOOST_AUTO_TEST_CASE(nothing_of_a_key_is_left_on_the_stack) {
  if (!lanes_here()) return;
  const RsaLanesKey& lanes = *key(0).key()->lanes;
  const OnOwnStack careless([&lanes] {  // That the search finds what is there.
    RsaDigits copy = lanes.p.modulus;
    asm volatile("" : : "r"(copy.data()) : "memory");
  });
  BOOST_TEST(digits_left(lanes, careless.memory) > 0U);  // Not all: its last frames lie over some.
  const OnOwnStack signs([] {
    std::vector<DigestToSign> digests(kRsaLanesMax);
    for (DigestToSign& each : digests) each.key = key(0).key().get();
    sign_digests(digests);
  });
  BOOST_TEST(digits_left(lanes, signs.memory) == 0U);
}

// A spoiled number stands for a fault of the processor: what it would give is not a signature, and does not leave.
BOOST_AUTO_TEST_CASE(a_wrong_signature_does_not_leave) {
  if (!lanes_here()) return;
  const PrivateKey spoiled = PrivateKey::generate_rsa(2048).value();
  const_cast<RsaLanesKey&>(*spoiled.key()->lanes).p.exponent[200] ^= 1;
  std::array<DigestToSign, 2> digests{};
  for (DigestToSign& each : digests) each.key = spoiled.key().get();
  sign_digests(digests);
  for (const DigestToSign& each : digests) {
    std::array<unsigned char, kSignatureBytesMax> alone;
    BOOST_TEST_REQUIRE(each.size == spoiled.key()->sign(each.digest, alone));
    BOOST_TEST(std::equal(alone.begin(), alone.begin() + 256, each.signature.begin()));
  }
  BOOST_TEST(spoiled.key()->lanes_failed.load());
}

}  // namespace
}  // namespace mailsbuddy::dkim

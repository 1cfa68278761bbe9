// What a DKIM signature costs beside the RSA operation that no signer can avoid.
//   raw_digest_sign/N   EVP_DigestSign of N bytes with the same key and a context prepared once: the floor
//   sign/N              Signer::sign of a message with a body of N bytes
//   sign_threads        the same of 10 KB from both threads, for contention
#include <benchmark/benchmark.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <cstdlib>
#include <string>

#include "dkim/canonicalise.h"
#include "mailsbuddy/dkim.h"

namespace mailsbuddy::dkim {
namespace {

const PrivateKey& key() {
  static const PrivateKey made = PrivateKey::generate_rsa().value();
  return made;
}

std::string message(std::size_t body_bytes) {
  std::string text =
      "From: News <news@brand.example>\r\nTo: Ann <ann@example.net>\r\nSubject: What is new this week\r\n"
      "Date: Mon, 23 Nov 2026 19:57:48 +0000\r\nMessage-ID: <01jd@brand.example>\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
      "List-Id: <spring.brand.example>\r\nList-Unsubscribe: <https://brand.example/u/0123456789abcdef>\r\n"
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFeedback-ID: spring:brand:1:mb\r\n\r\n";
  const std::size_t end = text.size() + body_bytes;
  while (text.size() < end) text += "The quick brown fox jumps over the lazy dog, and then does it once more.\r\n";
  return text;
}

void raw_digest_sign(benchmark::State& state) {
  const std::string pem = key().pem();
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* pkey = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const std::string input(static_cast<std::size_t>(state.range(0)), 'x');
  std::array<unsigned char, 512> signature;
  if (EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, pkey) <= 0) std::abort();
  for (auto _ : state) {
    std::size_t size = signature.size();
    if (EVP_DigestSignInit(context, nullptr, nullptr, nullptr, nullptr) <= 0 ||
        EVP_DigestSign(context, signature.data(), &size, reinterpret_cast<const unsigned char*>(input.data()),
                       input.size()) <= 0) {
      std::abort();
    }
    benchmark::DoNotOptimize(signature);
  }
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(pkey);
  BIO_free(bio);
}

void sign(benchmark::State& state) {
  const Signer signer = Signer::make("brand.example", "s1", key()).value();
  const std::string text = message(static_cast<std::size_t>(state.range(0)));
  const TimePoint now{std::chrono::seconds(1'790'000'000)};
  for (auto _ : state) {
    auto signature = signer.sign(text, now);
    if (!signature) std::abort();
    benchmark::DoNotOptimize(signature);
  }
}

void relaxed_body_scan(benchmark::State& state) {
  const std::string text = message(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::size_t pieces = 0;
    benchmark::DoNotOptimize(relaxed_body(text, [&](std::string_view piece) { pieces += piece.size(); }));
    benchmark::DoNotOptimize(pieces);
  }
}

BENCHMARK(raw_digest_sign)->Arg(32)->Arg(256);
BENCHMARK(sign)->Arg(1 << 10)->Arg(10 << 10)->Arg(100 << 10);
BENCHMARK(sign)->Name("sign_threads")->Arg(10 << 10)->Threads(2)->UseRealTime();
BENCHMARK(relaxed_body_scan)->Arg(10 << 10);

}  // namespace
}  // namespace mailsbuddy::dkim

BENCHMARK_MAIN();

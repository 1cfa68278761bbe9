// bench_signed_raw KEYFILE SIGNATURES [INPUT_BYTES]: the floor under any signer. RSA-SHA256 signatures by EVP_DigestSign
// alone, of input of the size of a message's signed headers if none is given, with a context prepared once, on every core.
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "bench/support/mail.h"

namespace {

constexpr std::size_t kInputBytes = 1'024;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "bench: %s failed\n", what);
  std::exit(1);
}

Key read_key(const char* path) {
  const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path, "rb"), &std::fclose);
  require(file != nullptr, "opening the key");
  Key key(PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  require(key != nullptr, "reading the key");
  return key;
}

void sign(EVP_PKEY* key, std::uint64_t signatures, std::uint64_t input_bytes) {
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const Context prepared(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const std::vector<unsigned char> input(input_bytes, 'x');
  std::array<unsigned char, 512> signature;
  require(EVP_DigestSignInit(prepared.get(), nullptr, EVP_sha256(), nullptr, key) == 1, "EVP_DigestSignInit");
  for (std::uint64_t i = 0; i < signatures; ++i) {
    std::size_t size = signature.size();
    require(EVP_MD_CTX_copy_ex(context.get(), prepared.get()) == 1 &&
                EVP_DigestSign(context.get(), signature.data(), &size, input.data(), input.size()) == 1,
            "EVP_DigestSign");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return 2;
  const Key key = read_key(argv[1]);
  const std::uint64_t signatures = mailsbuddy::bench::to_number(argv[2]);
  const std::uint64_t input_bytes = argc == 4 ? mailsbuddy::bench::to_number(argv[3]) : kInputBytes;
  const std::uint64_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::jthread> running;
  for (std::uint64_t i = 0; i < threads; ++i) {
    running.emplace_back([&key, input_bytes, share = (signatures + i) / threads] { sign(key.get(), share, input_bytes); });
  }
}

// bench_dkim_verify ROUNDS MILLISECONDS: every contender verifies the same signed messages of 1, 10 and 100 KB,
// RSA-2048 and Ed25519, in one thread, in turns of a few milliseconds, so that what disturbs the machine disturbs all
// alike. Each must also refuse the message with one letter of its body changed. Prints lines
//   <key> <contender> <KB> <messages per CPU-second of each round>...
#include <cstdio>
#include <ctime>
#include <vector>

#include "bench/dkim_verify/contender.h"
#include "bench/support/mail.h"
#include "bench/support/newsletter.h"

namespace mailsbuddy::bench {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Entry {
  std::string name;
  std::unique_ptr<Contender> contender;
  std::vector<double> per_second{};
};

void require(bool good, const std::string& what) {
  if (!good) need(Result<void>(Error{ErrorCode::kInternal, what}));
}

// One turn: calls for at least `seconds` of CPU time.
double turn(Entry& entry, const std::string& text, double seconds) {
  std::uint64_t calls = 0;
  const double start = cpu_seconds();
  double now = start;
  do {
    for (int i = 0; i < 4; ++i, ++calls) require(entry.contender->verify(text), entry.name + " does not verify");
    now = cpu_seconds();
  } while (now - start < seconds);
  return static_cast<double>(calls) / (now - start);
}

void compete(const std::string& what, std::vector<Entry>& entries, const std::string& text, std::size_t kilobytes,
             std::uint64_t rounds, double seconds) {
  std::string changed = text;
  changed[text.size() - 4] ^= 1;
  for (const Entry& each : entries) {
    // The floor of Ed25519 does not see the body.
    if (each.name != "EVP_DigestVerify") require(!each.contender->verify(changed), each.name + " verifies anything");
  }
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      Entry& each = entries[round % 2 == 0 ? i : entries.size() - 1 - i];
      each.per_second.push_back(turn(each, text, seconds));
    }
  }
  for (const Entry& each : entries) {
    std::printf("%s %s %zu", what.c_str(), each.name.c_str(), kilobytes);
    for (const double value : each.per_second) std::printf(" %.3f", value);
    std::printf("\n");
  }
}

void compete(const std::string& what, const dkim::PrivateKey& key, std::uint64_t rounds, double seconds) {
  const std::string record = key.record().str();
  const auto signer = need(dkim::Signer::make(kDomain, kSelector, key));
  for (const std::size_t kilobytes : {1, 10, 100}) {
    const std::string message = newsletter(kilobytes << 10);
    const std::string text = need(signer.sign(message, kTime)) + message;
    std::vector<Entry> entries;
    entries.push_back({"EVP_DigestVerify", make_raw_digest_verify(key, text)});
    entries.push_back({"mailsbuddy", make_mailsbuddy(record, true)});
    entries.push_back({"mailsbuddy-uncached", make_mailsbuddy(record, false)});
    entries.push_back({"libopendkim", make_libopendkim(record)});
    compete(what, entries, text, kilobytes, rounds, seconds);
  }
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy;
  using namespace mailsbuddy::bench;
  if (argc != 3) return 2;
  const std::uint64_t rounds = to_number(argv[1]);
  const double seconds = static_cast<double>(to_number(argv[2])) * 1e-3;
  compete("rsa", need(dkim::PrivateKey::generate_rsa()), rounds, seconds);
  compete("ed25519", need(dkim::PrivateKey::generate_ed25519()), rounds, seconds);
  return 0;
}

// bench_dkim_sign FOLDER ROUNDS MILLISECONDS: every contender signs the same messages of 1, 10 and 100 KB with RSA-2048
// and Ed25519, in one thread, in turns of a few milliseconds, so that what disturbs the machine disturbs all alike.
// Prints lines
//   <what> <contender> <KB> <calls per CPU-second of each round>...
// and leaves in FOLDER each message once with every contender's signature on it, the keys and their records, for dkimpy
// to sign with and to check.
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <vector>

#include "bench/dkim_sign/contender.h"
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
  std::string
      first{};  // What it made of the message: RSA PKCS1 v1.5 and Ed25519 have no randomness, so always the same.
};

// One turn: calls for at least `seconds` of CPU time.
double turn(Entry& entry, const std::string& text, double seconds) {
  std::uint64_t calls = 0;
  const double start = cpu_seconds();
  double now = start;
  do {
    for (int i = 0; i < 4; ++i, calls += entry.contender->times()) {
      if (entry.contender->sign(text) != entry.first)
        need(Result<void>(Error{ErrorCode::kInternal, "not the same signature"}));
    }
    now = cpu_seconds();
  } while (now - start < seconds);
  return static_cast<double>(calls) / (now - start);
}

void compete(std::string_view what, std::vector<Entry>& entries, std::size_t kilobytes, std::uint64_t rounds,
             double seconds) {
  const std::string text = newsletter(kilobytes << 10);
  for (Entry& each : entries) {
    each.per_second.clear();
    each.first = each.contender->sign(text);
  }
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      Entry& each = entries[round % 2 == 0 ? i : entries.size() - 1 - i];
      each.per_second.push_back(turn(each, text, seconds));
    }
  }
  for (const Entry& each : entries) {
    std::printf("%s %s %zu", std::string(what).c_str(), each.name.c_str(), kilobytes);
    for (const double value : each.per_second) std::printf(" %.3f", value);
    std::printf("\n");
  }
}

void write(const std::string& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) need(Result<void>(Error{ErrorCode::kIo, path}));
}

constexpr std::size_t kKilobytes[] = {1, 10, 100};

void compete_signing(std::string_view what, const dkim::PrivateKey& key, const std::string& folder,
                     std::uint64_t rounds, double seconds) {
  const std::string prefix = folder + "/" + std::string(what);
  write(prefix + ".pem", key.pem());
  write(prefix + ".txt", key.record().str());
  std::vector<Entry> entries;
  entries.push_back({"EVP_DigestSign", make_raw_digest_sign(key)});
  entries.push_back({"mailsbuddy", make_mailsbuddy(key, dkim::Backend::kNative)});
  entries.push_back({"mailsbuddy-batch", make_mailsbuddy_batch(key)});
  entries.push_back({"libopendkim", make_libopendkim(key)});
  for (const std::size_t kilobytes : kKilobytes) {
    compete(what, entries, kilobytes, rounds, seconds);
    const std::string text = newsletter(kilobytes << 10);
    const std::string name = prefix + "." + std::to_string(kilobytes);
    write(name + ".unsigned", text);
    for (const Entry& each : entries) {
      if (each.name != "EVP_DigestSign") write(name + "." + each.name + ".eml", each.first + text);
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::bench

int main(int argc, char** argv) {
  using namespace mailsbuddy;
  using namespace mailsbuddy::bench;
  if (argc != 4) return 2;
  const std::uint64_t rounds = to_number(argv[2]);
  const double seconds = static_cast<double>(to_number(argv[3])) * 1e-3;
  const auto rsa = need(dkim::PrivateKey::generate_rsa());
  compete_signing("rsa", rsa, argv[1], rounds, seconds);
  compete_signing("ed25519", need(dkim::PrivateKey::generate_ed25519()), argv[1], rounds, seconds);
  std::vector<Entry> entries;
  entries.push_back({"SHA-256", make_raw_sha256()});
  entries.push_back({"mailsbuddy", make_mailsbuddy_hash(rsa)});
  for (const std::size_t kilobytes : kKilobytes) compete("hash", entries, kilobytes, rounds, seconds);
  return 0;
}

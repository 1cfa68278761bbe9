// Judges messages that a program in another language made: reads from standard input
//   *( "record" SP <name> SP <text> LF / "dkim" SP <octets> LF <message> LF / "arc" SP <octets> LF <message> LF /
//      "seal" SP <octets> LF <message> LF )
// and writes a line for each but the records: the status and the reason, or the size of an ARC set, LF and the set.
// "seal" takes "key" SP <octets> LF <PEM> LF before it.
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "mailsbuddy/dkim.h"

namespace {

using namespace mailsbuddy;
using namespace mailsbuddy::dkim;

std::string read(std::size_t size) {
  std::string text(size, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(size));
  std::cin.get();
  return text;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  const TimePoint now{std::chrono::seconds(4'000'000'000)};  // Later than any t= that is made of the clock.
  std::map<std::string, std::string, std::less<>> records;
  std::optional<ArcSealer> sealer;
  const KeyLookup lookup = [&](std::string_view name) -> KeyAnswer {
    const auto found = records.find(name);
    if (found == records.end()) return {};
    return {.kind = KeyAnswer::Kind::kFound, .records = {found->second}};
  };
  KeyCache cache;
  VerifyOptions options{.now = now};
  options.key_cache = &cache;
  for (std::string what; std::cin >> what;) {
    std::string rest;
    std::getline(std::cin, rest);
    rest.erase(0, 1);
    if (what == "record") {
      records[rest.substr(0, rest.find(' '))] = rest.substr(rest.find(' ') + 1);
      continue;
    }
    const std::string text = read(std::stoull(rest));
    if (what == "dkim") {
      const Verification verification = verify(text, lookup, options);
      const bool none = verification.signatures.empty();
      std::cout << to_string(verification.status) << ' '
                << (none ? "none" : to_string(verification.signatures.front().reason)) << '\n';
    } else if (what == "arc") {
      const ArcVerification arc = verify_arc(text, lookup, options);
      std::cout << to_string(arc.status) << ' ' << to_string(arc.reason) << '\n';
    } else if (what == "key") {
      auto key = PrivateKey::parse(text, {.allow_short_rsa = true});
      if (!key) {
        std::cerr << "no key: " << key.error().detail << '\n';
        return 1;
      }
      sealer = ArcSealer::make("list.example", "s1", *key).value();
    } else if (what == "seal" && sealer) {
      const auto set = sealer->seal(text, "mx.example; arc=pass", verify_arc(text, lookup, options),
                                    TimePoint(std::chrono::seconds(1'780'000'000)));
      if (!set) {
        std::cerr << "no seal: " << set.error().detail << '\n';
        return 1;
      }
      std::cout << set->size() << '\n' << *set << '\n';
    } else {
      return 1;
    }
  }
  return 0;
}

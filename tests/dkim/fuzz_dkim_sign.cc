// Any message is signed or refused, by every kind of signer alike; the header fields that come out cannot break the
// message they are put before, and their tag lists parse.
#include <cstdlib>

#include "dkim/canonicalise.h"
#include "dkim/tag_list.h"
#include "mailsbuddy/dkim.h"

namespace {

using namespace mailsbuddy::dkim;

const std::vector<Signer>& signers() {
  using enum Canonicalisation;
  static const PrivateKey rsa = PrivateKey::generate_rsa(1024, {.allow_short_rsa = true}).value();
  static const PrivateKey ed25519 = PrivateKey::generate_ed25519().value();
  static const std::vector<Signer> made{
      Signer::make("brand.example", "s1", rsa).value(),
      Signer::make("brand.example", "s2", ed25519, {.header = kSimple, .body = kSimple, .copied_headers = true})
          .value(),
      Signer::make("platform.test", "s3", ed25519, {.expires_after = std::chrono::hours(1), .body_length = 7}).value()};
  return made;
}

void check_field(std::string_view field) {
  if (!field.starts_with("DKIM-Signature: ") || !field.ends_with("\r\n") ||
      field.find("\r\n\r\n") != std::string_view::npos || !only_crlf(field)) {
    std::abort();
  }
  field.remove_suffix(2);
  const auto tags = TagList::parse(field.substr(field.find(':') + 1));
  if (!tags || !tags->find("h") || !tags->find("bh") || !decode_tag_base64(*tags->find("b"))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  constexpr mailsbuddy::TimePoint kNow(std::chrono::seconds(1'700'000'000));
  std::vector<const Signer*> all;
  std::string expected;
  for (const Signer& signer : signers()) {
    all.push_back(&signer);
    const auto field = signer.sign(message, kNow);
    if (field.has_value() != signers().front().sign(message, kNow).has_value()) std::abort();
    if (!field) continue;
    if (!only_crlf(message)) std::abort();
    check_field(*field);
    expected += *field;
  }
  std::string out;
  if (sign_all(all, message, kNow, out).has_value() == expected.empty() || out != expected) std::abort();
  std::string outs[3];
  mailsbuddy::dkim::SignTask tasks[] = {{all, message, &outs[0]}, {all, "no field", &outs[1]}, {all, message, &outs[2]}};
  sign_batch(tasks, kNow);
  if (outs[0] != expected || !outs[1].empty() || outs[2] != expected || tasks[0].result.has_value() == expected.empty()) std::abort();
  return 0;
}

// Any message is judged, by DKIM and by ARC, and what Authentication-Results says of it is one well-formed field value.
// Input: the key record, LF, the message.
#include <cstdlib>
#include <string_view>

#include "mailsbuddy/dkim.h"

namespace {

// Printable ASCII, folded: nothing of a message can end the field or begin another.
bool is_field_value(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && text.substr(i, 3) == "\r\n\t") {
      i += 2;
    } else if (text[i] < ' ' || text[i] > '~') {
      return false;
    }
  }
  return !text.empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  using namespace mailsbuddy::dkim;
  std::string_view message(reinterpret_cast<const char*>(data), size);
  const std::string record(message.substr(0, message.find('\n')));
  message.remove_prefix(std::min(message.size(), record.size() + 1));

  const auto needed = keys_needed(message);
  const KeyLookup lookup = [&](std::string_view name) {
    if (std::find(needed.begin(), needed.end(), name) == needed.end()) std::abort();
    return KeyAnswer{.kind = KeyAnswer::Kind::kFound, .records = {record}};
  };
  VerifyOptions options{.now = TimePoint(std::chrono::seconds(1'790'000'000))};
  options.allow_sha1 = true;
  options.rsa_bits_min = 0;
  const Verification verification = verify(message, lookup, options);
  if (verification.signatures.empty() != (verification.status == Status::kNone)) std::abort();
  if (verification.signatures.size() > kSignaturesMaxDefault + 1) std::abort();
  if (!is_field_value(verification.authentication_results("mx.example"))) std::abort();

  const auto arc_needed = arc_keys_needed(message);
  const KeyLookup arc_lookup = [&](std::string_view name) {
    if (std::find(arc_needed.begin(), arc_needed.end(), name) == arc_needed.end()) std::abort();
    return KeyAnswer{.kind = KeyAnswer::Kind::kFound, .records = {record}};
  };
  const ArcVerification arc = verify_arc(message, arc_lookup, options);
  if (arc.instances < 0 || arc.instances > kArcInstancesMax || arc.failed_instance > kArcInstancesMax) std::abort();
  if (!is_field_value(arc.authentication_results("mx.example"))) std::abort();
  return 0;
}

#include <cstdlib>

#include "tests/smtp/fakes_for_fuzz.h"

// The same bytes as a policy, as a TXT record, and as what was saved.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto policy = smtp::StsPolicy::parse(text)) {
    std::string again;
    for (const std::string& line : policy->lines()) again += line + "\n";
    const auto same = smtp::StsPolicy::parse(again);
    if (!same || *same != *policy) std::abort();
    if (policy->mode != smtp::StsMode::kNone && policy->mx.empty()) std::abort();
    policy->matches(text);
  }
  const std::string texts[] = {text};
  if (const auto id = smtp::parse_sts_record(texts); id && (id->empty() || id->size() > 32)) std::abort();
  test::Silence nothing;
  smtp::StsFinder finder(nothing, nothing, nothing);
  finder.load(text);
  smtp::StsFinder other(nothing, nothing, nothing);
  const std::string saved = finder.save();
  other.load(saved);
  if (other.save() != saved) std::abort();
  return 0;
}

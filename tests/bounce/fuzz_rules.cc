// Any rule file is refused with its name and line, or makes rules that judge, of which no block suppresses. Without the
// shipped rules: to make those ready takes longer than all of the rest.
#include <cstdlib>
#include <string>

#include "bounce/classes.h"
#include "bounce/ruleset.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy;
  const std::string_view tsv(reinterpret_cast<const char*>(data), size);
  auto rules = bounce::parse_rules(tsv, "f");
  if (!rules) {
    if (!rules.error().detail.starts_with("f:")) std::abort();
    return 0;
  }
  const auto set = bounce::Ruleset::make(std::move(*rules));
  if (!set) return 0;  // More joined phrases than there is room for.
  for (const bounce::Rule& rule : set->rules()) {
    const Reply reply = bounce::parse_reply_line(rule.sample);
    const auto found = set->find(reply, Stage::kRcptTo, ProviderId{"google"});
    if (found.rule == nullptr) continue;
    if (found.begin > found.end || found.end > reply.text.size()) std::abort();
    const bounce::ClassRow& row = bounce::row_of(found.rule->klass);
    const auto reaction = found.rule->reaction.value_or(row.reaction);
    if (row.permanence == bounce::Permanence::kBlock && reaction == bounce::Reaction::kSuppress) std::abort();
  }
  return 0;
}

// rules.h - what replies mean, as an ordered table: the first rule that fits decides.
// Later rules are the more general ones: providers' own codes and words, then words that anybody uses, then enhanced
// status codes (RFC 3463 and the IANA registry), then reply codes. Every reply fits one.
#pragma once

#include <optional>
#include <span>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {

// Enhanced status codes by subject and a range of details. The class digit is left to `Rule::code`.
struct Status {
  int subject = -1;  // -1: any, or none.
  int first = 0;
  int last = 0;
};

// Which replies a rule is for; all of it must fit.
struct Fit {
  std::string_view provider{};
  Stage from = Stage::kMake;
  Stage to = Stage::kFinalDot;
  int code = 0;  // 0: any; 4 or 5: any such; otherwise the code itself.
  Status status{};
  std::string_view text{};  // Phrases separated by "|", lower case, any of which the text must have; empty: any text.
};

struct Rule {
  std::string_view id;  // In every verdict: "google.rate_ip".
  Class klass;
  std::string_view sample;  // A reply that this rule and no earlier one fits; from its provider, at a fitting stage.
  Fit fit{};
  // Where they differ from the class's own.
  struct {
    std::optional<Scope> scope{};
    std::optional<Reaction> reaction{};
  } own{};
};

std::span<const Rule> rules() noexcept;

// The first rule that fits. Threads: any.
const Rule& rule_for(const Reply& reply, Stage stage, const ProviderId& provider);

}  // namespace mailsbuddy::bounce

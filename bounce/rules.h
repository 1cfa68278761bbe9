// rules.h - rules as they are written: one a line, its columns parted by tabs. docs/bounces.md has the format for
// people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bounce/pattern.h"
#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {

// Which replies a rule is for; all of it must fit.
struct Fit {
  std::vector<std::string> providers;  // Any of them; empty: all.
  Stage from = Stage::kMake;
  Stage to = Stage::kFinalDot;
  int code_first = 0;  // A reply code, or a range; 0: any.
  int code_last = 0;
  bool codeless = false;  // Words without a reply code only.
  int subject = -1;       // Of an enhanced code, and a range of its details; -1: any code, or none.
  int detail_first = 0;
  int detail_last = 0;
};

struct Rule {
  std::string id;     // In every verdict: "google.rate_ip".
  std::string place;  // "google.tsv:7"
  Fit fit;
  std::string pattern;                    // As written; empty: any text.
  std::vector<Alternative> alternatives;  // The same, folded.
  bool weak = false;                      // It began with "?": it decides where nothing else does, and excuses nobody.
  Class klass = Class::kUndetermined;
  std::optional<Scope> scope;  // Where they differ from the class's own.
  std::optional<Reaction> reaction;
  std::string sample;  // A reply that this rule decides.
};

// Errors: kInvalidArgument: "NAME:LINE: what is wrong".
Result<std::vector<Rule>> parse_rules(std::string_view tsv, std::string_view name);

// The library's own: bounce/rules/*.tsv in the order of bounce/CMakeLists.txt, which is the order they are tried in.
struct RuleFile {
  std::string_view name;
  std::string_view tsv;
};
std::vector<RuleFile> shipped_rule_files();

}  // namespace mailsbuddy::bounce

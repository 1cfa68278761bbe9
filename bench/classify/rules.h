// rules.h - the rule files as regular expressions, for contenders: a phrase's words with anything but letters and
// digits between them. They see the text as it is, without folding; what is in an address or a URL counts for them as
// any other text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mailsbuddy/mail.h"

namespace mailsbuddy::bench {

struct RegexRule {
  std::string id;
  std::string provider;  // "-": any
  int code_first = 0, code_last = 0;
  bool codeless = false;
  int subject = -1, detail_first = 0, detail_last = 0;
  std::string regex;  // Empty: any text.
};

std::vector<RegexRule> read_rules(const std::vector<std::string>& files);

// All but the text.
bool fits(const RegexRule& rule, const Reply& reply);

}  // namespace mailsbuddy::bench

// arc.h - the ARC sets of a message (RFC 8617 4.2): the fields put in order, before any signature is looked at.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dkim/message.h"
#include "dkim/reason.h"
#include "dkim/signature.h"

namespace mailsbuddy::dkim {

constexpr std::string_view kAuthenticationResultsName = "ARC-Authentication-Results";
constexpr std::string_view kArcMessageName = "ARC-Message-Signature";
constexpr std::string_view kArcSealName = "ARC-Seal";

struct ArcSet {
  const Field* authentication_results = nullptr;
  Signature message;
  Signature seal;
};

struct ArcSets {
  int highest = 0;  // The highest instance that a field has; 0: there is no ARC field that can be read.
  int failed_instance = 0;
  Finding finding;           // kOk if and only if `sets` is a chain of the right form.
  std::vector<ArcSet> sets;  // From instance 1.
  bool any = false;          // Some ARC field is there.
};

// RFC 8617 5.2, steps 1 to 3. Views into `fields`.
ArcSets collect_arc_sets(std::span<const Field> fields);

// RFC 8617 5.1.1: what a seal signs, in relaxed form and each field with its CRLF: the sets before its own as they are,
// then its own but for itself.
void append_sealed_sets(std::string& out, std::span<const ArcSet> sets);
void append_sealed_part(std::string& out, const Field& authentication_results, const Field& message_signature);

}  // namespace mailsbuddy::dkim

// Whatever the message: what is said stays within its limits and is UTF-8, and only bounces, complaints about abuse or
// fraud and wishes to be left alone suppress anybody. The seeds are delivery status, complaints, and words.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::bounce;
  const Report report =
      parse({reinterpret_cast<const char*>(data), size}, {.verp_key = "0123456789abcdef", .envelope_recipient = {}});
  if (report.recipients.size() > kReportRecipientsMax) std::abort();
  for (const ReportedRecipient& r : report.recipients) {
    if (r.address.empty()) std::abort();
    if (r.verdict.reaction != Reaction::kSuppress) continue;
    if (r.verdict.permanence == Permanence::kBlock) std::abort();
    if (report.kind == ReportKind::kDsn || report.kind == ReportKind::kUnsubscribe) continue;
    const bool complaint = report.kind == ReportKind::kArf && report.complaint;
    if (!complaint || (report.complaint->feedback_type != "abuse" && report.complaint->feedback_type != "fraud"))
      std::abort();
  }
  if (report.token) std::abort();  // Nobody forges one.
  return 0;
}

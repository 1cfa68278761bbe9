// Delivery status fields alone, as the machine-readable part of an otherwise good report.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::bounce;
  std::string message =
      "From: MAILER-DAEMON@example.org\nContent-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\nContent-Type: "
      "message/delivery-status\n\n";
  message.append(reinterpret_cast<const char*>(data), size).append("\n--b--\n");
  const Report report = parse(message);
  if (report.recipients.size() > kReportRecipientsMax) std::abort();
  for (const ReportedRecipient& r : report.recipients) {
    if (r.address.empty() || r.diagnostic.text.size() > 8192) std::abort();
    const bool arrived =
        r.action == Action::kDelivered || r.action == Action::kRelayed || r.action == Action::kExpanded;
    if (r.verdict.reaction == Reaction::kSuppress && (arrived || r.action == Action::kDelayed)) std::abort();
  }
  return 0;
}

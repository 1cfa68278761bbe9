// A feedback report's fields alone, as the machine-readable part of an otherwise good complaint.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailsbuddy/bounce.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mailsbuddy::bounce;
  std::string message =
      "From: fbl@example.org\nContent-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b\nContent-Type: "
      "message/feedback-report\n\n";
  message.append(reinterpret_cast<const char*>(data), size).append("\n--b--\n");
  const Report report = parse(message);
  if (report.kind != ReportKind::kArf || !report.complaint) std::abort();
  const std::string& type = report.complaint->feedback_type;
  for (const ReportedRecipient& r : report.recipients) {
    if (r.address.find('@') == std::string::npos) std::abort();
    if ((r.verdict.reaction == Reaction::kSuppress) != (type == "abuse" || type == "fraud")) std::abort();
  }
  return 0;
}

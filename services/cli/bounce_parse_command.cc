#include "services/cli/bounce_parse_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mailsbuddy/bounce.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

using Json = nlohmann::ordered_json;

// As much as the library reads, and one octet that shows that there is more.
std::string read_some(std::istream& in) {
  std::string message(bounce::kReportBytesMax, '\0');
  in.read(message.data(), static_cast<std::streamsize>(message.size()));
  message.resize(static_cast<std::size_t>(in.gcount()));
  return message;
}

Json told(const bounce::ReportedRecipient& recipient) {
  Json json{{"address", recipient.address}, {"action", to_string(recipient.action)}};
  json["status"] = recipient.status ? Json(recipient.status->str()) : Json(nullptr);
  json["class"] = to_string(recipient.verdict.klass);
  json["permanence"] = to_string(recipient.verdict.permanence);
  json["reaction"] = to_string(recipient.verdict.reaction);
  json["scope"] = to_string(recipient.verdict.scope);
  json["rule"] = recipient.verdict.rule;
  json["matched"] = recipient.matched;
  json["diagnostic"] = recipient.diagnostic.code == 0 ? recipient.diagnostic.text : recipient.diagnostic.str();
  return json;
}

Json told(const std::string& file, const bounce::Report& report) {
  Json json{{"file", file}, {"kind", to_string(report.kind)}};
  json["recipients"] = Json::array();
  for (const bounce::ReportedRecipient& recipient : report.recipients) json["recipients"].push_back(told(recipient));
  if (report.complaint) json["feedback_type"] = report.complaint->feedback_type;
  if (!report.original_message_id.empty()) json["original_message_id"] = report.original_message_id;
  return json;
}

int parse_files(const std::vector<std::string>& files) {
  std::ios::sync_with_stdio(false);
  int status = kDone;
  for (const std::string& file : files) {
    std::ifstream opened;
    if (file != "-") opened.open(file, std::ios::binary);
    std::istream& in = file == "-" ? std::cin : opened;
    const std::string message = in ? read_some(in) : std::string();
    if ((file != "-" && !opened.is_open()) || in.bad() || (message.empty() && !in.eof())) {
      say("mailsbuddy bounce parse: {}: cannot be read\n", file);
      status = kBadUsage;
      continue;
    }
    std::cout << told(file, bounce::parse(message)).dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }
  return std::cout.flush() ? status : kUnsettled;
}

}  // namespace

void add_bounce_parse_command(CLI::App& bounce, std::function<int()>& run) {
  auto files = std::make_shared<std::vector<std::string>>();
  CLI::App* parse =
      bounce.add_subcommand("parse", "Say what messages that came back are: bounces, complaints, auto-replies");
  parse->add_option("FILE", *files, "Messages, one a file; - or none: one on standard input");
  parse->footer(
      "One JSON line a file: {\"file\", \"kind\", \"recipients\": [{\"address\", \"action\", \"status\", \"class\", "
      "\"permanence\", \"reaction\",\n"
      "\"scope\", \"rule\", \"matched\", \"diagnostic\"}]}, with \"feedback_type\" of a complaint and "
      "\"original_message_id\" where "
      "known.\n"
      "`kind` is dsn (not delivered), delay, success, arf (a complaint), auto_reply, unsubscribe or none. `action` is "
      "the server's\n"
      "word (RFC 3464), `class` and the rest what it means: docs/bounces.md. A file that cannot be read: exit status "
      "2.\n\n"
      "Example:\n  mailsbuddy bounce parse bounces/*.eml | jq -r 'select(.kind == \"dsn\") | .recipients[] | "
      "[.address, .class] | @tsv'");
  parse->callback([files, &run] {
    if (files->empty()) files->push_back("-");
    run = [files] { return parse_files(*files); };
  });
}

}  // namespace mailsbuddy::cli

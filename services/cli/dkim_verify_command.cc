#include "services/cli/dkim_verify_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "mailsbuddy/base.h"
#include "mailsbuddy/dkim.h"
#include "services/cli/key_records.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

constexpr std::string_view kStandardInput = "-";

struct Options {
  std::vector<std::string> messages;
  std::vector<std::string> dns;
  std::string records;
  std::optional<std::int64_t> at;
  std::string engine = "native";
};

int refuse(std::string_view command, const Error& error) {
  say("mailsbuddy dkim {}: {}\n", command, error.detail);
  return kBadUsage;
}

Result<std::string> read_file(const std::string& file) {
  if (file == kStandardInput) return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) return Error{ErrorCode::kIo, fmt::format("cannot read {}", file)};
  return text;
}

// Mail stores of Unix keep messages with LF line ends, as they never stand on the wire.
std::string with_crlf(std::string text) {
  if (text.find("\r\n") != std::string::npos) return text;
  std::string made;
  made.reserve(text.size() + text.size() / 16);
  for (const char c : text) {
    if (c == '\n') made += '\r';
    made += c;
  }
  return made;
}

std::string reason_of(const dkim::SignatureResult& result) {
  std::string reason(to_string(result.reason));
  if (!result.detail.empty()) reason.append(": ").append(result.detail);
  return reason;
}

nlohmann::ordered_json line_of(const std::string& file, const dkim::Verification& verification) {
  nlohmann::ordered_json line{{"file", file}, {"verdict", to_string(verification.status)}};
  line["signatures"] = nlohmann::ordered_json::array();
  for (const dkim::SignatureResult& result : verification.signatures) {
    line["signatures"].push_back({{"domain", result.domain},
                                  {"selector", result.selector},
                                  {"result", to_string(result.status)},
                                  {"reason", reason_of(result)}});
  }
  return line;
}

Result<dkim::KeyLookup> make_lookup(const Options& options) {
  if (options.records.empty()) {
    auto dns = DnsKeys::make(options.dns);
    if (!dns) return std::move(dns).error();
    return dkim::KeyLookup(
        [keys = std::make_shared<DnsKeys>(*std::move(dns))](std::string_view name) { return keys->find(name); });
  }
  const auto text = read_file(options.records);
  if (!text) return text.error();
  auto records = KeyRecords::parse(*text);
  if (!records) return Error{records.error().code, fmt::format("{}: {}", options.records, records.error().detail)};
  return dkim::KeyLookup([keys = *std::move(records)](std::string_view name) { return keys.find(name); });
}

int verify(const Options& options) {
  dkim::KeyCache cache;
  dkim::VerifyOptions how{.now = options.at ? TimePoint(std::chrono::seconds(*options.at)) : SystemClock().now()};
  how.backend = options.engine == "native" ? dkim::Backend::kNative : dkim::Backend::kLibopendkim;
  how.key_cache = &cache;
  if (!dkim::available(how.backend)) {
    return refuse("verify", {ErrorCode::kUnsupported, "--engine opendkim: libopendkim is not in this build"});
  }
  const auto lookup = make_lookup(options);
  if (!lookup) return refuse("verify", lookup.error());
  std::vector<std::string> files = options.messages;
  if (files.empty()) files.emplace_back(kStandardInput);
  int status = kDone;
  for (const std::string& file : files) {
    auto message = read_file(file);
    if (!message) {
      status = refuse("verify", message.error());
      continue;
    }
    const auto verification = dkim::verify(with_crlf(*std::move(message)), *lookup, how);
    if (verification.status != dkim::Status::kPass && status == kDone) status = kUnsettled;
    std::cout << line_of(file, verification).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
              << '\n';
  }
  return std::cout.flush() ? status : kBadUsage;
}

}  // namespace

void add_dkim_verify(CLI::App& dkim, std::function<int()>& run) {
  auto options = std::make_shared<Options>();
  CLI::App* verify_command =
      dkim.add_subcommand("verify", "Judge the DKIM signatures of messages; JSON lines come out");
  verify_command->add_option("MESSAGE", options->messages, "Files, one message each; - or none: standard input");
  auto* dns = verify_command->add_option("--dns", options->dns,
                                         "DNS server IP[:PORT]; may be given again. Default: the system's");
  verify_command->add_option("--records", options->records, "Take keys from a file instead, whose form is below")
      ->excludes(dns);
  verify_command->add_option("--at", options->at, "Verify as of this Unix time. Default: now");
  verify_command->add_option("--engine", options->engine, "native or opendkim")
      ->check(CLI::IsMember({"native", "opendkim"}))
      ->capture_default_str();
  verify_command->footer(
      "Each line out: {\"file\", \"verdict\", \"signatures\": [{\"domain\", \"selector\", \"result\", \"reason\"}]}, "
      "the signatures\n"
      "from the top of the message. Verdicts and results are the words of RFC 8601: a message passes if one signature "
      "does;\n"
      "otherwise temperror (ask again later), fail (changed since, or another key), permerror (unusable signature or "
      "key),\n"
      "policy (too many signatures), none (not signed). SHA-1 and keys under 1024 bits are permerror (RFC 8301).\n"
      "A file without any CRLF is read as if its line ends were CRLF.\n\n"
      "Lines of the file of keys: NAME, tab, TXT, tab, text; or NAME, tab, and NXDOMAIN, SERVFAIL or TIMEOUT. Several "
      "TXT lines\n"
      "of a name are several records; what is not listed does not exist.\n\n"
      "Exit status: 0 every message passes; 1 one does not; 2 an option, a file or the network is not as it must "
      "be.\n\n"
      "Examples:\n  mailsbuddy dkim verify message.eml\n"
      "  mailsbuddy dkim sign --domain brand.example --selector s1 --key brand.pem < draft.eml |\n"
      "    mailsbuddy dkim verify --records keys.tsv");
  verify_command->callback([options, &run] { run = [options] { return verify(*options); }; });
}

}  // namespace mailsbuddy::cli

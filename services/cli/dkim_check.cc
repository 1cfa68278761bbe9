#include <fmt/format.h>

#include <algorithm>

#include <CLI/CLI.hpp>
#include <iostream>

#include "mailsbuddy/dkim.h"
#include "services/cli/dkim_verify_command.h"
#include "services/cli/key_records.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

struct Options {
  std::string domain;
  std::string selector;
  std::string key;
  std::vector<std::string> dns;
};

int refuse(const Error& error) {
  say("mailsbuddy dkim check: {}\n", error.detail);
  return kBadUsage;
}

// What is said of the record: what receivers refuse, and what is lawful but unwise.
class Report {
 public:
  explicit Report(std::string name) : name_(std::move(name)) {}

  void good(std::string_view text) { state("good", text); }
  void advice(std::string_view text) { state("advice", text); }
  void bad(std::string_view text) {
    state("bad", text);
    status_ = kUnsettled;
  }
  int status() const noexcept { return status_; }

 private:
  void state(std::string_view kind, std::string_view text) { fmt::print("{}: {}: {}\n", name_, kind, text); }

  std::string name_;
  int status_ = kDone;
};

void judge_rsa(int bits, Report& report) {
  if (bits < dkim::kRsaBitsMin) {
    report.bad(
        fmt::format("an RSA key of {} bits: receivers must not trust fewer than {} (RFC 8301). Make one of {}: "
                    "mailsbuddy dkim keygen",
                    bits, dkim::kRsaBitsMin, dkim::kRsaBitsDefault));
  } else if (bits < dkim::kRsaBitsDefault) {
    report.advice(fmt::format("an RSA key of {} bits passes today; sign with {} (RFC 8301), under a new selector", bits,
                              dkim::kRsaBitsDefault));
  } else if (bits > dkim::kRsaBitsMax) {
    report.advice(fmt::format("an RSA key of {} bits: receivers need not take more than {}", bits, dkim::kRsaBitsMax));
  } else {
    report.good(fmt::format("an RSA key of {} bits", bits));
  }
}

void judge_key(const dkim::KeyRecord& record, Report& report) {
  if (record.key_type != "rsa" && record.key_type != "ed25519") {
    return report.bad(fmt::format("k={} is no key type of DKIM: rsa or ed25519", record.key_type));
  }
  const auto bits = dkim::key_bits(record);
  if (!bits) return report.bad(bits.error().detail + ". Publish what this prints: mailsbuddy dkim record");
  if (record.key_type == "rsa") return judge_rsa(*bits, report);
  report.good("an Ed25519 key");
  report.advice("some receivers cannot verify Ed25519 (RFC 8463): sign with RSA, too, under another selector");
}

void judge_tags(const dkim::KeyRecord& record, Report& report) {
  if (!record.allows_hash("sha256")) {
    report.bad("h= does not list sha256, the only hash there still is (RFC 8301): take h= out");
  }
  if (!record.serves_email()) report.bad("s= lists neither email nor *: take s= out");
  if (record.has_flag("y")) {
    report.advice(
        "t=y says that you are only testing: receivers then treat signed mail as unsigned. Take it out when you send");
  }
  if (record.has_flag("s")) report.advice("t=s: an identity (i=) of a subdomain fails; without i= it has no effect");
}

void judge(const std::string& text, const std::optional<dkim::PrivateKey>& key, Report& report) {
  const auto record = dkim::KeyRecord::parse(text);
  if (!record) {
    std::string shown = text.substr(0, 80);  // Whoever owns the zone chose these octets; a terminal obeys some.
    std::replace_if(shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return report.bad(fmt::format("not a DKIM key record: {}. It says: {}", record.error().detail, shown));
  }
  if (record->revoked()) {
    return report.bad(
        "p= is empty: the key is revoked, and every signature of this selector fails. Sign with another one");
  }
  judge_key(*record, report);
  judge_tags(*record, report);
  if (!key) return;
  const auto matches = dkim::check_record(*key, text);
  if (matches) report.good("it is the public half of the private key");
  if (!matches) report.bad(fmt::format("it does not go with the private key: {}", matches.error().detail));
}

int check(const Options& options) {
  std::optional<dkim::PrivateKey> key;
  if (!options.key.empty()) {
    auto read = dkim::PrivateKey::from_file(options.key, {.allow_short_rsa = true});
    if (!read) return refuse(read.error());
    key = *std::move(read);
  }
  auto dns = DnsKeys::make(options.dns);
  if (!dns) return refuse(dns.error());
  const std::string name = fmt::format("{}._domainkey.{}", options.selector, options.domain);
  const dkim::KeyAnswer answer = dns->find(name);
  if (answer.kind == dkim::KeyAnswer::Kind::kTemporaryFailure) {
    return refuse({ErrorCode::kUnavailable, fmt::format("{}: cannot be looked up now: {}", name, answer.detail)});
  }
  Report report(name);
  if (answer.records.empty()) {
    report.bad("no TXT record, so every signature of this selector fails. Publish what this prints:");
    if (key) fmt::print("{}. IN TXT {}\n", name, dkim::zone_file_strings(key->record().str()));
    if (!key) fmt::print("  mailsbuddy dkim record {} {} < PRIVATE-KEY\n", options.selector, options.domain);
    return report.status();
  }
  if (answer.records.size() > 1) {
    report.bad(fmt::format("{} TXT records, of which receivers take any one (RFC 6376 3.6.2.2): leave one",
                           answer.records.size()));
  }
  for (const std::string& text : answer.records) judge(text, key, report);
  return report.status();
}

}  // namespace

void add_dkim_check(CLI::App& dkim, std::function<int()>& run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = dkim.add_subcommand("check", "Judge the key record that a domain publishes");
  command->add_option("DOMAIN", options->domain, "For example brand.example")->required();
  command->add_option("SELECTOR", options->selector, "For example s1")->required();
  command->add_option("--key", options->key, "The private key, PEM or DER, that the record should go with");
  command->add_option("--dns", options->dns, "DNS server IP[:PORT]; may be given again. Default: the system's");
  command->footer(
      "Lines out, each \"NAME: good|advice|bad: what, and what to do\". Advice is for what receivers accept today.\n\n"
      "Exit status: 0 nothing is bad; 1 something is; 2 an option, a file or the DNS is not as it must be.\n\n"
      "Example:\n  mailsbuddy dkim check brand.example s1 --key brand.pem");
  command->callback([options, &run] { run = [options] { return check(*options); }; });
}

}  // namespace mailsbuddy::cli

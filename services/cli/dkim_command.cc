#include "services/cli/dkim_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <iterator>

#include "mailsbuddy/dkim.h"
#include "services/cli/dkim_verify_command.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"

namespace mailsbuddy::cli {
namespace {

constexpr std::int64_t kSecondsMax = 99'999'999'999;  // t= and x= have at most twelve digits (RFC 6376 3.5), and x= is a sum.

using Run = std::function<int()>;

// Standard input by name: so a key is read past the C++ library's buffers, which would keep a copy.
constexpr const char* kStandardInput = "/dev/stdin";

int refuse(std::string_view command, const Error& error) {
  say("mailsbuddy dkim {}: {}\n", command, error.detail);
  return kBadUsage;
}

// ---------------------------------------------------------------------------------------------------------------------
// keygen

struct Keygen {
  std::string type = "rsa";
  int bits = dkim::kRsaBitsDefault;
  bool allow_short_rsa = false;
};

int keygen(const Keygen& options) {
  auto key = options.type == "ed25519"
                 ? dkim::PrivateKey::generate_ed25519()
                 : dkim::PrivateKey::generate_rsa(options.bits, {.allow_short_rsa = options.allow_short_rsa});
  if (!key) return refuse("keygen", key.error());
  fmt::print("{}", key->pem());
  return kDone;
}

void add_keygen(CLI::App& dkim, Run& run) {
  auto options = std::make_shared<Keygen>();
  CLI::App* command = dkim.add_subcommand("keygen", "Make a private key, PEM on standard output");
  command->add_option("--type", options->type, "rsa or ed25519")
      ->check(CLI::IsMember({"rsa", "ed25519"}))
      ->capture_default_str();
  command->add_option("--bits", options->bits, "Size of an RSA key")
      ->check(CLI::Range(dkim::kRsaBitsMin, dkim::kRsaBitsMax))
      ->capture_default_str();
  command->add_flag("--allow-short-rsa", options->allow_short_rsa,
                    "Fewer than 2048 bits, which receivers may not take");
  command->footer(
      "Example:\n  mailsbuddy dkim keygen > brand.pem\n  mailsbuddy dkim keygen --type ed25519 > brand-ed.pem");
  command->callback([options, &run] { run = [options] { return keygen(*options); }; });
}

// ---------------------------------------------------------------------------------------------------------------------
// record

struct Record {
  std::string selector;
  std::string domain;
  std::string key = kStandardInput;
};

// Says "standard input" where the file has that name.
Error named(const std::string& file, Error error) {
  if (file == kStandardInput && error.detail.starts_with(file)) error.detail.replace(0, file.size(), "standard input");
  return error;
}

int record(const Record& options) {
  auto key = dkim::PrivateKey::from_file(options.key, {.allow_short_rsa = true});  // Publishing it harms nobody.
  if (!key) return refuse("record", named(options.key, key.error()));
  auto signer = dkim::Signer::make(options.domain, options.selector, *key);
  if (!signer) return refuse("record", signer.error());
  fmt::print("{}._domainkey.{}. IN TXT {}\n", options.selector, options.domain,
             dkim::zone_file_strings(key->record().str()));
  return kDone;
}

void add_record(CLI::App& dkim, Run& run) {
  auto options = std::make_shared<Record>();
  CLI::App* command = dkim.add_subcommand("record", "The zone file line to publish for a private key");
  command->add_option("SELECTOR", options->selector, "For example s1")->required();
  command->add_option("DOMAIN", options->domain, "For example brand.example")->required();
  command->add_option("--key", options->key, "The private key, PEM or DER. Default: standard input");
  command->footer("Example:\n  mailsbuddy dkim record s1 brand.example < brand.pem");
  command->callback([options, &run] { run = [options] { return record(*options); }; });
}

// ---------------------------------------------------------------------------------------------------------------------
// sign

struct Sign {
  std::string domain;
  std::string selector;
  std::string key;
  std::string canon = "relaxed/relaxed";
  std::string engine = "native";
  std::string identity;
  std::int64_t expires_after = 0;
  std::int64_t at = -1;
  std::int64_t body_length = -1;
  bool copied_headers = false;
  bool allow_short_rsa = false;
};

dkim::SignOptions sign_options(const Sign& options) {
  const auto form = [](std::string_view word) {
    return word == "simple" ? dkim::Canonicalisation::kSimple : dkim::Canonicalisation::kRelaxed;
  };
  const std::size_t slash = options.canon.find('/');
  dkim::SignOptions made;
  made.header = form(options.canon.substr(0, slash));
  made.body = form(options.canon.substr(slash + 1));
  made.backend = options.engine == "opendkim" ? dkim::Backend::kLibopendkim : dkim::Backend::kNative;
  made.identity = options.identity;
  made.copied_headers = options.copied_headers;
  if (options.expires_after > 0) made.expires_after = std::chrono::seconds(options.expires_after);
  if (options.body_length >= 0) made.body_length = static_cast<std::uint64_t>(options.body_length);
  return made;
}

// Standard input with CRLF line ends, as the engine makes them of what it is given.
std::string read_message() {
  std::string message;
  char before = '\0';
  for (std::istreambuf_iterator<char> each(std::cin), end; each != end; ++each) {
    if (*each == '\n' && before != '\r') message += '\r';
    message += before = *each;
  }
  return message;
}

int sign(const Sign& options) {
  auto key = dkim::PrivateKey::from_file(options.key, {.allow_short_rsa = options.allow_short_rsa});
  if (!key) return refuse("sign", key.error());
  auto signer = dkim::Signer::make(options.domain, options.selector, *key, sign_options(options));
  if (!signer) return refuse("sign", signer.error());
  for (const std::string& warning : signer->warnings()) say("warning: {}\n", warning);
  const std::string message = read_message();
  const TimePoint now = options.at < 0 ? SystemClock().now() : TimePoint(std::chrono::seconds(options.at));
  auto field = signer->sign(message, now);
  if (!field) return refuse("sign", field.error());
  std::cout << *field << message;
  return std::cout.flush() ? kDone : kUnsettled;
}

void add_sign(CLI::App& dkim, Run& run) {
  auto options = std::make_shared<Sign>();
  CLI::App* command = dkim.add_subcommand("sign", "Sign a message on standard input; it comes out with its signature");
  command->add_option("--domain", options->domain, "d=, for example brand.example")->required();
  command->add_option("--selector", options->selector, "s=, for example s1")->required();
  command->add_option("--key", options->key, "The private key, PEM or DER")->required();
  command->add_option("--canon", options->canon, "c=, of header and body: simple or relaxed each")
      ->check(CLI::IsMember({"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"}))
      ->capture_default_str();
  command->add_option("--engine", options->engine, "native or opendkim")
      ->check(CLI::IsMember({"native", "opendkim"}))
      ->capture_default_str();
  command->add_option("--identity", options->identity, "i=, for example @news.brand.example");
  command->add_option("--expires", options->expires_after, "x=, so many seconds after the signature")
      ->check(CLI::Range(std::int64_t{1}, kSecondsMax));
  command->add_option("--at", options->at, "The Unix time of the signature. Default: now")
      ->check(CLI::Range(std::int64_t{0}, kSecondsMax));
  command->add_option("--body-length", options->body_length, "l=, sign only so many octets of the body: unsafe")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--copied-headers", options->copied_headers, "z=, a copy of what is signed");
  command->add_flag("--allow-short-rsa", options->allow_short_rsa, "RSA keys of fewer than 2048 bits");
  command->footer(
      "Lines that end in LF alone come out with CRLF. Twice through it signs with two keys.\n\n"
      "Example:\n  mailsbuddy dkim sign --domain brand.example --selector s1 --key brand.pem < message.eml > "
      "signed.eml");
  command->callback([options, &run] { run = [options] { return sign(*options); }; });
}

}  // namespace

void add_dkim_command(CLI::App& app, Run& run) {
  CLI::App* dkim = app.add_subcommand("dkim", "DKIM keys, their DNS records, signatures")->require_subcommand(1);
  add_keygen(*dkim, run);
  add_record(*dkim, run);
  add_sign(*dkim, run);
  add_dkim_verify(*dkim, run);
  add_dkim_check(*dkim, run);
}

}  // namespace mailsbuddy::cli

#include "services/cli/tls_options.h"

#include <fmt/format.h>

#include <optional>
#include <sstream>

#include "services/cli/engine_options.h"

namespace mailsbuddy::cli {
namespace {

const std::vector<std::string> kPolicies{"none", "opportunistic", "required",
                                         "verified"};  // In the order of TlsPolicy.

std::optional<smtp::TlsPolicy> policy_of(std::string_view word) {
  for (std::size_t i = 0; i < kPolicies.size(); ++i)
    if (kPolicies[i] == word) return static_cast<smtp::TlsPolicy>(i);
  return std::nullopt;
}

Result<void> add_domain(const std::string& given, smtp::TlsPolicies& policies) {
  const std::size_t equals = given.find('=');
  const std::string words = equals == std::string::npos ? "" : given.substr(equals + 1);
  const std::size_t colon = words.find(':');
  const auto policy = policy_of(words.substr(0, colon));
  if (equals == 0 || !policy || (colon != std::string::npos && *policy != smtp::TlsPolicy::kVerified)) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("--tls-domain {}: DOMAIN=none, opportunistic, required, verified or verified:NAME,...", given)};
  }
  smtp::TlsOverride override{.policy = *policy};
  std::istringstream names(colon == std::string::npos ? "" : words.substr(colon + 1));
  for (std::string name; std::getline(names, name, ',');) override.names.push_back(name);
  policies.overrides[given.substr(0, equals)] = std::move(override);
  return {};
}

Result<void> set_reporting(const TlsArguments& arguments, EngineOptions& options) {
  if (arguments.report_from.empty()) {
    if (arguments.report_organization.empty() && arguments.report_contact.empty()) return {};
    return Error{ErrorCode::kInvalidArgument, "--tls-report-org and --tls-report-contact need --tls-report-from"};
  }
  auto from = Address::parse(arguments.report_from);
  if (!from) return about("--tls-report-from " + arguments.report_from, from.error());
  const auto either = [](const std::string& given, std::string_view otherwise) {
    return given.empty() ? std::string(otherwise) : given;
  };
  options.tls_reporting = TlsReportingOptions{.reporter = {.organization = either(arguments.report_organization, from->domain()),
                                                           .contact = either(arguments.report_contact, from->str()),
                                                           .domain = std::string(from->domain())},
                                              .from = *from,
                                              .pool = options.egress.empty() ? "default" : options.egress.front().pool};
  return {};
}

}  // namespace

void add_tls_options(CLI::App& command, TlsArguments& arguments) {
  command.add_option("--tls", arguments.policy, "At least: none, opportunistic, required or verified")
      ->check(CLI::IsMember(kPolicies))
      ->capture_default_str()
      ->group("Delivery");
  command
      .add_option("--tls-domain", arguments.domains,
                  "DOMAIN=POLICY instead of what the domain publishes, also verified:NAME,...; .DOMAIN: all below it; "
                  "may be given again")
      ->group("Delivery");
  command.add_flag("--no-dane", arguments.no_dane, "Do not look for TLSA records (RFC 7672)")->group("Delivery");
  command.add_flag("--no-mta-sts", arguments.no_mta_sts, "Do not look for MTA-STS policies (RFC 8461)")
      ->group("Delivery");
  command
      .add_option("--tls-report-from", arguments.report_from,
                  "Send daily TLS reports (RFC 8460) from this address to the domains that ask for them; its domain should "
                  "sign (--dkim)")
      ->group("Delivery");
  command.add_option("--tls-report-org", arguments.report_organization, "Who reports. Default: the address' domain")
      ->group("Delivery");
  command.add_option("--tls-report-contact", arguments.report_contact, "Whom to ask about them. Default: the address")
      ->group("Delivery");
  add_tls_trust_options(command, arguments);
}

void add_tls_trust_options(CLI::App& command, TlsArguments& arguments) {
  command.add_option("--tls-ca", arguments.ca, "PEM file, or folder, of roots to trust. Default: the system's")
      ->group("Delivery");
  command
      .add_option("--trust-anchors", arguments.trust_anchors_file,
                  "DS or DNSKEY records, a line each, to trust instead of the DNS root's")
      ->group("Delivery");
}

Result<void> set_policies(const TlsArguments& arguments, EngineOptions& options) {
  const auto policy = policy_of(arguments.policy);
  if (!policy) return Error{ErrorCode::kInvalidArgument, fmt::format("--tls {}: no such policy", arguments.policy)};
  options.tls = *policy;
  options.tls_policies.dane = !arguments.no_dane;
  options.tls_policies.mta_sts = !arguments.no_mta_sts;
  for (const std::string& given : arguments.domains)
    if (auto added = add_domain(given, options.tls_policies); !added) return added;
  return set_reporting(arguments, options);
}

Result<void> set_trust(const TlsArguments& arguments, net::RuntimeOptions& options) {
  options.tls_ca = options.https.ca = arguments.ca;
  options.secure_resolver.servers = options.resolver.servers;
  if (arguments.trust_anchors_file.empty()) return {};
  auto anchors = read_file(arguments.trust_anchors_file);
  if (!anchors) return about("--trust-anchors", anchors.error());
  options.secure_resolver.trust_anchors = *std::move(anchors);
  return {};
}

}  // namespace mailsbuddy::cli

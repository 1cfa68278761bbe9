// tls_options.h - the options about TLS that the subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::cli {

struct TlsArguments {
  std::string policy = "opportunistic";
  bool no_dane = false;
  bool no_mta_sts = false;
  std::vector<std::string> domains;  // DOMAIN=POLICY[:NAME,...]
  std::string report_from;  // Empty: no TLS reports.
  std::string report_organization;
  std::string report_contact;
  std::string ca;
  std::string trust_anchors_file;
};

void add_tls_options(CLI::App& command, TlsArguments& arguments);  // --tls, --tls-domain, --no-dane, --no-mta-sts, --tls-report-*.
void add_tls_trust_options(CLI::App& command, TlsArguments& arguments);  // --tls-ca, --trust-anchors.

// Errors name the option.
Result<void> set_policies(const TlsArguments& arguments, EngineOptions& options);
Result<void> set_trust(const TlsArguments& arguments, net::RuntimeOptions& options);

}  // namespace mailsbuddy::cli

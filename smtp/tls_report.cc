// tls_report.cc - RFC 8460 4: which policy a session counts for, and as what.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kPoliciesMax = 100;     // Of a domain in one report: a policy that changes, TLSA of each host.
constexpr std::size_t kReasonBytesMax = 300;  // Words of ours, with a stranger's in them.

using PolicyKey = std::tuple<std::string, std::vector<std::string>, std::vector<std::string>>;  // Type, text, hosts.
using DetailKey = std::tuple<TlsResultType, std::string, std::string, std::string, std::string>;

struct Counted {
  std::uint64_t successful = 0;
  std::uint64_t failed = 0;
  std::map<DetailKey, std::uint64_t> details{};
};
using Policies = std::map<PolicyKey, Counted>;

struct Verdict {
  TlsResultType type = TlsResultType::kSuccess;
  std::string reason{};
};

TlsResultType type_of(net::TlsFailure failure) noexcept {
  switch (failure) {
    case net::TlsFailure::kExpired:
      return TlsResultType::kCertificateExpired;
    case net::TlsFailure::kNameMismatch:
      return TlsResultType::kCertificateHostMismatch;
    case net::TlsFailure::kSelfSigned:
    case net::TlsFailure::kUntrusted:
      return TlsResultType::kCertificateNotTrusted;
    case net::TlsFailure::kNone:
    case net::TlsFailure::kHandshake:
    case net::TlsFailure::kTlsaMismatch:
      break;
  }
  return TlsResultType::kValidationFailure;
}

// What is wrong whatever the policy; kSuccess: nothing.
Verdict trouble_of(const TlsResult& result) {
  switch (result.trouble) {
    case TlsResult::Trouble::kNotOffered:
      return {TlsResultType::kStartTlsNotSupported, {}};
    case TlsResult::Trouble::kDnssec:
      return {TlsResultType::kDnssecInvalid, result.detail};
    case TlsResult::Trouble::kTlsa:
      return {TlsResultType::kTlsaInvalid, result.detail};
    case TlsResult::Trouble::kHandshake:
      return {type_of(result.failure), result.detail.empty() ? std::string(to_string(result.failure)) : result.detail};
    case TlsResult::Trouble::kNone:
      break;
  }
  return {};
}

Verdict judge_certificate(const TlsResult& result) {
  if (result.verified) return {};
  return {type_of(result.failure), result.detail.empty() ? std::string(to_string(result.failure)) : result.detail};
}

Verdict judge_sts(const StsPolicy& policy, const TlsResult& result) {
  if (result.mx_host.empty() || !policy.matches(result.mx_host))
    return {TlsResultType::kValidationFailure, "the MX host is not in the policy"};
  if (Verdict trouble = trouble_of(result); trouble.type != TlsResultType::kSuccess) return trouble;
  return judge_certificate(result);
}

// "sts-policy-invalid: ..." as StsFinder has it.
Verdict judge_sts_failure(const std::string& failure) {
  for (const TlsResultType type :
       {TlsResultType::kStsPolicyFetchError, TlsResultType::kStsPolicyInvalid, TlsResultType::kStsWebpkiInvalid}) {
    const std::string_view name = to_string(type);
    if (failure.starts_with(name)) return {type, failure.substr(std::min(failure.size(), name.size() + 2))};
  }
  return {TlsResultType::kStsPolicyFetchError, failure};
}

PolicyKey key_of(const RouteTls& tls, const TlsResult& result) {
  if (result.dane) {
    std::vector<std::string> text;
    for (const net::TlsaRecord& record : result.tlsa) text.push_back(record.str());
    return {"tlsa", std::move(text), {result.mx_host}};
  }
  if (tls.sts != nullptr) return {"sts", tls.sts->lines(), tls.sts->mx};
  return {tls.sts_failure.empty() ? "no-policy-found" : "sts", {}, {}};
}

Verdict judge(const RouteTls& tls, const TlsResult& result) {
  if (result.dane) {
    Verdict trouble = trouble_of(result);
    // Without usable records TLS alone is asked for (RFC 7672 2.2).
    return trouble.type != TlsResultType::kSuccess || result.tlsa.empty() ? trouble : judge_certificate(result);
  }
  if (tls.sts != nullptr) return judge_sts(*tls.sts, result);
  if (!tls.sts_failure.empty()) return judge_sts_failure(tls.sts_failure);
  return trouble_of(result);
}

std::string text_of(const net::IpAddress& address) { return address.unspecified() ? std::string() : address.str(); }

TlsReportPolicy policy_of(const PolicyKey& key, const Counted& counted) {
  TlsReportPolicy policy{.type = std::get<0>(key),
                         .text = std::get<1>(key),
                         .mx_hosts = std::get<2>(key),
                         .successful = counted.successful,
                         .failed = counted.failed};
  for (const auto& [detail, sessions] : counted.details) {
    const auto& [type, sending, host, receiving, reason] = detail;
    policy.details.push_back({type, sending, host, receiving, reason, sessions});
  }
  return policy;
}

}  // namespace

std::string_view to_string(TlsResultType type) noexcept {
  static constexpr std::array<std::string_view, 11> kNames = {
      "success",
      "starttls-not-supported",
      "validation-failure",
      "certificate-not-trusted",
      "certificate-host-mismatch",
      "certificate-expired",
      "tlsa-invalid",
      "dnssec-invalid",
      "sts-policy-fetch-error",
      "sts-policy-invalid",
      "sts-webpki-invalid",
  };
  static_assert(kNames.size() == static_cast<std::size_t>(TlsResultType::kStsWebpkiInvalid) + 1);
  return kNames[static_cast<std::size_t>(type)];
}

struct TlsReports::State {
  std::map<std::string, Policies, std::less<>> domains;
  std::size_t entries = 0;  // Policies and details of all domains.

  Counted* find(std::string_view domain, const PolicyKey& key) {
    auto found = domains.find(domain);
    if (found == domains.end()) {
      if (domains.size() == kReportDomainsMax) return nullptr;
      found = domains.emplace(std::string(domain), Policies()).first;
    }
    Policies& policies = found->second;
    const auto at = policies.find(key);
    if (at != policies.end()) return &at->second;
    if (policies.size() == kPoliciesMax || entries >= kReportEntriesMax) return nullptr;
    ++entries;
    return &policies[key];
  }

  // Beyond the caps by type alone, of which there are few.
  void fail(Counted& counted, const DetailKey& key, std::uint64_t sessions) {
    counted.failed += sessions;
    const auto at = counted.details.find(key);
    if (at != counted.details.end()) {
      at->second += sessions;
    } else if (counted.details.size() < kReportDetailsMax && entries < kReportEntriesMax) {
      ++entries;
      counted.details[key] = sessions;
    } else {
      counted.details[{std::get<0>(key), {}, {}, {}, "further ones"}] += sessions;
    }
  }
};

TlsReports::TlsReports() : state_(new State) {}
TlsReports::~TlsReports() = default;
TlsReports::TlsReports(TlsReports&& other) noexcept : state_(std::move(other.state_)) {}
TlsReports& TlsReports::operator=(TlsReports&& other) noexcept {
  state_ = std::move(other.state_);
  return *this;
}

void TlsReports::record(std::string_view domain, const RouteTls& tls, const TlsResult& result) {
  Counted* counted = state_->find(domain, key_of(tls, result));
  if (counted == nullptr) return;
  const Verdict verdict = judge(tls, result);
  if (verdict.type == TlsResultType::kSuccess) {
    ++counted->successful;
    return;
  }
  state_->fail(*counted,
               {verdict.type, text_of(result.local), result.mx_host, text_of(result.remote),
                verdict.reason.substr(0, kReasonBytesMax)},
               1);
}

void TlsReports::merge(TlsReports other) {
  for (const auto& [domain, policies] : other.state_->domains) {
    for (const auto& [key, theirs] : policies) {
      Counted* counted = state_->find(domain, key);
      if (counted == nullptr) continue;
      counted->successful += theirs.successful;
      for (const auto& [detail, sessions] : theirs.details) state_->fail(*counted, detail, sessions);
    }
  }
}

void TlsReports::add(const TlsReport& report) {
  for (const TlsReportPolicy& policy : report.policies) {
    Counted* counted = state_->find(report.domain, {policy.type, policy.text, policy.mx_hosts});
    if (counted == nullptr) continue;
    counted->successful += policy.successful;
    for (const TlsFailureDetail& each : policy.details) {
      state_->fail(*counted, {each.type, each.sending_ip, each.mx_host, each.receiving_ip, each.reason}, each.sessions);
    }
  }
}

std::vector<TlsReport> TlsReports::reports(TimePoint begin, TimePoint end) const {
  std::vector<TlsReport> reports;
  for (const auto& [domain, policies] : state_->domains) {
    TlsReport report{.domain = domain, .begin = begin, .end = end};
    for (const auto& [key, counted] : policies) report.policies.push_back(policy_of(key, counted));
    reports.push_back(std::move(report));
  }
  return reports;
}

std::vector<TlsReport> TlsReports::take(TimePoint begin, TimePoint end) {
  std::vector<TlsReport> all = reports(begin, end);
  *state_ = {};
  return all;
}

bool TlsReports::empty() const noexcept { return state_->domains.empty(); }

}  // namespace mailsbuddy::smtp

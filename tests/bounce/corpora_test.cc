// Our classes against those that other projects gave to 225 replies. Their classes are coarser, finer or about other
// things than ours, so each of theirs is mapped to the set of ours that says the same (docs/bounces.md); what has no
// counterpart in an SMTP reply (vacation notes, texts without a code) is left out.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "bounce/classes.h"
#include "mailsbuddy/bounce.h"
#include "tests/bounce/reply_text.h"

namespace mailsbuddy::bounce {
namespace {

using C = Class;

const std::map<std::string_view, std::set<Class>> kOurs = {
    {"kumomta BadDomain", {C::kDomainUnknown, C::kNullMx}},
    {"mail-deliverystatus-bounceparser user_unknown", {C::kUserUnknown, C::kMailboxDisabled}},
    {"phpmailer-bmh antispam",
     {C::kContentSpam, C::kContentPolicy, C::kIpBlocklisted, C::kIpReputation, C::kSenderInvalid}},
    {"phpmailer-bmh command_reject", {C::kRelayDenied, C::kProtocolError}},
    {"phpmailer-bmh dns_unknown", {C::kDomainUnknown, C::kDnsFailure}},
    {"phpmailer-bmh full", {C::kMailboxFull}},
    {"phpmailer-bmh inactive", {C::kMailboxDisabled, C::kRecipientFiltered}},
    {"phpmailer-bmh unknown", {C::kUserUnknown, C::kMailboxDisabled, C::kMailboxMoved}},
    {"phpmailer-bmh user_reject", {C::kSenderInvalid, C::kRecipientFiltered}},
    {"postalsys-bounce-classifier auth_failure|policy_blocked", {C::kAuthFailed, C::kContentPolicy}},
    {"postalsys-bounce-classifier invalid_address", {C::kUserUnknown}},
    {"postalsys-bounce-classifier mailbox_disabled|user_unknown", {C::kMailboxDisabled, C::kUserUnknown}},
    {"postalsys-bounce-classifier mailbox_full", {C::kMailboxFull}},
    {"postalsys-bounce-classifier rate_limited|greylisting|server_error",
     {C::kRateLimited, C::kGreylisted, C::kRemoteConfig}},
    {"postalsys-bounce-classifier server_error|greylisting", {C::kRemoteConfig, C::kGreylisted}},
    {"postalsys-bounce-classifier spam_blocked|policy_blocked",
     {C::kContentSpam, C::kContentPolicy, C::kIpBlocklisted, C::kIpReputation}},
    {"postalsys-bounce-classifier user_unknown", {C::kUserUnknown}},
    {"sisimai authfailure", {C::kAuthFailed}},
    {"sisimai blocked", {C::kIpBlocklisted, C::kIpReputation, C::kPtrMissing}},
    {"sisimai contenterror", {C::kContentPolicy, C::kRfcNoncompliant}},
    {"sisimai exceedlimit", {C::kTooLarge}},
    {"sisimai expired", {C::kExpired}},
    // Its word for a user unknown who was refused after DATA, too.
    {"sisimai filtered", {C::kRecipientFiltered, C::kUserUnknown}},
    {"sisimai hasmoved", {C::kMailboxMoved}},
    {"sisimai hostunknown", {C::kDomainUnknown}},
    {"sisimai mailboxfull", {C::kMailboxFull}},
    {"sisimai mesgtoobig", {C::kTooLarge}},
    {"sisimai networkerror", {C::kDnsFailure, C::kRoutingError, C::kNoAnswer, C::kConnectionError}},
    {"sisimai norelaying", {C::kRelayDenied}},
    {"sisimai notaccept", {C::kNullMx}},
    {"sisimai notcompliantrfc", {C::kRfcNoncompliant}},
    {"sisimai onhold", {C::kUndetermined, C::kRemoteConfig}},
    {"sisimai policyviolation", {C::kContentPolicy, C::kAttachmentRejected}},
    {"sisimai rejected", {C::kSenderInvalid}},
    {"sisimai requireptr", {C::kPtrMissing}},
    {"sisimai securityerror",
     {C::kTlsRequired, C::kTlsFailure, C::kRelayDenied, C::kProtocolError, C::kRecipientFiltered}},
    {"sisimai spamdetected", {C::kContentSpam}},
    {"sisimai speeding", {C::kRateLimited, C::kRecipientRate}},
    {"sisimai suspend", {C::kMailboxDisabled}},
    {"sisimai syntaxerror", {C::kProtocolError}},
    {"sisimai systemerror", {C::kRemoteConfig, C::kTooManyRecipients}},
    {"sisimai toomanyconn", {C::kTooManyConnections, C::kRateLimited, C::kTooManyRecipients}},
    {"sisimai userunknown", {C::kUserUnknown, C::kMailboxDisabled}},
    {"sisimai virusdetected", {C::kVirus}},
    {"zone-mta blacklist", {C::kIpBlocklisted, C::kIpReputation}},
    {"zone-mta greylist", {C::kGreylisted}},
    {"zone-mta network", {C::kDnsFailure, C::kRoutingError, C::kDomainUnknown}},
    {"zone-mta other", {C::kUndetermined}},
    {"zone-mta recipient", {C::kUserUnknown, C::kRelayDenied}},
};

std::filesystem::path corpora() {
  const char* given = std::getenv("MAILSBUDDY_CORPORA");
  return given != nullptr ? given : MAILSBUDDY_SOURCE_DIR "/../shared/corpora";
}

std::string take_column(std::string_view& line) {
  const std::string column(line.substr(0, line.find('\t')));
  line.remove_prefix(std::min(line.size(), column.size() + 1));
  return column;
}

BOOST_AUTO_TEST_CASE(agrees_with_other_classifiers) {
  std::ifstream file(corpora() / "replies.tsv");
  if (!file) {
    BOOST_TEST_MESSAGE("skipped: no replies.tsv in " << corpora());
    return;
  }
  int compared = 0;
  int agreed = 0;
  int wrongly_suppressed = 0;
  std::string line;
  std::getline(file, line);  // Column names.
  while (std::getline(file, line)) {
    std::string_view rest = line;
    const Reply reply = reply_of(take_column(rest));
    const std::string taxonomy = take_column(rest);
    const auto ours = kOurs.find(taxonomy + ' ' + take_column(rest));
    if (reply.code < 400 || ours == kOurs.end()) continue;
    ++compared;
    const Verdict verdict =
        classify({.stage = Stage::kRcptTo, .cause = Cause::kReply, .reply = reply, .detail = {}}, ProviderId{});
    if (ours->second.contains(verdict.klass)) {
      ++agreed;
    } else {
      BOOST_TEST_MESSAGE(ours->first << " is " << to_string(verdict.klass) << " by " << verdict.rule << ": "
                                     << reply.code << ' ' << reply.text.substr(0, 100));
    }
    const bool about_recipient =
        std::ranges::any_of(ours->second, [](Class klass) { return row_of(klass).scope == Scope::kRecipient; });
    if (verdict.reaction == Reaction::kSuppress && verdict.permanence == Permanence::kHard && !about_recipient) {
      ++wrongly_suppressed;
      BOOST_TEST_MESSAGE("wrongly suppressed");
    }
  }
  BOOST_TEST_MESSAGE(agreed << " of " << compared << " agree");
  BOOST_TEST(compared >= 200);
  BOOST_TEST(agreed * 100 >= compared * 92);
  BOOST_TEST(wrongly_suppressed == 0);
}

}  // namespace
}  // namespace mailsbuddy::bounce

// What the large providers' replies mean and ask for, line by line of their postmaster pages.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

struct Case {
  std::string_view provider;
  std::string_view reply;
  std::string_view verdict;  // Class, scope and reaction.
  Stage stage = Stage::kFinalDot;
};

constexpr Stage kRcpt = Stage::kRcptTo;
constexpr Stage kMail = Stage::kMailFrom;
constexpr Stage kGreeting = Stage::kGreeting;

constexpr Case kCases[] = {
    // Gmail
    {"google", "421 4.7.28 unusual rate of unsolicited mail originating from your IP address",
     "rate_limited source_ip pause"},
    {"google", "421 4.7.28 unusual rate of unsolicited mail originating from your IP Netblock",
     "rate_limited source_ip pause"},
    {"google", "421 4.7.28 unusual rate of unsolicited mail originating from your DKIM domain",
     "rate_limited sender_domain pause"},
    {"google", "421 4.7.28 unusual rate of unsolicited mail originating from your SPF domain",
     "rate_limited sender_domain pause"},
    {"google", "421 4.7.28 unusual rate of unsolicited mail containing one of your URL domains",
     "rate_limited message pause"},
    {"google", "421 4.7.28 unusual rate of mail with the same Message-ID", "rate_limited message pause"},
    {"google", "421 4.7.28 try later", "rate_limited source_ip pause"},
    {"google", "421 4.7.0 very low reputation of the sending IP", "ip_reputation source_ip slow"},
    {"google", "421 4.7.0 very low reputation of the sending domain", "domain_reputation sender_domain pause"},
    {"google", "421 4.7.0 IP not in whitelist for RCPT domain; no PTR record", "ptr_missing source_ip suspend_alert"},
    {"google", "421 4.7.0 TLS required for RCPT domain", "tls_required host retry"},
    {"google", "421 4.7.0 Try again later, closing connection", "ip_reputation source_ip slow"},
    {"google", "421 4.7.23 no PTR", "ptr_missing source_ip suspend_alert"},
    {"google", "550 5.7.25 no PTR", "ptr_missing source_ip suspend_alert"},
    {"google", "421 4.7.24 SPF record suspicious", "auth_failed sender_domain pause"},
    {"google", "550 5.7.24 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.26 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.27 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.30 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.31 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.32 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.40 No", "auth_failed sender_domain pause"},
    {"google", "421 4.7.29 No", "tls_required host retry"},
    {"google", "550 5.7.29 No", "tls_required host retry"},
    {"google", "450 4.2.1 The user you are trying to contact is receiving mail at a rate that",
     "recipient_rate recipient retry", kRcpt},
    {"google", "450 4.2.1 Later", "recipient_rate recipient retry", kRcpt},
    {"google", "421 4.3.0 Temporary System Problem", "remote_config host retry"},
    {"google", "421 4.4.5 Server busy, try again later.", "remote_config host retry"},
    {"google", "451 4.3.0 Mail server temporarily rejected message.", "remote_config host retry"},
    {"google", "451 4.4.2 Timeout - closing connection.", "remote_config host retry"},
    {"google", "451 4.3.0 Multiple destination domains per transaction is unsupported.",
     "too_many_recipients message split", kRcpt},
    {"google", "452 4.5.3 Domain policy size per transaction exceeded", "too_many_recipients message split", kRcpt},
    {"google", "452 4.5.3 Your message has too many recipients.", "too_many_recipients message split", kRcpt},
    {"google", "452 4.2.2 The email account that you tried to reach is over quota.", "mailbox_full recipient retry",
     kRcpt},
    {"google", "552 5.2.2 The email account that you tried to reach is over quota.", "mailbox_full recipient retry",
     kRcpt},
    {"google", "550 5.1.1 The email account that you tried to reach does not exist.", "user_unknown recipient suppress",
     kRcpt},
    {"google", "553 5.1.2 We weren't able to find the recipient domain.", "domain_unknown recipient suppress", kRcpt},
    {"google", "553 5.1.3 The recipient address is not a valid RFC-5321 address.", "user_unknown recipient suppress",
     kRcpt},
    {"google", "550 5.2.1 The email account that you tried to reach is inactive.",
     "mailbox_disabled recipient suppress", kRcpt},
    {"google", "550 5.2.1 The user is receiving mail at a rate that prevents", "recipient_rate recipient retry", kRcpt},
    {"google", "550 5.7.1 this message is likely unsolicited mail.", "content_spam message fail_message"},
    {"google", "550 5.7.1 very low reputation of the sending IP address.", "ip_reputation source_ip slow"},
    {"google", "550 5.7.1 very low reputation of the sending domain.", "domain_reputation sender_domain pause"},
    {"google", "550 5.7.1 There are multiple Subject headers.", "rfc_noncompliant message fail_message"},
    {"google", "550 5.7.1 Messages missing a valid Message-ID header are not accepted.",
     "rfc_noncompliant message fail_message"},
    {"google", "550 5.7.1 This email has been rate limited.", "rate_limited source_ip slow"},
    {"google", "550 5.7.28 unusual rate of unsolicited mail originating from your IP address",
     "rate_limited source_ip pause"},
    {"google", "421 5.7.32 not aligned", "auth_failed sender_domain pause"},
    {"google", "552 5.7.0 its content presents a potential security issue.",
     "attachment_rejected message fail_message"},
    {"google", "550 5.4.5 Daily user sending limit exceeded.", "rate_limited source_ip pause"},
    {"google", "554 5.4.6 Message exceeded 50 hops, this may indicate a mail loop.", "routing_error host alert"},
    {"google", "550 5.7.26 No", "auth_failed sender_domain pause"},
    {"google", "550 5.7.27 No", "auth_failed sender_domain pause"},
    {"google", "550 5.7.30 No", "auth_failed sender_domain pause"},
    {"google", "552 5.3.4 Your message exceeded Google's message size limits.", "too_large message fail_message"},
    {"google", "554 5.6.0 Mail message is malformed. Not accepted.", "rfc_noncompliant message fail_message"},
    // Yahoo
    {"yahoo", "421 4.7.0 [TSS04] temporarily deferred due to unexpected volume or user complaints - 4.16.55.1",
     "rate_limited source_ip pause", kMail},
    {"yahoo", "421 4.7.1 [TS01] temporarily deferred", "ip_reputation source_ip slow", kMail},
    {"yahoo", "421 4.7.1 [TS02] temporarily deferred", "ip_reputation source_ip slow", kMail},
    {"yahoo", "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred",
     "ip_reputation source_ip suspend_alert", kMail},
    {"yahoo", "421 Max message per connection reached, closing transmission channel",
     "too_many_connections source_ip retry", kMail},
    {"yahoo", "451 Resources temporarily unavailable.", "remote_system_full host retry"},
    {"yahoo", "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list",
     "ip_blocklisted source_ip suspend_alert", kGreeting},
    {"yahoo", "554 delivery error: dd This user doesn't have a yahoo.com account", "user_unknown recipient suppress"},
    {"yahoo", "554 5.7.5 Message not allowed - Unresolvable RFC.5322 From domain",
     "sender_invalid sender_domain pause"},
    {"yahoo", "451 Message temporarily deferred due to unresolvable RFC.5321 from domain",
     "sender_invalid sender_domain pause"},
    {"yahoo", "554 5.7.9 Message not accepted for policy reasons [PH01]", "content_spam message fail_message"},
    {"yahoo", "421 4.7.1 Excessive unknown recipients - possible Open Relay", "ip_reputation source_ip suspend_alert"},
    // Microsoft
    {"microsoft", "421 RP-001 The mail server IP has exceeded the rate limit allowed.", "ip_reputation source_ip slow",
     kMail},
    {"microsoft", "421 RP-002 has exceeded the rate limit allowed on this connection.",
     "too_many_connections source_ip slow", kMail},
    {"microsoft", "421 RP-003 has exceeded the connection limit allowed.", "too_many_connections source_ip slow",
     kMail},
    {"microsoft", "451 4.7.650 temporarily rate limited due to IP reputation. (S775)", "ip_reputation source_ip slow",
     kMail},
    {"microsoft", "451 4.7.651 The mail server has been temporarily rate limited (S3114)",
     "ip_reputation source_ip slow", kMail},
    {"microsoft", "451 4.7.652 has exceeded the maximum number of connections.", "too_many_connections source_ip slow",
     kMail},
    {"microsoft", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3140).",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3150).",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft", "550 SC-001 Mail rejected by Outlook.com for policy reasons.", "content_spam message fail_message",
     kMail},
    {"microsoft", "550 OU-002 Mail rejected by Outlook.com for policy reasons.", "content_spam message fail_message",
     kMail},
    {"microsoft", "550 SC-002 Mail rejected by Outlook.com for policy reasons.",
     "ip_reputation source_ip suspend_alert", kMail},
    {"microsoft", "550 SC-003 Mail rejected by Outlook.com for policy reasons.",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft", "550 DY-001 Mail rejected by Outlook.com for policy reasons.",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft", "550 DY-002 Mail rejected by Outlook.com for policy reasons.",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft", "550 SC-004 Mail rejected by Outlook.com for policy reasons.",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft", "550 OU-001 Mail rejected by Outlook.com for policy reasons.",
     "ip_blocklisted source_ip suspend_alert", kMail},
    {"microsoft",
     "550; 5.7.515 Access denied, sending domain BRAND.EXAMPLE does not meet the required authentication level.",
     "auth_failed sender_domain pause"},
    {"microsoft365", "550 5.7.509 Access denied, sending domain brand.example does not pass DMARC verification",
     "auth_failed sender_domain pause"},
    // Others
    {"apple", "421 4.7.0 [HCM1] Try again later", "rate_limited source_ip pause", kMail},
    {"apple", "421 4.7.0 [BS02] Try again later", "rate_limited source_ip pause", kMail},
    {"apple", "554 5.7.1 Blocked - see https://www.spamhaus.org/query/dbl?domain=brand.example",
     "domain_reputation sender_domain pause"},
    {"comcast", "421 4.1.0 too many sessions opened", "too_many_connections source_ip slow", kGreeting},
    {"comcast", "421 4.2.0 Throttled - try again later. RL000001", "rate_limited source_ip slow", kMail},
    {"comcast", "421 4.2.0 Throttled - try again later. RL000010", "rate_limited source_ip pause", kMail},
    {"comcast", "554 192.0.2.1 Comcast block for spam. BL000000", "ip_blocklisted source_ip suspend_alert", kGreeting},
    {"gmx", "421 Too many connections", "too_many_connections source_ip slow", kGreeting},
    {"orange", "421 Too many connections, slow down. OFR004_104", "too_many_connections source_ip slow", kGreeting},
    {"qq", "550 Ip frequency limited", "rate_limited source_ip pause"},
};

BOOST_AUTO_TEST_CASE(providers_replies) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.provider << ": " << c.reply) {
      const Outcome outcome{.stage = c.stage, .cause = Cause::kReply, .reply = parse_reply_line(c.reply), .detail = {}};
      const Verdict verdict = classify(outcome, ProviderId{std::string(c.provider)});
      BOOST_TEST_CONTEXT(verdict.rule) {
        BOOST_TEST(fmt::format("{} {} {}", to_string(verdict.klass), to_string(verdict.scope),
                               to_string(verdict.reaction)) == c.verdict);
      }
    }
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce

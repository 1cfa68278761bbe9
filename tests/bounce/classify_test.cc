#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/bounce.h"
#include "tests/bounce/reply_text.h"

namespace mailsbuddy::bounce {
namespace {

struct ReplyCase {
  std::string_view name;
  std::string_view provider;
  Stage stage;
  std::string_view reply;
  std::string_view verdict;  // Class, permanence, scope and reaction.
};

constexpr Stage kMail = Stage::kMailFrom;
constexpr Stage kRcpt = Stage::kRcptTo;
constexpr Stage kDot = Stage::kFinalDot;

constexpr ReplyCase kReplies[] = {
    {.name = "user unknown",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "550 5.1.1 User unknown",
     .verdict = "user_unknown hard recipient suppress"},
    {.name = "user unknown, for now",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "450 4.1.1 User unknown",
     .verdict = "user_unknown soft recipient retry"},
    {.name = "mailbox full, for good",
     .provider = "google",
     .stage = kRcpt,
     .reply = "552 5.2.2 The email account that you tried to reach is over quota",
     .verdict = "mailbox_full soft recipient retry"},
    {.name = "Google 5.2.1, inactive",
     .provider = "google",
     .stage = kRcpt,
     .reply = "550 5.2.1 The email account that you tried to reach is inactive",
     .verdict = "mailbox_disabled soft recipient suppress"},
    {.name = "Google 5.2.1, rate",
     .provider = "google",
     .stage = kRcpt,
     .reply = "550 5.2.1 The user you are trying to contact is receiving mail at a rate that",
     .verdict = "recipient_rate soft recipient retry"},
    {.name = "Google 4.7.28, IP",
     .provider = "google",
     .stage = kDot,
     .reply = "421 4.7.28 unusual rate of unsolicited mail originating from your IP Netblock",
     .verdict = "rate_limited block source_ip pause"},
    {.name = "Google 5.7.28, IP",
     .provider = "google",
     .stage = kDot,
     .reply = "550 5.7.28 unusual rate of unsolicited mail originating from your IP address",
     .verdict = "rate_limited block source_ip pause"},
    {.name = "Google 4.7.28, DKIM",
     .provider = "google",
     .stage = kDot,
     .reply = "421 4.7.28 unusual rate of unsolicited mail originating from your DKIM\ndomain",
     .verdict = "rate_limited block sender_domain pause"},
    {.name = "4.7.28 at others",
     .provider = "example.net",
     .stage = kDot,
     .reply = "421 4.7.28 too much",
     .verdict = "rate_limited block source_ip slow"},
    {.name = "Google 4.7.23",
     .provider = "google",
     .stage = kDot,
     .reply = "421 4.7.23 no PTR",
     .verdict = "ptr_missing block source_ip suspend_alert"},
    {.name = "7.23 at others is SPF",
     .provider = "example.net",
     .stage = kDot,
     .reply = "550 5.7.23 rejected",
     .verdict = "auth_failed block sender_domain pause"},
    {.name = "Google 5.7.26",
     .provider = "google",
     .stage = kDot,
     .reply = "550 5.7.26 Unauthenticated email from brand.example is not accepted",
     .verdict = "auth_failed block sender_domain pause"},
    {.name = "Google IP reputation",
     .provider = "google",
     .stage = kDot,
     .reply = "550 5.7.1 likely unsolicited mail due to the very low reputation of the sending IP",
     .verdict = "ip_reputation block source_ip slow"},
    {.name = "Google likely unsolicited",
     .provider = "google",
     .stage = kDot,
     .reply = "550 5.7.1 Our system has detected that this message is likely unsolicited mail",
     .verdict = "content_spam block message fail_message"},
    {.name = "Google attachment",
     .provider = "google",
     .stage = kDot,
     .reply = "552 5.7.0 This message was blocked because its content presents a potential security issue",
     .verdict = "attachment_rejected block message fail_message"},
    {.name = "Yahoo TSS04",
     .provider = "yahoo",
     .stage = kMail,
     .reply = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user "
              "complaints - 4.16.55.1",
     .verdict = "rate_limited block source_ip pause"},
    {.name = "Yahoo TS03",
     .provider = "yahoo",
     .stage = kMail,
     .reply = "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred",
     .verdict = "ip_reputation block source_ip suspend_alert"},
    {.name = "Yahoo no account",
     .provider = "yahoo",
     .stage = kRcpt,
     .reply = "554 delivery error: dd This user doesn't have a yahoo.com account",
     .verdict = "user_unknown hard recipient suppress"},
    {.name = "Microsoft S3140",
     .provider = "microsoft",
     .stage = kMail,
     .reply = "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service "
              "provider since part of their network is on our block list (S3140).",
     .verdict = "ip_blocklisted block source_ip suspend_alert"},
    {.name = "Microsoft S775",
     .provider = "microsoft",
     .stage = kMail,
     .reply = "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)",
     .verdict = "ip_reputation block source_ip slow"},
    {.name = "Microsoft 5.7.515 behind a semicolon",
     .provider = "microsoft",
     .stage = kDot,
     .reply =
         "550; 5.7.515 Access denied, sending domain BRAND.EXAMPLE does not meet the required authentication level.",
     .verdict = "auth_failed block sender_domain pause"},
    {.name = "Microsoft edge blocking",
     .provider = "microsoft",
     .stage = kRcpt,
     .reply = "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
     .verdict = "user_unknown hard recipient suppress"},
    {.name = "block list named in a refused recipient",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "554 5.7.1 <ann@example.net>: Recipient address rejected: listed in zen.spamhaus.org",
     .verdict = "ip_blocklisted block source_ip suspend_alert"},
    {.name = "recipient's own block list",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "550 5.7.1 sender is on the recipient's blacklist",
     .verdict = "recipient_filtered soft recipient fail_message"},
    {.name = "greylisting",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "451 4.7.1 Greylisted, come back later",
     .verdict = "greylisted soft recipient retry"},
    {.name = "unknown at RCPT TO is the recipient",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "550 5.1.2 brand.example: unknown domain",
     .verdict = "domain_unknown hard recipient suppress"},
    {.name = "unknown at MAIL FROM is the sender",
     .provider = "example.net",
     .stage = kMail,
     .reply = "550 5.1.2 brand.example: unknown domain",
     .verdict = "sender_invalid admin sender_domain alert"},
    {.name = "sender without DNS, for now",
     .provider = "example.net",
     .stage = kMail,
     .reply = "450 4.1.8 Sender address rejected: Domain not found",
     .verdict = "sender_invalid admin sender_domain retry"},
    {.name = "relaying",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "554 5.7.1 <ann@example.net>: Relay access denied",
     .verdict = "relay_denied admin host alert"},
    {.name = "too large",
     .provider = "example.net",
     .stage = kMail,
     .reply = "552 5.3.4 Message size exceeds fixed limit",
     .verdict = "too_large hard message fail_message"},
    {.name = "spam, before there is a message",
     .provider = "example.net",
     .stage = Stage::kGreeting,
     .reply = "554 No spam from 192.0.2.1",
     .verdict = "ip_reputation block source_ip slow"},
    {.name = "spam, the message",
     .provider = "example.net",
     .stage = kDot,
     .reply = "554 5.7.1 Spam message rejected",
     .verdict = "content_spam block message fail_message"},
    {.name = "mail loop",
     .provider = "example.net",
     .stage = kDot,
     .reply = "554 5.4.6 Too many hops",
     .verdict = "routing_error soft host fail_message"},
    {.name = "enhanced code alone",
     .provider = "example.net",
     .stage = kDot,
     .reply = "550 5.7.25 No",
     .verdict = "ptr_missing block source_ip suspend_alert"},
    {.name = "enhanced code before reply code",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "552 5.1.1 No",
     .verdict = "user_unknown hard recipient suppress"},
    {.name = "reply code alone",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "552 No",
     .verdict = "mailbox_full soft recipient retry"},
    {.name = "the same of the message",
     .provider = "example.net",
     .stage = kDot,
     .reply = "552 No",
     .verdict = "too_large hard message fail_message"},
    {.name = "550 alone says nothing of the recipient",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "550 No",
     .verdict = "undetermined undetermined message fail_message"},
    {.name = "450 alone",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "450 No",
     .verdict = "undetermined undetermined message retry"},
    {.name = "a code nobody defined",
     .provider = "example.net",
     .stage = kRcpt,
     .reply = "599",
     .verdict = "undetermined undetermined message fail_message"},
};

BOOST_AUTO_TEST_CASE(replies) {
  for (const ReplyCase& c : kReplies) {
    BOOST_TEST_CONTEXT(c.name) {
      const Outcome outcome{.stage = c.stage, .cause = Cause::kReply, .reply = reply_of(c.reply), .detail = {}};
      const Verdict verdict = classify(outcome, ProviderId{std::string(c.provider)});
      BOOST_TEST_CONTEXT(verdict.rule) {
        BOOST_TEST(fmt::format("{} {} {} {}", to_string(verdict.klass), to_string(verdict.permanence),
                               to_string(verdict.scope), to_string(verdict.reaction)) == c.verdict);
      }
    }
  }
}

struct CauseCase {
  std::string_view name;
  Cause cause;
  std::string_view verdict;  // Class, permanence and reaction.
};
constexpr CauseCase kCauses[] = {
    {.name = "timeout", .cause = Cause::kTimeout, .verdict = "no_answer soft retry"},
    {.name = "connection lost", .cause = Cause::kConnectionLost, .verdict = "connection_error soft retry"},
    {.name = "no host took the connection", .cause = Cause::kConnectFailed, .verdict = "no_answer soft retry"},
    {.name = "not SMTP", .cause = Cause::kProtocolError, .verdict = "protocol_error soft retry"},
    {.name = "TLS not offered", .cause = Cause::kTlsUnavailable, .verdict = "tls_required soft retry"},
    {.name = "TLS failed", .cause = Cause::kTlsFailed, .verdict = "tls_failure soft retry"},
    {.name = "SMTPUTF8 not offered",
     .cause = Cause::kSmtpUtf8Unavailable,
     .verdict = "rfc_noncompliant hard fail_message"},
    {.name = "over SIZE", .cause = Cause::kTooLarge, .verdict = "too_large hard fail_message"},
    {.name = "8BITMIME not offered",
     .cause = Cause::kEightBitUnavailable,
     .verdict = "rfc_noncompliant hard fail_message"},
    {.name = "REQUIRETLS not offered", .cause = Cause::kRequireTlsUnavailable, .verdict = "tls_required soft retry"},
    {.name = "AUTH not offered", .cause = Cause::kAuthUnavailable, .verdict = "relay_denied admin alert"},
    {.name = "no more recipients", .cause = Cause::kTransactionFull, .verdict = "too_many_recipients soft split"},
    {.name = "no such domain", .cause = Cause::kNoSuchDomain, .verdict = "domain_unknown hard suppress"},
    {.name = "null MX", .cause = Cause::kNullMx, .verdict = "null_mx hard suppress"},
    {.name = "best MX is ourselves", .cause = Cause::kMailLoop, .verdict = "routing_error hard fail_message"},
    {.name = "prohibited address",
     .cause = Cause::kProhibitedAddress,
     .verdict = "routing_error hard fail_message"},
    {.name = "DNS failure", .cause = Cause::kDnsFailure, .verdict = "dns_failure soft retry"},
    {.name = "render failed", .cause = Cause::kRenderFailed, .verdict = "undetermined admin fail_message"},
    {.name = "sign failed", .cause = Cause::kSignFailed, .verdict = "undetermined admin fail_message"},
    {.name = "suppressed", .cause = Cause::kSuppressed, .verdict = "suppressed admin suppress"},
    {.name = "expired", .cause = Cause::kExpired, .verdict = "expired soft fail_message"},
    {.name = "cancelled", .cause = Cause::kCancelled, .verdict = "undetermined admin fail_message"},
    {.name = "over the cap", .cause = Cause::kOverCap, .verdict = "undetermined admin fail_message"},
};

// The last words of a server that then fell silent do not count: "550 User unknown" may have been for another
// recipient.
BOOST_AUTO_TEST_CASE(causes) {
  for (const CauseCase& c : kCauses) {
    for (const std::string_view last_words : {"", "550 5.1.1 User unknown"}) {
      BOOST_TEST_CONTEXT(c.name << " " << last_words) {
        const Outcome outcome{.stage = kDot, .cause = c.cause, .reply = reply_of(last_words), .detail = "x"};
        const Verdict verdict = classify(outcome, ProviderId{"google"});
        BOOST_TEST(fmt::format("{} {} {}", to_string(verdict.klass), to_string(verdict.permanence),
                               to_string(verdict.reaction)) == c.verdict);
        BOOST_TEST(verdict.rule.starts_with("cause."));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(delivered) {
  const Outcome outcome{
      .stage = kDot, .cause = Cause::kReply, .reply = reply_of("250 2.0.0 spam queued"), .detail = {}};
  const Verdict verdict = classify(outcome, ProviderId{"google"});
  BOOST_TEST(to_string(verdict.klass) == "delivered");
  BOOST_TEST(to_string(verdict.reaction) == "none");
}

// Nobody is suppressed for what may be our fault: each of these names a recipient's fault and ours, or neither for
// sure.
constexpr std::string_view kNotTheirFault[] = {
    "550 5.1.1 <ann@example.net> Mail from 192.0.2.1 blocked using Spamhaus",
    "550 5.1.1 User unknown; your IP 192.0.2.1 has a poor reputation",
    "550 5.1.1 Too many invalid recipients from your IP",
    "550 5.1.1 SPF check failed: user unknown",
    "550 5.2.1 Mailbox disabled; sender listed on DNSBL",
    "550 5.2.1 Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted",
    "550 5.1.1 No such user: spam from unknown users is not accepted",
    "554 5.7.1 User unknown (blocked by spam filter)",
    "550 User unknown or not authorized: content filter",
    "550 5.7.1 Recipient rejected for policy",
    "550 5.1.1 Recipient rejected because of local policy",
    "550 5.7.1 Requested action not taken: mailbox unavailable",
    "550 Requested action not taken: mailbox unavailable (reputation)",
    "550 Mailbox not found, no access, or command rejected for policy reasons",
    "550 5.7.1 Unfortunately, messages from 192.0.2.1 weren't sent. Mailbox unavailable (S3140)",
    "550 SC-001 Unfortunately, messages from 192.0.2.1 weren't sent. Mailbox unavailable",
    "550 5.1.1 Access denied",
    "550 5.1.1 Blocked",
    "550 5.1.1 Message rejected",
    "550 5.1.2 Bad reputation",
    "550 5.1.1 The recipient's domain does not accept mail from dynamic hosts",
    "550 5.1.0 <news@brand.example>: Sender address rejected: User unknown in virtual mailbox table",
    "554 5.7.1 <news@brand.example>: Sender address rejected: user unknown in local recipient table",
    "550 Callback setup failed while verifying <news@brand.example>: no such user. Sender verify failed",
    "550 5.1.1 \xd0\xbf\xd0\xbe\xd0\xbb\xd1\x8c\xd0\xb7\xd0\xbe\xd0\xb2\xd0\xb0\xd1\x82\xd0\xb5\xd0\xbb\xd1\x8c "
    "\xd0\xbd\xd0\xb5 "
    "\xd0\xbd\xd0\xb0\xd0\xb9\xd0\xb4\xd0\xb5\xd0\xbd, IP in RBL",
    "550 <full@spam.example>: not today",
    "550 see http://mailbox-full.example/user/unknown",
    "550 mx.mailbox-full.example says no",
    "550",
};

BOOST_AUTO_TEST_CASE(nobody_is_suppressed_for_what_may_be_our_fault) {
  for (const std::string_view line : kNotTheirFault) {
    const Reply reply = parse_reply_line(line);
    for (const std::string_view provider : {"", "google", "yahoo", "microsoft", "kddi"}) {
      const Verdict verdict = classify({.stage = kRcpt, .cause = Cause::kReply, .reply = reply, .detail = {}},
                                       ProviderId{std::string(provider)});
      BOOST_TEST_CONTEXT(line << " by " << verdict.rule) { BOOST_TEST(to_string(verdict.reaction) != "suppress"); }
    }
  }
}

// ... and these are nothing else than theirs, whatever stands in addresses and names.
constexpr std::string_view kTheirFault[] = {
    "550 5.1.1 <spam@blacklist.example>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.7.1 <reputation@example.net> user unknown",
    "550 User spam-policy@example.net unknown",
    "550-5.1.1 The email account that you tried to reach does not 550-5.1.1 exist. 550 5.1.1 see "
    "https://support.google.com/spam",
    "550 5.4.1 [ann@example.net]: Recipient address rejected: Access denied",
    "550 Mailbox blocked",
    "550 No such user here (blocklist.example.net)",
};

BOOST_AUTO_TEST_CASE(names_and_addresses_say_nothing) {
  for (const std::string_view line : kTheirFault) {
    const Reply reply = parse_reply_line(line);
    const Verdict verdict = classify({.stage = kRcpt, .cause = Cause::kReply, .reply = reply, .detail = {}}, {});
    BOOST_TEST_CONTEXT(line << " by " << verdict.rule) { BOOST_TEST(to_string(verdict.reaction) == "suppress"); }
  }
}

// Before RCPT TO there is nobody to suppress.
BOOST_AUTO_TEST_CASE(no_such_user_at_mail_from_is_the_sender) {
  for (const std::string_view line : {"550 5.1.1 No such user", "550 5.1.1 Rejected", "550 Mailbox not found"}) {
    const Reply reply = parse_reply_line(line);
    for (const Stage stage : {Stage::kGreeting, Stage::kEhlo, Stage::kMailFrom}) {
      const Verdict verdict = classify({.stage = stage, .cause = Cause::kReply, .reply = reply, .detail = {}}, {});
      BOOST_TEST_CONTEXT(line << " by " << verdict.rule) { BOOST_TEST((verdict.reaction != Reaction::kSuppress)); }
    }
  }
}

struct MatchedCase {
  std::string_view name;
  std::string_view text;
  std::string_view matched;
};
constexpr MatchedCase kMatched[] = {
    {.name = "words", .text = "Sorry: User unknown.", .matched = "User unknown"},
    {.name = "over an address", .text = "User <ann@example.net> unknown", .matched = "User <ann@example.net> unknown"},
    {.name = "over a line's end", .text = "mailbox\nfull", .matched = "mailbox\nfull"},
    {.name = "a name", .text = "see http://www.spamhaus.org/x", .matched = "www.spamhaus.org/"},
    {.name = "accents", .text = "Bo\xc3\xaete pleine!", .matched = "Bo\xc3\xaete pleine"},
    {.name = "two phrases", .text = "no TLS: encryption is mandatory", .matched = "TLS: encryption is mandatory"},
    {.name = "unspaced",
     .text = "550\xe5\xae\x9b\xe5\x85\x88\xe4\xb8\x8d\xe6\x98\x8e",
     .matched = "\xe5\xae\x9b\xe5\x85\x88\xe4\xb8\x8d\xe6\x98\x8e"},
    {.name = "by the code alone", .text = "No", .matched = ""},
};

BOOST_AUTO_TEST_CASE(verdicts_carry_the_words_that_decided) {
  for (const MatchedCase& c : kMatched) {
    BOOST_TEST_CONTEXT(c.name) {
      const Outcome outcome{
          .stage = kRcpt, .cause = Cause::kReply, .reply = {.code = 550, .text = std::string(c.text)}};
      BOOST_TEST(classify(outcome, {}).matched == c.matched);
    }
  }
}

BOOST_AUTO_TEST_CASE(words_without_a_code_are_a_reports) {
  const auto judged = [](std::string_view line) {
    const Reply reply = parse_reply_line(line);
    const Verdict verdict = classify({.stage = kRcpt, .cause = Cause::kReply, .reply = reply, .detail = {}}, {});
    return fmt::format("{} {} {}", to_string(verdict.klass), to_string(verdict.permanence),
                       to_string(verdict.reaction));
  };
  BOOST_TEST(judged("No such user") == "user_unknown hard suppress");
  BOOST_TEST(judged("No such user (4.1.1)") == "user_unknown soft retry");
  BOOST_TEST(judged("smtp; 5.2.2") == "mailbox_full soft retry");
  BOOST_TEST(judged("I am out of the office") == "auto_reply none none");
  BOOST_TEST(judged("550 I am out of the office") == "undetermined undetermined fail_message");
  BOOST_TEST(judged("Well") == "undetermined undetermined fail_message");
  BOOST_TEST(judged("") == "undetermined undetermined retry");
}

BOOST_AUTO_TEST_CASE(a_long_text_is_read_to_its_cap) {
  const auto classified = [](std::size_t before) {
    Reply reply{.code = 550, .enhanced = {}, .text = std::string(before, '.') + " user unknown"};
    return classify({.stage = kRcpt, .cause = Cause::kReply, .reply = reply, .detail = {}}, ProviderId{}).klass;
  };
  BOOST_TEST((classified(8000) == Class::kUserUnknown));
  BOOST_TEST((classified(1 << 20) == Class::kUndetermined));
}

}  // namespace
}  // namespace mailsbuddy::bounce

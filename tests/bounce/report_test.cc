// What is machine-readable: delivery status, complaints, notifications; and what people and their programs send back.
#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

std::string addresses(const Report& report) {
  std::string all;
  for (const ReportedRecipient& r : report.recipients) all += (all.empty() ? "" : " ") + r.address;
  return all;
}

std::string report_of(
    std::string_view type, std::string_view content, std::string_view words = "Your message could not be delivered.",
    std::string_view returned = "To: ann@example.net\r\nMessage-ID: <1@shop.example>\r\n\r\nHello\r\n") {
  std::string message =
      "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.org\r\nTo: news@shop.example\r\nSubject: "
      "Report\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n";
  message.append(words).append("\r\n--b\r\nContent-Type: ").append(type).append("\r\n\r\n").append(content);
  message.append("\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n").append(returned).append("\r\n--b--\r\n");
  return message;
}

// ---------------------------------------------------------------------------------------------------------------------
// Delivery status

struct StatusCase {
  const char* name;
  std::string_view content;
  std::string_view kind, recipients, actions,
      diagnostic;  // Of the first recipient: the diagnostic as Reply::str() has it.
};

constexpr StatusCase kStatusCases[] = {
    {"as RFC 3464 has it",
     "Reporting-MTA: dns; mx.example.org\r\n\r\nOriginal-Recipient: rfc822;ann@example.net\r\nFinal-Recipient: rfc822; "
     "ann@mail.example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\nDiagnostic-Code: "
     "smtp; 550 5.1.1 No such "
     "user\r\n",
     "dsn", "ann@example.net", "failed", "550 5.1.1 No such user"},
    {"two recipients",
     "Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b.c\r\nAction: failed\r\nStatus: "
     "5.1.1\r\n\r\nFinal-Recipient: rfc822; "
     "d@e.f\r\nAction: delayed\r\nStatus: 4.4.1\r\n",
     "dsn", "a@b.c d@e.f", "failed delayed", "no reply"},
    {"no empty line between them",
     "Final-Recipient: rfc822; a@b.c\nAction: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822; d@e.f\nAction: "
     "failed\nStatus: 5.2.2\n",
     "dsn", "a@b.c d@e.f", "failed failed", "no reply"},
    {"Action first",
     "Action: failed\nFinal-Recipient: rfc822; a@b.c\nStatus: 5.1.1\n\nAction: failed\nFinal-Recipient: rfc822; "
     "d@e.f\nStatus: 5.1.1\n",
     "dsn", "a@b.c d@e.f", "failed failed", "no reply"},
    {"an empty line within a diagnostic",
     "Reporting-MTA: dns; x\n\nDiagnostic-Code: smtp; 550-Not\n\n550 here\nStatus: 5.0.0\nAction: "
     "failed\nFinal-Recipient: rfc822; a@b.c\n",
     "dsn", "a@b.c", "failed", "550 Not 550 here"},
    {"brackets, comments, another case",
     "final-recipient: RFC822; <a@b.c> (Ann)\naction: Failed (no such user)\nstatus: 5.1.1 (bad)\n", "dsn", "a@b.c",
     "failed", "no reply"},
    {"a source route", "Final-Recipient: rfc822;@relay.example:a@b.c\nAction: failed\nStatus: 5.2.0\n", "dsn", "a@b.c",
     "failed", "no reply"},
    {"RFC 6533", "Final-Recipient: utf-8; j\\x{F6}rg@b.c\nAction: failed\nStatus: 5.1.1\n", "dsn", "j\xc3\xb6rg@b.c",
     "failed", "no reply"},
    {"a pipe", "Action: failed\nFinal-Recipient: rfc822;|/bin/vacation a@b.c\nStatus: 5.0.0\n", "dsn", "a@b.c",
     "failed", "no reply"},
    {"an Original-Recipient that is no address",
     "Original-Recipient: x400; /c=de/\nFinal-Recipient: rfc822; a@b.c\nAction: failed\n", "dsn", "a@b.c", "failed",
     "no reply"},
    {"a local name, in full in the returned message", "Final-Recipient: rfc822; ann\nAction: failed\nStatus: 5.1.1\n",
     "dsn", "ann@example.net", "failed", "no reply"},
    {"nobody, but in the returned message", "Reporting-MTA: dns; x\n", "dsn", "ann@example.net", "none", "no reply"},
    {"a type that is none", "Final-Recipient: a@b.c\nAction: failed\nDiagnostic-Code: 550 no; such user\n", "dsn",
     "a@b.c", "failed", "550 no; such user"},
    {"delayed",
     "Final-Recipient: rfc822; a@b.c\nAction: delayed\nStatus: 4.4.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n",
     "delay", "a@b.c", "delayed", "550 5.1.1 User unknown"},
    {"delivered", "Final-Recipient: rfc822; a@b.c\nAction: delivered\nStatus: 2.0.0\n", "success", "a@b.c", "delivered",
     "no reply"},
    {"relayed", "Final-Recipient: rfc822; a@b.c\nAction: relayed\nStatus: 2.0.0\n", "success", "a@b.c", "relayed",
     "no reply"},
    {"expanded", "Final-Recipient: rfc822; a@b.c\nAction: expanded\nStatus: 2.0.0\n", "success", "a@b.c", "expanded",
     "no reply"},
};

BOOST_AUTO_TEST_CASE(delivery_status_is_read) {
  for (const StatusCase& c : kStatusCases) BOOST_TEST_CONTEXT(c.name) {
      const Report report = parse(report_of("message/delivery-status", c.content));
      BOOST_TEST(to_string(report.kind) == c.kind);
      BOOST_TEST(addresses(report) == c.recipients);
      BOOST_TEST(report.original_message_id == "1@shop.example");
      BOOST_REQUIRE(!report.recipients.empty());
      if (c.actions == "none") continue;
      std::string actions;
      for (const ReportedRecipient& r : report.recipients)
        actions.append(actions.empty() ? "" : " ").append(to_string(r.action));
      BOOST_TEST(actions == c.actions);
      if (c.diagnostic != "no reply") BOOST_TEST(report.recipients.front().diagnostic.str() == c.diagnostic);
    }
}

BOOST_AUTO_TEST_CASE(a_recipient_is_told_in_full) {
  const ReportedRecipient r = parse(report_of("message/delivery-status", kStatusCases[0].content)).recipients.at(0);
  BOOST_TEST(r.final_recipient == "ann@mail.example.net");
  BOOST_TEST((r.status == EnhancedCode{5, 1, 1}));
  BOOST_TEST(r.remote_mta == "mx.example.net");
  BOOST_TEST((r.verdict.klass == Class::kUserUnknown));
  BOOST_TEST((r.verdict.reaction == Reaction::kSuppress));
  BOOST_TEST(r.matched == "No such user");
  BOOST_TEST(r.verdict.matched.empty());
}

BOOST_AUTO_TEST_CASE(a_users_rules_judge_reports_as_well) {
  const auto rules =
      Classifier::make("my.rule\t-\t-\t5yz\t-\tno such user\tmailbox_full\t-\t-\t550 No such user\n", "my.tsv");
  BOOST_REQUIRE_MESSAGE(rules.has_value(), (rules ? "" : rules.error().detail));
  const std::string message = report_of("message/delivery-status", kStatusCases[0].content);
  const Report report = parse(message, {.classifier = &*rules});
  BOOST_REQUIRE(report.recipients.size() == 1U);
  BOOST_TEST((report.recipients.front().verdict.klass == Class::kMailboxFull));
  BOOST_TEST(report.recipients.front().verdict.rule == "my.rule");
}

BOOST_AUTO_TEST_CASE(verdicts_fit_what_is_left_to_do) {
  struct Verdicts {
    const char* name;
    std::string_view content, words;
    Class klass;
    Permanence permanence;
    Reaction reaction;
  };
  constexpr Verdicts kCases[] = {
      {"a delay never suppresses",
       "Final-Recipient: rfc822; a@b.c\nAction: delayed\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n", "",
       Class::kUserUnknown, Permanence::kSoft, Reaction::kNone},
      {"a full mailbox fails the message",
       "Final-Recipient: rfc822; a@b.c\nAction: failed\nDiagnostic-Code: smtp; 552 5.2.2 Mailbox full\n", "",
       Class::kMailboxFull, Permanence::kSoft, Reaction::kFailMessage},
      {"a 4yz that was given up is not hard",
       "Final-Recipient: rfc822; a@b.c\nAction: failed\nDiagnostic-Code: smtp; 450 4.1.1 User unknown\n", "",
       Class::kUserUnknown, Permanence::kSoft, Reaction::kFailMessage},
      {"the words say what the status does not", "Final-Recipient: rfc822; a@b.c\nAction: failed\nStatus: 5.0.0\n",
       "<a@b.c>: 550 5.1.1 User unknown", Class::kUserUnknown, Permanence::kHard, Reaction::kSuppress},
      {"a block is not the recipient's",
       "Final-Recipient: rfc822; a@b.c\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 554 5.7.1 Service "
       "unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org\n",
       "", Class::kIpBlocklisted, Permanence::kBlock, Reaction::kSuspendAlert},
      {"a delivery",
       "Final-Recipient: rfc822; a@b.c\nAction: delivered\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n", "",
       Class::kDelivered, Permanence::kNone, Reaction::kNone},
  };
  for (const Verdicts& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const Report report = parse(report_of("message/delivery-status", c.content, c.words));
      BOOST_REQUIRE(report.recipients.size() == 1U);
      const Verdict& verdict = report.recipients.front().verdict;
      BOOST_TEST(to_string(verdict.klass) == to_string(c.klass));
      BOOST_TEST(to_string(verdict.permanence) == to_string(c.permanence));
      BOOST_TEST(to_string(verdict.reaction) == to_string(c.reaction));
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Complaints

struct ComplaintCase {
  const char* name;
  std::string_view content, returned;
  std::string_view recipients, type;
  Reaction reaction;
};

constexpr ComplaintCase kComplaints[] = {
    {"RFC 5965",
     "Feedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\nOriginal-Rcpt-To: <ann@example.net>\nSource-IP: 192.0.2.1\n",
     "To: x@y.z\n\n", "ann@example.net", "abuse", Reaction::kSuppress},
    {"fraud", "Feedback-Type: fraud\nOriginal-Rcpt-To: ann@example.net\n", "To: x@y.z\n\n", "ann@example.net", "fraud",
     Reaction::kSuppress},
    {"not spam", "Feedback-Type: not-spam\nOriginal-Rcpt-To: ann@example.net\n", "To: x@y.z\n\n", "ann@example.net",
     "not-spam", Reaction::kNone},
    {"a virus", "Feedback-Type: virus\nOriginal-Rcpt-To: ann@example.net\n", "To: x@y.z\n\n", "ann@example.net",
     "virus", Reaction::kNone},
    {"RFC 6591", "Feedback-Type: auth-failure\nOriginal-Rcpt-To: ann@example.net\n", "To: x@y.z\n\n", "ann@example.net",
     "auth-failure", Reaction::kNone},
    {"an opt-out", "Feedback-Type: opt-out\nRemoval-Recipient: ann@example.net\n", "To: x@y.z\n\n", "ann@example.net",
     "opt-out", Reaction::kNone},
    {"several, one twice",
     "Feedback-Type: Abuse\nOriginal-Rcpt-To: a@b.c\nOriginal-Rcpt-To: d@e.f\nOriginal-Rcpt-To: A@b.c\n", "\n",
     "a@b.c d@e.f", "abuse", Reaction::kSuppress},
    {"only the returned message says who", "Feedback-Type: abuse\n", "From: x@y.z\nTo: Ann <ann@example.net>\n\n",
     "ann@example.net", "abuse", Reaction::kSuppress},
    {"Microsoft", "Feedback-Type: abuse\n", "X-HmXmrOriginalRecipient: ann@outlook.com\nTo: x@y.z\n\n",
     "ann@outlook.com", "abuse", Reaction::kSuppress},
    {"one of several: nobody knows who", "Feedback-Type: abuse\n", "To: a@b.c, d@e.f\n\n", "", "abuse",
     Reaction::kSuppress},
    {"redacted", "Feedback-Type: abuse\nOriginal-Rcpt-To: redacted\n", "To: undisclosed-recipients:;\n\n", "", "abuse",
     Reaction::kSuppress},
};

BOOST_AUTO_TEST_CASE(complaints_are_read) {
  for (const ComplaintCase& c : kComplaints) BOOST_TEST_CONTEXT(c.name) {
      const Report report = parse(report_of("message/feedback-report", c.content, "An abuse report.", c.returned));
      BOOST_TEST(to_string(report.kind) == "arf");
      BOOST_TEST(addresses(report) == c.recipients);
      BOOST_REQUIRE(report.complaint.has_value());
      BOOST_TEST(report.complaint->feedback_type == c.type);
      for (const ReportedRecipient& r : report.recipients)
        BOOST_TEST(to_string(r.verdict.reaction) == to_string(c.reaction));
    }
}

BOOST_AUTO_TEST_CASE(a_complaint_is_told_in_full) {
  const Report report = parse(report_of(
      "message/feedback-report",
      "Feedback-Type: abuse\nUser-Agent: Feedback/2\nSource-IP: 192.0.2.1\nArrival-Date: Thu, 8 Mar 2005 14:00:00 "
      "EDT\nOriginal-Mail-From: <news@shop.example>\n",
      "An abuse report.", "To: ann@example.net\nFeedback-ID: 7:spring:shop\nMessage-ID: <1@shop.example>\n\n"));
  BOOST_REQUIRE(report.complaint.has_value());
  BOOST_TEST(report.complaint->user_agent == "Feedback/2");
  BOOST_TEST(report.complaint->source_ip == "192.0.2.1");
  BOOST_REQUIRE(report.complaint->arrival.has_value());
  BOOST_TEST(format_date(*report.complaint->arrival) == "Tue, 08 Mar 2005 18:00:00 +0000");
  BOOST_TEST(report.complaint->original_mail_from == "news@shop.example");
  BOOST_TEST(report.complaint->feedback_id == "7:spring:shop");
  BOOST_TEST(report.original_message_id == "1@shop.example");
}

BOOST_AUTO_TEST_CASE(complaints_in_other_forms_are_read) {
  struct Case {
    const char* name;
    std::string_view message, recipients, type;
  };
  constexpr Case kCases[] = {
      {"X-ARF",
       "From: abuse@example.org\nTo: abuse@shop.example\nSubject: abuse report\nX-XARF: PLAIN\nContent-Type: "
       "multipart/mixed; boundary=b\n\n--b\n\nA "
       "report\n--b\nContent-Type: text/plain; name=report.txt\n\nReport-Type: abuse\nSource: "
       "192.0.2.1\n\n--b\nContent-Type: message/rfc822\n\nTo: "
       "ann@example.net\n\nx\n--b--\n",
       "ann@example.net", "abuse"},
      {"Microsoft's own",
       "From: staff@hotmail.com\nTo: fbl@shop.example\nSubject: complaint about message from 192.0.2.1\nContent-Type: "
       "multipart/mixed; "
       "boundary=b\n\n--b\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: ann@hotmail.com\nTo: "
       "eve@hotmail.com\n\nx\n--b--\n",
       "ann@hotmail.com", "abuse"},
      {"Amazon SES",
       "From: no-reply@sns.amazonaws.com\nSubject: AWS Notification "
       "Message\n\n{\"notificationType\":\"Complaint\",\"complaint\":"
       "{\"complainedRecipients\":[{\"emailAddress\":\"ann@example.net\"}],\"complaintFeedbackType\":\"abuse\"},"
       "\"mail\":{\"messageId\":\"1\"}}\n",
       "ann@example.net", "abuse"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const Report report = parse(c.message);
      BOOST_TEST(to_string(report.kind) == "arf");
      BOOST_TEST(addresses(report) == c.recipients);
      BOOST_REQUIRE(report.complaint.has_value());
      BOOST_TEST(report.complaint->feedback_type == c.type);
    }
}

BOOST_AUTO_TEST_CASE(notifications_of_ses_are_read) {
  struct Case {
    const char* name;
    std::string_view body, kind, recipients;
  };
  constexpr Case kCases[] = {
      {"a bounce",
       "{\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":[{"
       "\"emailAddress\":\"ann@example.net\","
       "\"action\":\"failed\",\"status\":\"5.1.1\",\"diagnosticCode\":\"smtp; 550 5.1.1 user unknown\"}]}}",
       "dsn", "ann@example.net"},
      {"within another object",
       "{\n \"Type\" : \"Notification\",\n \"Message\" : "
       "\"{\\\"notificationType\\\":\\\"Bounce\\\",\\\"bounce\\\":{\\\"bouncedRecipients\\\":"
       "[{\\\"emailAddress\\\":\\\"ann@example.net\\\"}]}}\"\n}\n",
       "dsn", "ann@example.net"},
      {"a delivery",
       "{\"notificationType\":\"Delivery\",\"delivery\":{\"recipients\":[\"ann@example.net\",\"bob@example.net\"]}}",
       "success", "ann@example.net bob@example.net"},
      {"cut off", "{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[{\"emailAddress\":\"ann@exam",
       "dsn", "ann@exam"},
      {"of another type", "{\"notificationType\":\"AmazonSnsSubscriptionSucceeded\"}", "none", ""},
      {"not JSON", "notificationType", "none", ""},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const Report report =
          parse("From: no-reply@sns.amazonaws.com\nSubject: AWS Notification Message\n\n" + std::string(c.body));
      BOOST_TEST(to_string(report.kind) == c.kind);
      BOOST_TEST(addresses(report) == c.recipients);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Replies

BOOST_AUTO_TEST_CASE(replies_are_told_apart) {
  struct Case {
    const char* name;
    std::string_view message, kind;
  };
  constexpr Case kCases[] = {
      {"RFC 3834", "From: ann@example.net\nAuto-Submitted: auto-replied\nSubject: Re: Offers\n\nHello\n", "auto_reply"},
      {"one that says that mail is not delivered",
       "Return-Path: <>\nFrom: ann@example.net\nAuto-Submitted: auto-replied (vacation)\nSubject: "
       "Undeliverable while I am away\n\nYour message to ann@example.net was not delivered. User unknown.\n",
       "auto_reply"},
      {"an auto-responder's field", "From: ann@example.net\nX-Autoreply: yes\nSubject: Thanks\n\nHello\n",
       "auto_reply"},
      {"Precedence", "From: ann@example.net\nPrecedence: auto_reply\nSubject: Thanks\n\nHello\n", "auto_reply"},
      {"English subject", "From: ann@example.net\nSubject: Out of Office: Offers\n\nHello\n", "auto_reply"},
      {"German subject", "From: ann@example.net\nSubject: Abwesenheitsnotiz: Offers\n\nHallo\n", "auto_reply"},
      {"French subject", "From: ann@example.net\nSubject: =?utf-8?Q?R=C3=A9ponse_automatique?= : Offers\n\nBonjour\n",
       "auto_reply"},
      {"Japanese subject", "From: ann@example.net\nSubject: =?iso-2022-jp?B?GyRCPCtGMEpWPy4bKEI=?=\n\nx\n",
       "auto_reply"},
      {"Polish subject", "From: ann@example.net\nSubject: [Automatyczna =?iso-8859-2?Q?odpowied=BC?=] x\n\nx\n",
       "auto_reply"},
      {"words and the null sender",
       "Return-Path: <>\nFrom: ann@example.net\nSubject: Re: Offers\n\nI am out of the office until Monday.\n",
       "auto_reply"},
      {"a challenge", "From: ann@example.net\nSubject: Re: Offers [please confirm your message]\n\nClick here\n",
       "auto_reply"},
      {"a receipt",
       "From: ann@example.net\nSubject: Read: Offers\nContent-Type: multipart/report; "
       "report-type=disposition-notification; "
       "boundary=b\n\n--b\n\nRead.\n--b\nContent-Type: message/disposition-notification\n\nDisposition: manual-action; "
       "displayed\n--b--\n",
       "auto_reply"},
      {"a person's answer about vacation", "From: ann@example.net\nSubject: Re: Vacation offers\n\nSend me the list.\n",
       "none"},
      {"a person", "From: ann@example.net\nSubject: Question\n\nDo you ship?\n", "none"},
      {"a subject of one word", "From: ann@example.net\nSubject: unsubscribe\n\n", "unsubscribe"},
      {"in an answer", "From: ann@example.net\nSubject: Re: UNSUBSCRIBE\n\n", "unsubscribe"},
      {"a first line", "From: ann@example.net\nSubject: Re: Offers\n\nunsubscribe\n\n> Offers\n", "unsubscribe"},
      {"another language", "From: ann@example.net\nSubject: Abmelden\n\n", "unsubscribe"},
      {"an address for it", "From: ann@example.net\nTo: unsubscribe+7@shop.example\nSubject: x\n\n", "unsubscribe"},
      {"a letter about it",
       "From: ann@example.net\nSubject: Re: Offers\n\nUnsubscribe links should stand on top, I think, so that they are "
       "found.\n",
       "none"},
      {"a word that begins like it", "From: ann@example.net\nSubject: Stopped engine\n\nHelp\n", "none"},
      {"empty", "", "none"},
  };
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const Report report = parse(c.message);
      BOOST_TEST(to_string(report.kind) == c.kind);
      if (c.kind == "none") BOOST_TEST(report.recipients.empty());
      for (const ReportedRecipient& r : report.recipients) {
        BOOST_TEST(r.address == "ann@example.net");
        BOOST_TEST((r.verdict.reaction == Reaction::kSuppress) == (c.kind == "unsubscribe"));
      }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Tokens

constexpr std::string_view kKey = "0123456789abcdef";
constexpr VerpToken kToken = {.campaign = 7, .recipient = 1234567, .day = 20780};

BOOST_AUTO_TEST_CASE(tokens_are_found) {
  const std::string local = verp_encode(kToken, kKey).value();
  const std::string address = local + "@shop.example";
  const std::string status = "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n";
  BOOST_TEST(
      (parse(report_of("message/delivery-status", status), {.verp_key = kKey, .envelope_recipient = address}).token ==
       kToken));
  const std::string returned = "Return-Path: <" + address + ">\nTo: ann@example.net\n\nx\n";
  const std::string message = report_of("message/delivery-status", status, "x", returned);
  BOOST_TEST((parse(message, {.verp_key = kKey}).token == kToken));
  BOOST_TEST(!parse(message).token);
  BOOST_TEST(!parse(message, {.verp_key = "fedcba9876543210"}).token);
  const std::string wish = "From: ann@example.net\nTo: unsubscribe+" + local + "@shop.example\nSubject: x\n\n";
  BOOST_TEST((parse(wish, {.verp_key = kKey}).token == kToken));
  const std::string complaint = "Feedback-Type: abuse\nOriginal-Mail-From: <" + address + ">\n";
  BOOST_TEST((parse(report_of("message/feedback-report", complaint), {.verp_key = kKey}).token == kToken));
}

// ---------------------------------------------------------------------------------------------------------------------
// Hostile messages

std::string repeated(std::string_view text, int times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

std::string many_recipients(std::string_view before, std::string_view after, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all.append(before).append("ann" + std::to_string(i)).append("@example.net").append(after);
  return all;
}

BOOST_AUTO_TEST_CASE(limits_cut_off) {
  struct Case {
    const char* name;
    std::string message;
    std::size_t recipients_max;
  };
  const std::string words =
      "From: MAILER-DAEMON@x.example\nSubject: Returned mail\n\nThe following addresses failed:\n";
  const Case kCases[] = {
      {"recipients of a status",
       report_of("message/delivery-status", repeated("Final-Recipient: rfc822; a@b.c\nAction: failed\n\n", 20'000)),
       kReportRecipientsMax},
      {"recipients in words", words + repeated("<a@b.c>: 550 x\n", 100'000), kReportRecipientsMax},
      {"a thousand recipients in words and status",
       report_of("message/delivery-status", many_recipients("Final-Recipient: rfc822; ", "\nAction: failed\n\n", 2000),
                 many_recipients("", "x@example.net: 550 no\n", 2000)),
       kReportRecipientsMax},
      {"one line of at signs", words + repeated("@", 1'000'000), 0},
      {"one line of addresses", words + repeated("a@b.c ", 200'000), kReportRecipientsMax},
      {"one line of quotes", words + repeated("\"@", 500'000), kReportRecipientsMax},
      {"complaints", report_of("message/feedback-report", repeated("Original-Rcpt-To: a@b.c\n", 100'000)),
       kReportRecipientsMax},
      {"failed recipients", "X-Failed-Recipients: " + repeated("a@b.c, ", 100'000) + "\n\nx\n", kReportRecipientsMax},
      {"brackets of JSON", "From: x@y.z\n\n{\"notificationType\":\"Bounce\"," + repeated("[{", 500'000), 0},
      {"codes", words + "<a@b.c>: " + repeated("550 ", 500'000), kReportRecipientsMax},
      {"tags of HTML", "From: MAILER-DAEMON@x.example\nContent-Type: text/html\n\n" + repeated("<style", 300'000), 0},
      {"reports in reports",
       repeated("From: MAILER-DAEMON@x.example\nSubject: Returned mail\n\ncould not be delivered\n\n----- Original "
                "message -----\n",
                10'000),
       0},
      {"far too long", words + "ann@example.net\n" + std::string(3 * kReportBytesMax, 'x'), 1},
  };
  for (const Case& c : kCases)
    BOOST_TEST_CONTEXT(c.name) BOOST_TEST(parse(c.message).recipients.size() <= c.recipients_max);
}

BOOST_AUTO_TEST_CASE(every_prefix_is_read) {
  const std::string message = report_of("message/delivery-status", kStatusCases[1].content);
  for (std::size_t i = 0; i <= message.size(); ++i) {
    for (const ReportedRecipient& r : parse(std::string_view(message).substr(0, i)).recipients)
      BOOST_TEST(!r.address.empty());
  }
}

}  // namespace
}  // namespace mailsbuddy::bounce

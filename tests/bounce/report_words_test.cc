// Reports in servers' own words: each family as it places addresses, causes and the returned message.
#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/bounce.h"

namespace mailsbuddy::bounce {
namespace {

struct Case {
  const char* name;
  std::string_view from, subject, body;
  std::string_view kind, recipients;  // Addresses separated by spaces.
};

std::string message_of(const Case& c, std::string_view more = {}) {
  std::string message = "Return-Path: <>\r\nFrom: ";
  message.append(c.from)
      .append("\r\nTo: news@shop.example\r\nSubject: ")
      .append(c.subject)
      .append("\r\n")
      .append(more)
      .append("\r\n");
  for (const char ch : c.body) message += ch == '\n' ? std::string("\r\n") : std::string(1, ch);
  return message;
}

std::string addresses(const Report& report) {
  std::string all;
  for (const ReportedRecipient& r : report.recipients) all += (all.empty() ? "" : " ") + r.address;
  return all;
}

constexpr std::string_view kReturned =
    "Received: from shop.example by mx.example.org; Mon, 23 Nov 2026 19:57:48 +0000\nFrom: news@shop.example\nTo: "
    "ann@example.net\nMessage-ID: <1@shop.example>\nSubject: Offers\n\nHello\n";

constexpr Case kCases[] = {
    {"qmail", "MAILER-DAEMON@mx.example.org", "failure notice",
     "Hi. This is the qmail-send program at mx.example.org.\nI'm afraid I wasn't able to deliver your message to the "
     "following "
     "addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<ann@example.net>:\n192.0.2.1 "
     "does not "
     "like recipient.\nRemote host said: 550 5.1.1 No such user\nGiving up on 192.0.2.1.\n\n<bob@example.net>:\nSorry, "
     "no mailbox "
     "here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nTo: eve@example.com\n",
     "dsn", "ann@example.net bob@example.net"},
    {"Exim", "Mail Delivery System <Mailer-Daemon@mx.example.org>", "Mail delivery failed: returning message to sender",
     "This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
     "delivered to one or "
     "more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  ann@example.net\n    "
     "SMTP error from "
     "remote mail server after RCPT TO:<ann@example.net>:\n    host mx.example.net [192.0.2.1]: 550 No such "
     "user\n\n------ This is a "
     "copy of the message, including all the headers. ------\n\nFrom: x@example.com\n",
     "dsn", "ann@example.net"},
    {"Exim, the address undisclosed", "Mailer-Daemon@mx.example.org", "Mail delivery failed",
     "A message that you sent could not be delivered. The following address(es) failed:\n\n  an undisclosed address\n  "
     "  (generated "
     "from ann@example.net)\n",
     "dsn", "ann@example.net"},
    {"Exim, a warning", "Mailer-Daemon@mx.example.org", "Warning: message 1abc delayed 24 hours",
     "A message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on "
     "the queue. No "
     "action is required on your part.\nThe address to which the message has not yet been delivered is:\n\n  "
     "ann@example.net\n",
     "delay", "ann@example.net"},
    {"Sendmail 8", "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>", "Returned mail: User unknown",
     "The original message was received at Mon, 23 Nov 2026 19:57:48 GMT\nfrom shop.example [192.0.2.9]\n\n   ----- "
     "The following "
     "addresses had permanent fatal errors -----\n<ann@example.net>\n\n   ----- Transcript of session follows "
     "-----\n... while talking "
     "to mx.example.net.:\n>>> RCPT To:<ann@example.net>\n<<< 550 <ann@example.net>... User unknown\n550 "
     "<ann@example.net>... User "
     "unknown\n",
     "dsn", "ann@example.net"},
    {"Sendmail 5", "MAILER-DAEMON@mx.example.org", "Returned mail: Host unknown",
     "   ----- Transcript of session follows -----\n550 example.net (smtp)... 550 Host unknown\n554 "
     "<ann@example.net>... 550 Host "
     "unknown (Authoritative answer from name server)\n\n   ----- Unsent message follows -----\nReceived: by x\nTo: "
     "eve@example.com\n",
     "dsn", "ann@example.net"},
    {"Smail", "Mailer-Daemon@mx.example.org", "mail failed, returning to sender",
     "|------------------------- Message log follows: -------------------------|\n no valid recipients were found for "
     "this "
     "message\n|------------------------- Failed addresses follow: ---------------------|\n ann@example.net ... "
     "unknown "
     "host\n|------------------------- Message text follows: ------------------------|\nReceived: by x\n",
     "dsn", "ann@example.net"},
    {"Postfix, no delivery status", "MAILER-DAEMON@mx.example.org (Mail Delivery System)",
     "Undelivered Mail Returned to Sender",
     "This is the mail system at host mx.example.org.\n\nI'm sorry to have to inform you that your message could "
     "not\nbe delivered to "
     "one or more recipients.\n\nFor further assistance, please send mail to "
     "postmaster@example.org.\n\n<ann@example.net>: host "
     "mx.example.net[192.0.2.1] said: 550 5.1.1\n    User unknown (in reply to RCPT TO command)\n",
     "dsn", "ann@example.net"},
    {"Exchange 2003", "System Administrator <postmaster@example.org>", "Undeliverable: Offers",
     "Your message\n\n  To:      ann@example.net\n  Subject: Offers\n  Sent:    Mon, 23 Nov 2026\n\ndid not reach the "
     "following "
     "recipient(s):\n\nann@example.net on Mon, 23 Nov 2026 19:57:48 +0000\n    The recipient name is not recognized\n",
     "dsn", "ann@example.net"},
    {"Exchange 2007 and later", "postmaster@example.org", "Undeliverable: Offers",
     "Delivery has failed to these recipients or groups:\n\nann@example.net<mailto:ann@example.net>\nThe email address "
     "you entered "
     "couldn't be found.\n\nDiagnostic information for administrators:\n\nGenerating server: "
     "mx.example.org\n\nann@example.net\n#550 "
     "5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n\nOriginal message headers:\n\nReceived: from x\n",
     "dsn", "ann@example.net"},
    {"Domino", "Postmaster@example.org", "DELIVERY FAILURE: User ann not listed in Domino Directory",
     "Your message\n\n  Subject: Offers\n\nwas not delivered to:\n\n  ann@example.net\n\nbecause:\n\n  User ann "
     "(ann@example.net) not "
     "listed in Domino Directory\n",
     "dsn", "ann@example.net"},
    {"Notes", "postmaster@example.org", "Undeliverable message",
     "------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\nann@example.net\n\n------- "
     "Returned Message "
     "--------\nReceived: from x\n",
     "dsn", "ann@example.net"},
    {"GroupWise", "Mailer-Daemon@example.net", "Message status - undeliverable",
     "The message that you sent was undeliverable to the following:\n\tann (user not found)\n\nPossibly truncated "
     "original message "
     "follows:\n\nReceived: from x\n",
     "dsn", "ann@example.net"},
    {"IMail", "\"Postmaster\" <postmaster@example.org>", "Undeliverable Mail",
     "Unknown user: ann@example.net\n\nOriginal message follows.\n\nReceived: from x\n", "dsn", "ann@example.net"},
    {"IMail, full", "postmaster@example.org", "Undeliverable Mail",
     "User mailbox exceeds allowed size: ann@example.net\n\nOriginal message follows.\n", "dsn", "ann@example.net"},
    {"IMail, no host", "postmaster@example.org", "Undeliverable Mail",
     "undeliverable to ann@example.net\n\nOriginal message follows.\n", "dsn", "ann@example.net"},
    {"MailMarshal", "postmaster@example.org", "Undeliverable Mail: \"Offers\"",
     "Your message:\n   From:    news@shop.example\n   Subject: Offers\nCould not be delivered because of\n\n550 5.1.1 "
     "User unknown\n\nThe "
     "following recipients were affected: \n    ann@example.net\n\nAdditional Information\n======================\n",
     "dsn", "ann@example.net"},
    {"MailFoundry", "MAILER-DAEMON@example.org", "Message delivery has failed",
     "Unable to deliver message to: <ann@example.net>\nDelivery failed for the following reason:\nServer "
     "mx.example.net[192.0.2.1] failed "
     "with: 550 No such user here\n\nThis has been a permanent failure.  No further delivery attempts will be made.\n",
     "dsn", "ann@example.net"},
    {"KDDI", "Mail Administrator <no-reply@dion.ne.jp>", "Undelivered Mail",
     "Your mail sent on: Mon, 23 Nov 2026 19:57:48 +0900\n    Could not be delivered to: <ann@example.net>\n    As "
     "their mailbox is "
     "full.\n",
     "dsn", "ann@example.net"},
    {"EZweb", "Postmaster@ezweb.ne.jp", "Mail System Error - Returned Mail",
     "The user(s) account is temporarily limited.\n\nEach of the following recipients was rejected by a remote mail "
     "server.\n\n    "
     "Recipient: <ann@example.net>\n    >>> RCPT TO:<ann@example.net>\n    <<< 550 <ann@example.net>: User unknown\n",
     "dsn", "ann@example.net"},
    {"Netscape", "Mail Administrator <Postmaster@example.org>", "Mail System Error - Returned Mail",
     "This Message was undeliverable due to the following reason:\n\nYour message was not delivered because the "
     "destination computer was\n"
     "not found.\n\nThe following recipients did not receive this message:\n\n<ann@example.net>\n\nPlease reply to "
     "Postmaster@example.org\nif you feel this message to be in error.\n",
     "dsn", "ann@example.net"},
    {"Biglobe", "postmaster@biglobe.ne.jp", "Returned mail: failure",
     "   ----- The following addresses had delivery problems -----\nann@example.net\n\n   ----- Non-delivered "
     "information -----\nThe "
     "number of messages in recipient's mailbox exceeded the local limit.\n",
     "dsn", "ann@example.net"},
    {"McAfee", "postmaster@example.org", "Undeliverable mail",
     "--- The following addresses had delivery problems ---\n\n<ann@example.net>   (User unknown "
     "ann@example.net)\n\n--------------Returned "
     "Mail Follows--------\n",
     "dsn", "ann@example.net"},
    {"Zoho", "mailer-daemon@mail.zoho.com", "Undelivered Mail Returned to Sender",
     "This message was created automatically by mail delivery software.\n A message that you sent could not be "
     "delivered to one or more "
     "of its recipients. This is a permanent error. \n\nann@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE "
     ":5.1.1 User Unknown\n\n"
     "Received: from x\n",
     "dsn", "ann@example.net"},
    {"Zoho, deferred to the end", "mailer-daemon@mail.zoho.com", "Undelivered Mail Returned to Sender",
     "A message that you sent could not be delivered to one or more of its recipients.\n\n[Status: Error, Address: "
     "<ann@example.net>, "
     "ResponseCode 421, , Host not reachable.]\n",
     "dsn", "ann@example.net"},
    {"Yahoo", "MAILER-DAEMON@yahoo.com", "Delivery failure",
     "Message from  yahoo.com.\nUnable to deliver message to the following address(es).\n\n<ann@example.net>:\nThis "
     "user doesn't have a "
     "yahoo.com account (ann@example.net) [0]\n\n--- Original message follows.\n",
     "dsn", "ann@example.net"},
    {"AOL, by local part", "MAILER-DAEMON@aol.com", "Mail Delivery Problem",
     "Sorry news@shop.example. Your mail to the following recipients could not be delivered because they are not "
     "accepting mail with "
     "attachments:\n\tann\n",
     "dsn", "ann@aol.com"},
    {"Gmail", "Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status Notification (Failure)",
     "Delivery to the following recipient failed permanently:\n\n     ann@example.net\n\nTechnical details of "
     "permanent failure:\nThe error "
     "that the other server returned was: 550 550 5.1.1 User unknown (state 14).\n\n----- Original message "
     "-----\n\nReceived: by x\n",
     "dsn", "ann@example.net"},
    {"Gmail, still trying", "mailer-daemon@googlemail.com", "Delivery Status Notification (Delay)",
     "THIS IS A WARNING MESSAGE ONLY.\n\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\nDelivery to the following "
     "recipient has been "
     "delayed:\n\n     ann@example.net\n\nMessage will be retried for 2 more day(s)\n",
     "delay", "ann@example.net"},
    {"GMX", "MAILER-DAEMON@mail.gmx.com", "Mail delivery failed: returning message to sender",
     "A message that you sent could not be delivered to one or more of\nits recipients. The following address "
     "failed:\n\n\"ann@example.net\":\n"
     "SMTP error from remote server after RCPT command:\nhost: mx.example.net\n5.1.1 <ann@example.net>... User "
     "Unknown\n\n--- The header "
     "of the original message is following. ---\n\nReceived: from x\n",
     "dsn", "ann@example.net"},
    {"1&1", "\"Mail Delivery System\" <mailer-daemon@kundenserver.de>",
     "Mail delivery failed: returning message to sender",
     "The following address failed:\n\nann@example.net\n\nFor the following reason:\n\nMail size limit "
     "exceeded.\n\n--- The header of the "
     "original message is following. ---\n",
     "dsn", "ann@example.net"},
    {"mail.ru, in Russian first", "mailer-daemon@corp.mail.ru", "Mail failure.",
     "\u041a \u0441\u043e\u0436\u0430\u043b\u0435\u043d\u0438\u044e, \u0412\u0430\u0448\u0435 "
     "\u043f\u0438\u0441\u044c\u043c\u043e "
     "\u043d\u0435 \u043c\u043e\u0436\u0435\u0442 \u0431\u044b\u0442\u044c "
     "\u0434\u043e\u0441\u0442\u0430\u0432\u043b\u0435\u043d\u043e:\n\n  "
     "ann@example.net\n    retry timeout exceeded\n",
     "dsn", "ann@example.net"},
    {"Apache James", "postmaster@example.org", "Offers",
     "Hi. This is the James mail server at mx.example.org.\nI'm afraid I wasn't able to deliver your message to the "
     "following "
     "addresses.\n\nFailed recipient(s):\nann@example.net\n\nError message:\n550 No such user\n",
     "dsn", "ann@example.net"},
    {"MDaemon", "MDaemon@example.org", "Warning: ann@example.net - User unknown!",
     "ann@example.net - no such user here.\n\nThere is no user by that name at this server.\n", "dsn",
     "ann@example.net"},
    {"DragonFly", "MAILER-DAEMON <>", "Mail delivery failed",
     "This is the DragonFly Mail Agent v0.13 at mx.example.org.\n\nThere was an error delivering your mail to "
     "<ann@example.net>.\n\nmx.example.net [192.0.2.1] did not like our RCPT TO:\n550 5.1.1 <ann@example.net>: "
     "Recipient address "
     "rejected\n\nOriginal message follows.\n",
     "dsn", "ann@example.net"},
    {"OpenSMTPD", "Mailer Daemon <MAILER-DAEMON@example.org>", "Delivery status notification: error",
     "    Hi!\n\n    An error has occurred while attempting to deliver a message for\n    the following list of "
     "recipients:\n\nann@example.net: 550 5.1.1 User unknown\n\n    Below is a copy of the original message:\n",
     "dsn", "ann@example.net"},
    {"a short message centre", "post_master@sms.example", "Re:Offers",
     "Error: Invalid user address\n\nError message below:\n550 - Requested action not taken: no such user "
     "here\n\nMessage details:\n  MAIL "
     "FROM: news@shop.example\n  RCPT TO: ann@example.net\n  From: x@example.com\n",
     "dsn", "ann@example.net"},
    {"a picture message centre", "sysadmin@pix.example", "Undeliverable message",
     "Message could not be delivered to mobile.\nError: No valid recipients for this MM\n\nOriginal Message:\nFrom: "
     "news "
     "<news@shop.example>\nTo: ann@example.net\nSubject: Offers\n",
     "dsn", "ann@example.net"},
    {"in a sentence with the reply in brackets", "postmaster@example.org", "Delivery failure",
     "We had trouble delivering your message. Full details follow:\n\nSubject: 'Offers'\n\n1 error(s):\n\nSMTP Server "
     "<mx.example.net> "
     "rejected recipient <ann@example.net> \n  (Error following RCPT command). It responded as follows: [550 5.1.1 "
     "User unknown]\n",
     "dsn", "ann@example.net"},
    {"fml", "list-admin@example.org", "NOT MEMBER article from news@shop.example",
     "Hi, I am the fml ML manager.\nYou are not a member of this mailing list <list@example.org>.\n\nOriginal mail as "
     "follows:\n",
     "dsn", "list@example.org"},
    {"only the returned message says to whom", "MAILER-DAEMON@example.org", "Returned mail",
     "Your message could not be delivered.\n\n--- Original message follows.\n\nFrom: news@shop.example\nTo: Ann "
     "<ann@example.net>\n",
     "dsn", "ann@example.net"},
    {"nobody says to whom", "MAILER-DAEMON@example.org", "Returned mail", "Your message could not be delivered.\n",
     "dsn", ""},
    {"in Spanish", "postmaster@example.org", "No se pudo entregar",
     "No se pudo entregar el mensaje a:\n\nann@example.net\n\nBuz\xc3\xb3n lleno.\n", "dsn", "ann@example.net"},
    {"a delivery", "postmaster@example.org", "Successful Mail Delivery Report",
     "Your message was successfully delivered to the destination(s) listed below.\n\n<ann@example.net>: delivery via "
     "mx.example.net[192.0.2.1]:25: 250 Ok\n",
     "success", "ann@example.net"},
    {"an alias of Sendmail", "MAILER-DAEMON@example.org", "Returned mail: User unknown",
     "   ----- The following addresses had permanent fatal errors -----\n<bob@example.org>\n    (expanded from: "
     "<ann@example.net>)\n\n   ----- Transcript of session follows -----\n550 5.1.1 User unknown\n",
     "dsn", "ann@example.net"},
    {"an alias of Postfix", "MAILER-DAEMON@example.org", "Undelivered Mail Returned to Sender",
     "your message could not\nbe delivered.\n\n<bob@example.org> (expanded from <ann@example.net>): host x said: 550 "
     "No\n",
     "dsn", "ann@example.net"},
    {"a list behind marks", "postmaster@example.org", "Mail failure",
     "The following addresses did NOT receive a copy of your message:\n\n> ann@example.net\n\n--- Session Transcript "
     "---\n> MAIL "
     "From:<news@shop.example>\n",
     "dsn", "ann@example.net"},
    {"an address in another notation", "postmaster@example.org", "Delivery failure",
     "Message could not be delivered to some recipients.\n\nRecipient: [SMTP:ann@example.net]\nReason: Unknown\n",
     "dsn", "ann@example.net"},
    {"an address in Exchange's notation", "System Administrator <postmaster@example.org>", "Undeliverable: Offers",
     "did not reach the following recipient(s):\n\nc=US;a= ;p=Org;SMTP=ann@example.net; on Mon, 23 Nov 2026\n    "
     "Unknown Recipient\n",
     "dsn", "ann@example.net"},
    {"a rejection by Dovecot", "Mail Delivery Subsystem <postmaster@example.org>", "Rejected: Offers",
     "Your message to <ann@example.net> was automatically rejected:\nQuota exceeded\n", "dsn", "ann@example.net"},
    {"errors in fields", "postmaster@example.org", "Undeliverable",
     "--> Error description:\n\nError-for:  ann@example.net\nError-Code: 550\nError-End:  One error reported.\n", "dsn",
     "ann@example.net"},
    // What is no report.
    {"a person", "Ann <ann@example.net>", "Re: Offers",
     "My order could not be delivered to ann@example.net. Please look.\n", "none", ""},
    {"a newsletter", "offers@example.net", "A new delivery service", "We deliver to bob@example.org.\n", "none", ""},
};

BOOST_AUTO_TEST_CASE(words_are_read) {
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const bool person = c.kind == "none";
      std::string message = message_of(c);
      if (person) message.erase(0, message.find("From:"));
      const Report report = parse(message);
      BOOST_TEST(to_string(report.kind) == c.kind);
      BOOST_TEST(addresses(report) == c.recipients);
      for (const ReportedRecipient& r : report.recipients) {
        if (report.kind == ReportKind::kDelay) BOOST_TEST((r.verdict.reaction != Reaction::kSuppress));
      }
    }
}

BOOST_AUTO_TEST_CASE(what_was_returned_is_no_part_of_the_words) {
  const std::string message = message_of(kCases[0]) + std::string(kReturned);
  const Report report = parse(message);
  BOOST_TEST(addresses(report) == kCases[0].recipients);
}

BOOST_AUTO_TEST_CASE(x_failed_recipients_is_the_surer_list) {
  const Case words = {
      "",
      "Mailer-Daemon@mx.example.org",
      "Mail delivery failed",
      "The following address(es) failed:\n\n  ann@example.net\n    550 No such user\n  eve@example.com\n",
      "",
      ""};
  const Report report = parse(message_of(words, "X-Failed-Recipients: ann@example.net,\r\n bob@example.net\r\n"));
  BOOST_TEST(addresses(report) == "ann@example.net bob@example.net");
  BOOST_TEST(report.sign == "x-failed-recipients");
  BOOST_TEST(report.recipients.front().diagnostic.code == 550);
}

BOOST_AUTO_TEST_CASE(each_recipient_has_its_own_cause) {
  const Report report = parse(message_of(kCases[0]));
  BOOST_REQUIRE(report.recipients.size() == 2U);
  BOOST_TEST(report.recipients[0].diagnostic.code == 550);
  BOOST_TEST((report.recipients[0].status == EnhancedCode{5, 1, 1}));
  BOOST_TEST(report.recipients[1].diagnostic.code == 0);
  BOOST_TEST((report.recipients[1].status == EnhancedCode{5, 1, 1}));
  for (const ReportedRecipient& r : report.recipients) BOOST_TEST((r.verdict.klass == Class::kUserUnknown));
}

BOOST_AUTO_TEST_CASE(a_transcript_answers_for_the_address_after_it) {
  const Case words = {"",
                      "MAILER-DAEMON@mx.example.org",
                      "Returned mail: User unknown",
                      "   ----- Transcript of session follows -----\nWhile talking to mx.example.net:\n>>> RCPT "
                      "To:<ann@example.net>\n<<< 552 5.2.2 "
                      "Mailbox full\n554 <ann@example.net>... Remote error\n550 <bob@example.org>... User unknown\n",
                      "",
                      ""};
  const Report report = parse(message_of(words));
  BOOST_REQUIRE(addresses(report) == "ann@example.net bob@example.org");
  BOOST_TEST((report.recipients[0].verdict.klass == Class::kMailboxFull));
  BOOST_TEST((report.recipients[1].verdict.klass == Class::kUserUnknown));
}

BOOST_AUTO_TEST_CASE(a_group_that_may_take_members_only_is_not_suppressed) {
  const Case words = {
      "",
      "mailer-daemon@googlemail.com",
      "Delivery Status Notification (Failure)",
      "Le groupe (offers) n'existe pas.\n\nhttps://groups.google.com/support/.\n\n----- Original message -----\n",
      "",
      ""};
  const Report report = parse(message_of(words, "X-Failed-Recipients: offers@groups.example\r\n"));
  BOOST_REQUIRE(report.recipients.size() == 1U);
  BOOST_TEST((report.recipients[0].verdict.klass == Class::kRecipientFiltered));
  BOOST_TEST((report.recipients[0].verdict.reaction == Reaction::kFailMessage));
}

BOOST_AUTO_TEST_CASE(what_a_reporter_says_first_may_be_kinder_than_its_reply) {
  const Case disabled = {"",
                         "Postmaster@mobile.example",
                         "Returned Mail",
                         "The user(s) account is disabled.\n\n<ann@example.net>: 550 user unknown\n",
                         "",
                         ""};
  BOOST_TEST((parse(message_of(disabled)).recipients.at(0).verdict.klass == Class::kMailboxDisabled));
  const Case unknown = {
      "", "Postmaster@mobile.example", "Returned Mail", "Sorry.\n\n<ann@example.net>: 550 user unknown\n", "", ""};
  BOOST_TEST((parse(message_of(unknown)).recipients.at(0).verdict.klass == Class::kUserUnknown));
}

BOOST_AUTO_TEST_CASE(html_alone_is_read) {
  const std::string message =
      "From: postmaster@example.org\nSubject: Undeliverable: Offers\nContent-Type: text/html; "
      "charset=utf-8\n\n<html><style>p{x:y@z.example}</style><body><p>Your message couldn't be delivered "
      "to:</p><p>&lt;ann@example.net&gt;</p><p>550 5.1.1 User unknown</p></body></html>\n";
  const Report report = parse(message);
  BOOST_TEST(to_string(report.kind) == "dsn");
  BOOST_TEST(addresses(report) == "ann@example.net");
}

BOOST_AUTO_TEST_CASE(a_report_around_a_report_is_about_whom_the_inner_one_is) {
  const std::string inner =
      "Return-Path: <>\nFrom: MAILER-DAEMON@relay.example.org\nSubject: Undelivered Mail Returned to Sender\nTo: "
      "postmaster@example.org\n"
      "MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: "
      "message/delivery-status\n\nReporting-MTA: dns; "
      "relay.example.org\n\nFinal-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n\n--b--\n";
  const Case outer = {"",
                      "MAILER-DAEMON@mx.example.org",
                      "Undelivered Mail Returned to Sender",
                      "The message could not be delivered.\n\n----------\n",
                      "",
                      ""};
  const Report report = parse(message_of(outer) + "From MAILER-DAEMON Mon Nov 23\n" + inner);
  BOOST_TEST(addresses(report) == "ann@example.net");
  BOOST_TEST((report.recipients.front().verdict.klass == Class::kUserUnknown));
}

}  // namespace
}  // namespace mailsbuddy::bounce

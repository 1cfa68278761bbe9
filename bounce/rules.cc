#include "bounce/rules.h"

#include <iterator>

#include "bounce/phrases.h"

namespace mailsbuddy::bounce {
namespace {

using C = Class;
using R = Reaction;
using S = Scope;

// One rule: what it decides, then what it fits.
// clang-format off
constexpr Rule kRules[] = {
    // --- Google: support.google.com/a/answer/3726730 ---------------------------------------------------------------
    {"google.rate_domain", C::kRateLimited,
     "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your SPF domain",
     {.provider = "google", .status = {7, 28, 28}, .text = "dkim domain|spf domain"},
     {.scope = S::kSenderDomain, .reaction = R::kPause}},
    {"google.rate_message", C::kRateLimited,
     "421 4.7.28 Gmail has detected an unusual rate of mail containing one of your URL domains",
     {.provider = "google", .status = {7, 28, 28}, .text = "url domain|message-id"},
     {.scope = S::kMessage, .reaction = R::kPause}},
    {"google.rate_ip", C::kRateLimited,
     "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address",
     {.provider = "google", .status = {7, 28, 28}}, {.reaction = R::kPause}},
    {"google.ptr", C::kPtrMissing, "421 4.7.23 The sending IP address has no PTR record",
     {.provider = "google", .status = {7, 23, 23}}},
    {"google.auth", C::kAuthFailed, "550 5.7.27 Your email has been blocked because SPF did not pass",
     {.provider = "google", .status = {7, 26, 27}}},
    {"google.tls", C::kTlsRequired, "421 4.7.29 Your email has been rate limited because it was not sent over TLS",
     {.provider = "google", .status = {7, 29, 29}}},
    {"google.alignment", C::kAuthFailed, "421 4.7.32 The From: header is not aligned with an authenticated domain",
     {.provider = "google", .status = {7, 30, 40}}},
    {"google.relay_quota", C::kRateLimited, "550 5.4.5 Daily user sending limit exceeded",
     {.provider = "google", .status = {4, 5, 5}, .text = "limit exceeded"}, {.reaction = R::kPause}},
    {"google.one_domain", C::kTooManyRecipients,
     "451 4.3.0 Multiple destination domains per transaction is unsupported",
     {.text = "multiple destination domains"}},

    // --- Yahoo: senders.yahooinc.com/smtp-error-codes --------------------------------------------------------------
    {"yahoo.ts03", C::kIpReputation, "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred",
     {.text = "[ts03]|[tss03]|will be permanently deferred"}, {.reaction = R::kSuspendAlert}},
    {"yahoo.tss04", C::kRateLimited,
     "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
     {.text = "[tss04]|[ts04]|[tss05]|unexpected volume or user complaints"}, {.reaction = R::kPause}},
    {"yahoo.complaints", C::kIpReputation, "421 4.7.0 [TS01] Messages from 192.0.2.1 temporarily deferred",
     {.text = "[ts01]|[ts02]|[tss01]|[tss02]|due to user complaints"}},
    {"yahoo.per_connection", C::kTooManyConnections,
     "421 Max message per connection reached, closing transmission channel",
     {.text = "max message per connection|max messages per connection|maximum messages per connection"},
     {.reaction = R::kRetry}},
    {"yahoo.blocklist", C::kIpBlocklisted, "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1",
     {.text = "[bl2|[tss07]|connections will not be accepted from|connections not accepted from ip"}},
    {"yahoo.from_domain", C::kSenderInvalid, "554 5.7.5 Message not allowed - Unresolvable RFC.5321 From domain",
     {.text = "unresolvable rfc.5321 from|unresolvable rfc.5322 from"}, {.reaction = R::kPause}},
    {"yahoo.phishing", C::kContentSpam, "554 5.7.9 [PH01] Message not accepted", {.text = "[ph01]|[ph02]"}},
    {"yahoo.unknown_recipients", C::kIpReputation, "421 4.7.1 Excessive unknown recipients - possible open relay",
     {.text = "excessive unknown recipients"}, {.reaction = R::kSuspendAlert}},

    // --- Microsoft: sendersupport.olc.protection.outlook.com, learn.microsoft.com non-delivery reports -------------
    {"microsoft.block_list", C::kIpBlocklisted,
     "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Your network is on our list (S3140).",
     {.text = "s3140|s3150|part of their network is on our block list"}},
    // Details above 500 are Microsoft's own, in both of its houses.
    {"microsoft.banned_ip", C::kIpBlocklisted, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
     {.status = {7, 606, 649}}},
    {"microsoft.banned_sender", C::kIpBlocklisted, "550 5.7.511 Access denied, banned sender[192.0.2.1]",
     {.status = {7, 511, 511}}},
    {"microsoft.reputation", C::kIpReputation,
     "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation (S775)",
     {.status = {7, 650, 651}}},
    {"microsoft.connections", C::kTooManyConnections, "451 4.7.652 The mail server has exceeded the maximum number",
     {.status = {7, 652, 652}}},
    {"microsoft.auth", C::kAuthFailed,
     "550; 5.7.515 Access denied, the sending domain does not meet the required level",
     {.text = "5.7.515|5.7.509|sending domain does not pass"}},
    {"microsoft.dmarc", C::kAuthFailed, "550 5.7.509 Access denied", {.status = {7, 509, 509}}},
    {"microsoft.auth_level", C::kAuthFailed, "550 5.7.515 Access denied", {.status = {7, 515, 515}}},
    {"microsoft.rp_001", C::kIpReputation, "421 RP-001 The mail server has exceeded the rate limit",
     {.provider = "microsoft", .text = "rp-001"}},
    {"microsoft.rp_connections", C::kTooManyConnections, "421 RP-003 The connection limit has been exceeded",
     {.provider = "microsoft", .text = "rp-002|rp-003"}},
    {"microsoft.content", C::kContentSpam, "550 SC-001 Mail rejected by Outlook.com for policy reasons",
     {.provider = "microsoft", .text = "sc-001|ou-002"}},
    {"microsoft.namespace_mining", C::kIpReputation, "550 SC-002 Mail rejected by Outlook.com for policy reasons",
     {.provider = "microsoft", .text = "sc-002"}, {.reaction = R::kSuspendAlert}},
    {"microsoft.ip_blocked", C::kIpBlocklisted, "550 DY-001 Mail rejected by Outlook.com for policy reasons",
     {.provider = "microsoft", .text = "sc-003|sc-004|dy-001|dy-002|ou-001"}},
    {"microsoft.directory", C::kUserUnknown, "550 5.4.1 Recipient address rejected: Access denied",
     {.status = {4, 1, 1}, .text = "recipient address rejected: access denied"}},
    {"microsoft.internal_only", C::kRecipientFiltered, "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required",
     {.text = "resolver.rst.authrequired|resolver.rst.notauthorized|resolver.rst.restricted"}},

    // --- Others ----------------------------------------------------------------------------------------------------
    {"apple.rate", C::kRateLimited, "421 4.7.0 [HCM1] Try again later",
     {.provider = "apple", .text = "hcm1|bs02"}, {.reaction = R::kPause}},
    {"comcast.rate", C::kRateLimited, "421 4.1.0 192.0.2.1 Throttled - try again later RL000001",
     {.provider = "comcast", .text = "rl0000"}},
    {"comcast.blocked", C::kIpBlocklisted, "554 resimta comcast 192.0.2.1 Comcast block for spam BL000000",
     {.provider = "comcast", .text = "bl0000"}},
    {"orange.blocked", C::kIpReputation, "550 5.5.0 Service refuse. Veuillez essayer plus tard. LPN005_510",
     {.text = "ofr_999|ofr004|ofr006|lpn001|lpn006|lpn005_510"}},
    {"orange.refused", C::kIpReputation, "550 mwinf5c10 ME Service refuse. Veuillez essayer plus tard.",
     {.code = 5, .text = "veuillez essayer plus tard"}},
    {"qq.frequency", C::kRateLimited, "550 Connection frequency limited", {.text = "frequency limited"},
     {.reaction = R::kPause}},

    // --- Said by anybody: about the sending IP or domain -----------------------------------------------------------
    {"text.greylisted", C::kGreylisted, "451 4.7.1 Greylisted, come back later",
     {.text = "greylist|graylist|grey list|gray list|grey-list|gray-list|postgrey"}},
    {"text.blocked_by_recipient", C::kRecipientFiltered, "550 You have been blocked by the recipient",
     {.text = "blocked by the recipient|blocked by recipient|rejected by this user|recipient has blocked|user reject|"
              "personal blacklist|personal block list|user's blacklist|recipient's blacklist"}},
    {"text.ptr_missing", C::kPtrMissing, "450 4.7.1 Client host rejected: cannot find your reverse hostname",
     {.text = "ptr record|(ptr)|no ptr|reverse dns|reverse hostname|reverse lookup|ip name lookup failed|"
              "may not be mail exchanger|missing ptr|rdns entry"}},
    {"text.auth_failed", C::kAuthFailed, "550 5.7.1 Message rejected due to the DMARC policy of brand.example",
     {.text = "dmarc|spf check|spf validation|spf record|spf authentication|spf fail|spf: fail|failed spf|fails spf|"
              "sender policy framework|dkim sign|dkim check|dkim validation|dkim verification|dkim authentication|"
              "unauthenticated email|is unauthenticated|not allowed to send from"}},
    {"text.domain_blocklisted", C::kDomainReputation, "554 5.7.1 Sender domain listed at dbl.spamhaus.org",
     {.text = "spamhaus dbl|dbl.spamhaus|spamhaus.org/query/dbl|domain block list|surbl|uribl|domain is blacklisted|"
              "domain is blocklisted|domain is listed"}},
    {"text.ip_blocklisted", C::kIpBlocklisted,
     "554 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
     {.text = "spamhaus|spamcop|sorbs.net|barracudacentral|dnsbl|_rbl|.rbl| rbl |blacklist|black list|black-list|"
              "blocklist|block list|block-list|blocked using|is listed on|listed in|mailspike|hostkarma|"
              "client host blocked|banned sending ip"}},
    {"text.domain_reputation", C::kDomainReputation,
     "550 5.7.1 Messages are likely unsolicited due to the very low reputation of the sending domain",
     {.text = "reputation of the sending domain|reputation of the domain|domain reputation|"
              "domain has a poor reputation|domain has a bad reputation"}},
    {"text.ip_reputation", C::kIpReputation, "554 5.5.4 Your IP 192.0.2.1 address has a bad reputation",
     {.text = "bad reputation|poor reputation|low reputation|ip reputation|reputation of the sending ip|senderscore|"
              "sender score|ip has been blocked|ip address has been blocked|ip is blocked|ip blocked|"
              "identified as spammer|unusual rate of unsolicited|:blocked)|forbidden by your ip|"
              "your access to submit messages|host network not allowed"}},
    {"text.per_connection", C::kTooManyConnections, "421 4.7.0 Too many messages on this connection",
     {.text = "messages on this connection|messages per connection|messages in this session|messages per session|"
              "emails per session"}},
    {"text.connection_rate", C::kRateLimited, "452 4.3.2 Connection rate limit exceeded",
     {.text = "connection rate|too many recipients this hour|too many recipients per hour"}},
    {"text.too_many_connections", C::kTooManyConnections, "421 4.7.0 Too many concurrent SMTP connections",
     {.text = "too many concurrent|too many connections|too many sessions|too many simultaneous|connection limit|"
              "concurrent connections|simultaneous connections|number of connections|trop de connexions|"
              "zu viele verbindungen"}},
    {"text.recipient_rate", C::kRecipientRate,
     "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
     {.text = "is receiving mail at a rate|is receiving mail too quickly|receiving email at a rate"}},
    {"text.rate_limited", C::kRateLimited, "421 4.7.0 Your host is sending too fast, rate limited",
     {.text = "rate limit|ratelimit|rate-limit|throttl|too many messages|too many emails|too many mails|"
              "sending too fast|too fast|excessive volume|excessive rate|too much mail|message rate|messages per hour|"
              "relay limit exceeded|sending limit exceeded|hourly limit|daily limit"}},
    {"text.too_many_recipients", C::kTooManyRecipients, "452 4.5.3 Too many recipients",
     {.text = "too many recipients|too many rcpt|too many receivers"}},

    // --- About how we speak ----------------------------------------------------------------------------------------
    {"text.tls_required", C::kTlsRequired, "530 5.7.0 Must issue a STARTTLS command first",
     {.text = "starttls|requires tls|tls is required|tls required|encryption required|must use tls|use tls"}},
    {"text.relay_denied", C::kRelayDenied, "554 5.7.1 Relay access denied",
     {.text = "relay access denied|relaying denied|relay denied|relaying not|relay not|relaying is|unable to relay|"
              "cannot relay|not relay|not permitted to relay|not allowed to relay|relaying prohibited|relay prohibited|"
              "allowed rcpthosts|tenantattribution|not authorized to send email directly"}},
    {"text.sender_invalid", C::kSenderInvalid, "450 4.1.8 Sender address rejected: Domain not found",
     {.text = "sender address rejected|sender rejected|sender refused|sender denied|invalid sender|bad sender|"
              "sender verif|sender domain|sender email|sender address|mail from is mismatched|from domain"}},
    {"stage.mail_from", C::kSenderInvalid, "553 5.1.8 Domain brand.example does not exist",
     {.from = Stage::kMailFrom, .to = Stage::kMailFrom,
      .text = "does not exist|doesn't exist|not found|unknown|mailbox unavailable|invalid dns|no mx"}},

    // --- About the recipient ---------------------------------------------------------------------------------------
    {"text.dns_failure", C::kDnsFailure, "451 4.4.3 Name server timeout",
     {.text = "name server timeout|dns error|dns failure|dns lookup fail|dns query failed|domain lookup fail|"
              "temporary lookup failure"}},
    {"text.domain_unknown", C::kDomainUnknown, "550 5.1.2 example.net... Host unknown",
     {.from = Stage::kRcptTo,
      .text = "host unknown|unknown host|host not found|no such domain|domain not found|domain does not exist|"
              "unknown domain|domain unknown|unrouteable domain|domain owner has changed"}},
    {"text.mailbox_full", C::kMailboxFull, "552 5.2.2 Mailbox full",
     {.text = "mailbox full|mailbox is full|inbox is full|inbox full|> is full|over quota|overquota|over the quota|"
              "quota exceeded|exceeded quota|exceeds quota|exceeded their quota|disk quota|over its quota|"
              "exceeded storage allocation|storage allocation exceeded|out of storage|storage limit|mailbox size limit|"
              "exceeds allowed size|mailbox exceed|quotaexceeded"}},
    {"text.mailbox_moved", C::kMailboxMoved, "551 5.1.6 The address has been replaced by ann@new.example",
     {.text = "has been replaced by|has moved|user moved|mailbox moved|no longer at this address|new address is|"
              "address has changed|address changed"}},
    {"text.mailbox_disabled", C::kMailboxDisabled, "550 5.2.1 The mailbox is disabled",
     {.text = "account has been disabled|account is disabled|account disabled|mailbox disabled|mailbox is disabled|"
              "mailbox has been disabled|is now disabled|that you tried to reach is disabled|deactivated|is inactive|"
              "inactive mailbox|inactive user|inactive account|inactive email|account inactive|mailbox inactive|"
              "account suspended|account is suspended|account has been suspended|mailbox suspended|"
              "mailbox is suspended|user suspended|user is suspended|suspend the service|mailbox is frozen|"
              "mailbox is locked|account is locked|account locked|account expired|account has expired|"
              "disabled recipient|recipient disabled|user disabled"}},
    {"text.user_unknown", C::kUserUnknown, "550 5.1.1 ann@example.net User unknown", {.from = Stage::kRcptTo,
      .text = "user unknown|unknown user|user not known|not a known user|no such user|no such recipient|"
              "no such mailbox|no such account|no such address|no such person|no user by|no mailbox|no account|"
              "user doesn't|does not exist|doesn't exist|doesn't have a|does not have a|unknown recipient|"
              "recipient unknown|unknown address|address unknown|addressee unknown|unknown local|unknown mailbox|"
              "mailbox unknown|user not found|recipient not found|mailbox not found|account not found|"
              "address not found|invalid recipient|invalid mailbox|invalid user|invalid address|user invalid|"
              "recipient invalid|not a valid mailbox|not a valid user|not a valid recipient|bad destination mailbox|"
              "not our customer|unknown or illegal alias|malformed address|bad address syntax|destinataire invalide|"
              "unrouteable address|undeliverable address|user not local|) unknown"}},
    {"text.mailbox_unavailable", C::kUserUnknown, "550 Requested action not taken: mailbox unavailable",
     {.from = Stage::kRcptTo, .to = Stage::kRcptTo, .code = 550, .text = "mailbox unavailable|mailbox not available"}},

    // --- About the message -----------------------------------------------------------------------------------------
    {"text.virus", C::kVirus, "550 Virus detected; content rejected", {.text = "virus|malware|infected|trojan"}},
    {"text.attachment", C::kAttachmentRejected, "552 5.7.0 Attachments of this file type are not accepted",
     {.text = "attachment|potential security issue|executable file|file extension"}},
    {"text.rfc_noncompliant", C::kRfcNoncompliant, "550 5.7.1 This message is not RFC 5322 compliant",
     {.text = "rfc 5322|rfc 2822|rfc5322|rfc2822|rfcmessagenoncompliant|multiple subject|duplicate header|from: header|"
              "header from|missing header|invalid header|headers too large|improperly-formatted|bare lf|bare newline|"
              "malformed|line too long|lines too long|8bit data|non-ascii"}},
    // What is called spam before there is a message is its sender.
    {"stage.spam_source", C::kIpReputation, "554 Your host sends spam", {.to = Stage::kMailFrom, .text = "spam"}},
    {"text.spam", C::kContentSpam, "550 5.7.1 Message rejected as spam",
     {.text = "spam|unsolicited|junk mail|bulk mail|phishing|, ube,|looks like ube"}},
    {"text.too_large", C::kTooLarge, "552 5.3.4 Message size exceeds fixed limit",
     {.text = "message too large|message too big|message is too large|message is too big|message size exceeds|"
              "message file too big|message length exceeds|message exceeds|size of your message|maximum message size|"
              "message size limit|exceeds size limit|exceeds the maximum size|message too long|recipsizelimit"}},
    {"text.content", C::kContentPolicy, "554 5.6.0 Message content rejected",
     {.text = "content rejected|content filter|prohibited content|rejected due to content|message content"}},

    // --- About the server ------------------------------------------------------------------------------------------
    {"text.loop", C::kRoutingError, "554 5.4.6 Hop count exceeded - possible mail loop",
     {.text = "mail loop|hop count|too many hops|loops back|loop detected|routing loop"},
     {.reaction = R::kFailMessage}},
    {"text.system_full", C::kRemoteSystemFull, "452 4.3.1 Insufficient system storage",
     {.text = "insufficient system storage|insufficient disk|disk full|no space left|out of disk|system is full"}},
    {"text.expired", C::kExpired, "550 5.4.316 Message expired, connection refused",
     {.text = "message expired|in the queue too long|in queue too long|retry timeout exceeded|retry time not reached"}},
    {"text.server_trouble", C::kRemoteConfig, "421 Service temporarily unavailable", {.code = 4,
      .text = "temporarily unavailable|service unavailable|service not available|internal server error|internal error|"
              "server error|server busy|too busy|system resources|resources temporarily|local error|upstream error|"
              "not accepting|try later|essayer plus tard|system load|load too high|overloaded"}},
    {"text.recipient_filtered", C::kRecipientFiltered, "554 5.7.1 <ann@example.net>: Recipient address rejected",
     {.from = Stage::kRcptTo, .to = Stage::kRcptTo, .code = 5,
      .text = "recipient address rejected|recipient rejected|recipient refused|mailbox is restricted|is restricted|"
              "not accepting mail"}},
    {"text.policy", C::kContentPolicy, "550 5.7.1 Message rejected due to local policy", {.from = Stage::kRcptTo,
      .text = "policy"}},

    // --- Enhanced status codes: RFC 3463 and the IANA registry ----------------------------------------------------
    {"status.sender", C::kSenderInvalid, "550 5.1.0 Rejected",
     {.from = Stage::kMailFrom, .to = Stage::kMailFrom, .status = {1, 0, 9}}},
    {"status.1.1", C::kUserUnknown, "550 5.1.1 Rejected", {.status = {1, 1, 1}}},
    {"status.1.2", C::kDomainUnknown, "550 5.1.2 Rejected", {.status = {1, 2, 2}}},
    {"status.1.3", C::kUserUnknown, "553 5.1.3 Rejected", {.status = {1, 3, 4}}},
    {"status.1.6", C::kMailboxMoved, "551 5.1.6 Rejected", {.status = {1, 6, 6}}},
    {"status.1.7", C::kSenderInvalid, "553 5.1.7 Rejected", {.status = {1, 7, 8}}},
    {"status.1.10", C::kNullMx, "556 5.1.10 Rejected", {.status = {1, 10, 10}}},
    {"status.2.1", C::kMailboxDisabled, "550 5.2.1 Rejected", {.status = {2, 1, 1}}},
    {"status.2.2", C::kMailboxFull, "552 5.2.2 Rejected", {.status = {2, 2, 2}}},
    {"status.2.3", C::kTooLarge, "552 5.2.3 Rejected", {.status = {2, 3, 3}}},
    {"status.2.4", C::kRecipientFiltered, "550 5.2.4 Rejected", {.status = {2, 4, 4}}},
    {"status.3.1", C::kRemoteSystemFull, "452 4.3.1 Rejected", {.status = {3, 1, 1}}},
    {"status.3.4", C::kTooLarge, "552 5.3.4 Rejected", {.status = {3, 4, 4}}},
    {"status.3", C::kRemoteConfig, "451 4.3.0 Rejected", {.status = {3, 0, 9}}},
    {"status.4.1", C::kNoAnswer, "451 4.4.1 Rejected", {.status = {4, 1, 1}}},
    {"status.4.2", C::kConnectionError, "451 4.4.2 Rejected", {.status = {4, 2, 2}}},
    {"status.4.3", C::kDnsFailure, "451 4.4.3 Rejected", {.status = {4, 3, 3}}},
    {"status.4.5", C::kRemoteSystemFull, "421 4.4.5 Rejected", {.status = {4, 5, 5}}},
    {"status.4.6", C::kRoutingError, "554 5.4.6 Rejected", {.status = {4, 6, 6}}, {.reaction = R::kFailMessage}},
    {"status.4.7", C::kExpired, "554 5.4.7 Rejected", {.status = {4, 7, 7}}},
    {"status.4", C::kRoutingError, "451 4.4.4 Rejected", {.status = {4, 0, 9}}},
    {"status.5.3", C::kTooManyRecipients, "452 4.5.3 Rejected", {.status = {5, 3, 3}}},
    {"status.6.7", C::kRfcNoncompliant, "553 5.6.7 Rejected", {.status = {6, 7, 9}}},
    {"status.6", C::kContentPolicy, "554 5.6.0 Rejected", {.status = {6, 0, 6}}},
    {"status.7.4", C::kProtocolError, "504 5.7.4 Rejected", {.status = {7, 3, 6}}},
    {"status.7.8", C::kRelayDenied, "535 5.7.8 Rejected", {.status = {7, 8, 9}}},
    {"status.7.10", C::kTlsRequired, "530 5.7.10 Rejected", {.status = {7, 10, 11}}},
    {"status.7.13", C::kMailboxDisabled, "525 5.7.13 Rejected", {.status = {7, 13, 13}}},
    {"status.7.17", C::kUserUnknown, "550 5.7.17 Rejected", {.status = {7, 17, 17}}},
    {"status.7.18", C::kDomainUnknown, "550 5.7.18 Rejected", {.status = {7, 18, 19}}},
    {"status.7.20", C::kAuthFailed, "550 5.7.20 Rejected", {.status = {7, 20, 24}}},
    {"status.7.25", C::kPtrMissing, "550 5.7.25 Rejected", {.status = {7, 25, 25}}},
    {"status.7.26", C::kAuthFailed, "550 5.7.26 Rejected", {.status = {7, 26, 26}}},
    {"status.7.27", C::kSenderInvalid, "550 5.7.27 Rejected", {.status = {7, 27, 27}}},
    {"status.7.28", C::kRateLimited, "450 4.7.28 Rejected", {.status = {7, 28, 28}}},
    // Google and Yahoo put all that is about reputation under it; so does Postfix with its access lists.
    {"google.reputation", C::kIpReputation, "421 4.7.0 Try again later, closing connection",
     {.provider = "google", .code = 4, .status = {7, 0, 0}}},
    {"status.7.1", C::kContentPolicy, "550 5.7.1 Rejected", {.from = Stage::kRcptTo, .code = 5, .status = {7, 0, 1}}},

    // --- Reply codes: RFC 5321 4.2.3, RFC 7504, RFC 4954 -----------------------------------------------------------
    {"code.421", C::kConnectionError, "421 Closing", {.code = 421}},
    {"code.451", C::kRemoteConfig, "451 Rejected", {.code = 451}},
    {"code.452", C::kRemoteSystemFull, "452 Rejected", {.code = 452}},
    {"code.454", C::kTlsFailure, "454 Rejected", {.to = Stage::kStartTls, .code = 454}},
    {"code.455", C::kProtocolError, "455 Rejected", {.code = 455}},
    {"code.500", C::kProtocolError, "500 Rejected", {.code = 500}},
    {"code.501", C::kProtocolError, "501 Rejected", {.code = 501}},
    {"code.502", C::kProtocolError, "502 Rejected", {.code = 502}},
    {"code.503", C::kProtocolError, "503 Rejected", {.code = 503}},
    {"code.504", C::kProtocolError, "504 Rejected", {.code = 504}},
    {"code.530", C::kRelayDenied, "530 Rejected", {.code = 530}},
    {"code.535", C::kRelayDenied, "535 Rejected", {.code = 535}},
    {"code.551", C::kMailboxMoved, "551 Rejected", {.code = 551}},
    {"code.552", C::kMailboxFull, "552 Rejected", {.to = Stage::kRcptTo, .code = 552}},
    {"code.552_message", C::kTooLarge, "552 Rejected", {.from = Stage::kData, .code = 552}},
    {"code.555", C::kProtocolError, "555 Rejected", {.code = 555}},
    {"code.556", C::kNullMx, "556 Rejected", {.code = 556}},
    // "550 Rejected" is no evidence against anybody: a recipient is suppressed for a reason, not for a number.
    {"code.4", C::kUndetermined, "450 Rejected", {.code = 4}},
    {"code.5", C::kUndetermined, "550 Rejected"},
};
// clang-format on
static_assert(std::size(kRules) <= kPhraseIdsMax);

}  // namespace

std::span<const Rule> rules() noexcept { return kRules; }

}  // namespace mailsbuddy::bounce

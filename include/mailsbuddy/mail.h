// mail.h - addresses, replies, templates and MIME: what mail is made of, without sending it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

// ---------------------------------------------------------------------------------------------------------------------
// Addresses

inline constexpr std::size_t kLocalPartMax = 64;   // RFC 5321 4.5.3.1.1, octets.
inline constexpr std::size_t kDomainMax = 255;     // RFC 5321 4.5.3.1.2, octets.
inline constexpr std::size_t kAddressMax = 254;    // RFC 5321 4.5.3.1.3 less the angle brackets, octets.

// An RFC 5321 Mailbox (4.1.2): Local-part "@" ( Domain / address-literal ), with RFC 6531 for non-ASCII. Invariants:
// `domain()` is lower case; a non-ASCII domain that IDNA2008 (UTS 46, non-transitional) accepts is kept as its A-label
// form, so domains compare as bytes. The local part keeps the sender's spelling; a quoted string that need not be
// quoted is unquoted. Threads: a value.
class Address {
 public:
  // Errors: kInvalidArgument, with the reason ("local part: two dots in a row").
  static Result<Address> parse(std::string_view text);

  std::string_view local() const noexcept { return std::string_view(text_).substr(0, at_); }    // As on the wire.
  std::string_view domain() const noexcept {  // As on the wire.
    return text_.empty() ? std::string_view() : std::string_view(text_).substr(at_ + 1);
  }
  const std::string& str() const noexcept { return text_; }                                     // local@domain
  bool needs_smtputf8() const noexcept { return smtputf8_; }   // The local part is not ASCII (RFC 6531 3.2).
  bool is_literal() const noexcept { return !domain().empty() && domain().front() == '['; }
  bool operator==(const Address&) const = default;

 private:
  std::string text_;
  std::size_t at_ = 0;
  bool smtputf8_ = false;
};

// A display name with an address: `News <news@brand.example>` (RFC 5322 3.4 name-addr, or a bare addr-spec).
struct NamedAddress {
  std::string name;  // UTF-8, unquoted; empty when there is none.
  Address address;

  static Result<NamedAddress> parse(std::string_view text);
  std::string header_value() const;  // Ready for a header: quoted or RFC 2047-encoded as needed, unfolded.
};

// A mailbox provider, found from MX hosts: "google", "microsoft", "yahoo", ...; for hosts that no provider claims, the
// registrable domain of the MX host ("example.net"). A small string with a meaning, compared as bytes.
struct ProviderId {
  std::string name;
  auto operator<=>(const ProviderId&) const = default;
};

// The provider that runs `mx_host` (a host name, any case). Source: the providers' own MX names; Public Suffix List.
ProviderId provider_of(std::string_view mx_host);
// The provider of a brand ("gmail", "office365"; in lower case). Empty: it is none.
std::string_view provider_of_brand(std::string_view name) noexcept;
// The provider that somebody means by a name that is none's: of a brand ("gmail", "outlook"), or mistyped by a letter.
// Empty: it is a provider's, or may be a host's or a domain's.
std::string_view meant_provider(std::string_view name) noexcept;

// ---------------------------------------------------------------------------------------------------------------------
// Replies and outcomes

// RFC 3463: class "." subject "." detail.
struct EnhancedCode {
  std::uint8_t klass = 0;      // 2, 4 or 5.
  std::uint16_t subject = 0;   // 0 to 999.
  std::uint16_t detail = 0;    // 0 to 999.
  auto operator<=>(const EnhancedCode&) const = default;
  std::string str() const;     // "5.1.1"
};

// One SMTP reply, all its lines (RFC 5321 4.2).
struct Reply {
  int code = 0;                           // 200 to 599; 0: no reply.
  std::optional<EnhancedCode> enhanced;   // From the first line that has one (RFC 2034).
  std::string text;                       // Lines joined by '\n', without codes.

  bool positive() const noexcept { return code >= 200 && code < 400; }
  bool transient() const noexcept { return code >= 400 && code < 500; }
  bool permanent() const noexcept { return code >= 500 && code < 600; }
  std::string str() const;                // "550 5.1.1 No such user", one line for people.
};

// How far one recipient came. In this order.
enum class Stage : std::uint8_t {
  kMake,       // Rendering and signing.
  kRoute,      // DNS.
  kConnect,    // TCP.
  kGreeting,   // The server's 220.
  kEhlo,
  kStartTls,   // The command and the handshake.
  kAuth,
  kMailFrom,
  kRcptTo,
  kData,       // Waiting for 354 or sending the message.
  kFinalDot,   // End of data sent, its reply awaited.
};
std::string_view to_string(Stage stage) noexcept;  // "make", "route", "connect", ..., "final_dot"

// Why an outcome is what it is.
enum class Cause : std::uint8_t {
  kReply,              // The server said so; Outcome::reply has it.
  kTimeout,            // It said nothing in time (RFC 5321 4.5.3.2).
  kConnectionLost,     // Closed or reset by the peer.
  kConnectFailed,      // No MX host took the connection.
  kProtocolError,      // What it said is not SMTP.
  kTlsUnavailable,     // TLS is required, the server does not offer it.
  kTlsFailed,          // The handshake failed.
  kSmtpUtf8Unavailable,
  kTooLarge,           // Larger than the server's SIZE (RFC 1870).
  kEightBitUnavailable,    // Octets above 127, and no 8BITMIME (RFC 6152). See to_seven_bit().
  kRequireTlsUnavailable,  // REQUIRETLS (RFC 8689) is wanted: it is not offered, or the connection's TLS is not verified.
  kAuthUnavailable,        // A login is configured: AUTH is not offered, or no mechanism that it serves.
  kTransactionFull,        // The transaction takes no more recipients: not tried, to be sent at once in another.
  kNoSuchDomain,       // NXDOMAIN, or neither MX nor address.
  kNullMx,             // RFC 7505.
  kMailLoop,           // The domain's best MX host is ourselves (RFC 5321 5.1).
  kProhibitedAddress,  // Its hosts have no addresses but such as mail is never sent to: loopback, private and the like.
  kDnsFailure,         // SERVFAIL or no answer.
  kRenderFailed,
  kSignFailed,
  kSuppressed,
  kExpired,
  kCancelled,
  kOverCap,            // Its egress IPs may send no more for now, and their pool's policy is to fail it.
};
std::string_view to_string(Cause cause) noexcept;  // "reply", "timeout", ...

// What became of one recipient in one attempt. A refusal is data, never an Error.
struct Outcome {
  Stage stage = Stage::kConnect;
  Cause cause = Cause::kReply;
  Reply reply;          // When cause is kReply; for others the last words, if any.
  std::string detail;   // Our own words when cause is not kReply: "connection refused", "certificate has expired".

  bool delivered() const noexcept { return stage == Stage::kFinalDot && cause == Cause::kReply && reply.positive(); }
  // The end of data was sent and no reply was read: the server may have the message or not.
  bool unknown() const noexcept { return stage == Stage::kFinalDot && cause != Cause::kReply; }
  std::string str() const;  // "rcpt_to: 550 5.1.1 No such user", "connect: connect_failed (connection refused)"
};

// ---------------------------------------------------------------------------------------------------------------------
// Content

struct HeaderField {
  std::string name;   // RFC 5322 3.6.8 ftext.
  std::string value;  // UTF-8, unfolded; folded and encoded when written.
};

struct Attachment {
  std::string filename;                                     // UTF-8. Empty: none given.
  std::string content_type = "application/octet-stream";
  std::string data;                                         // Decoded bytes.
  std::string content_id{};                                 // Not empty: an inline image, referred to as cid:content_id.
};

// What a campaign or a message is written from. In templates, every header value, `text` and `html` are template text.
struct Content {
  std::vector<HeaderField> headers;   // Subject, Reply-To and the like; not From, To, Date, Message-ID, MIME headers.
  std::string text;                   // UTF-8; empty: none.
  std::string html;                   // UTF-8; empty: none.
  std::vector<Attachment> attachments;

  // Reads an .eml file: headers, then a text, HTML or multipart body of any depth in any transfer encoding and charset.
  // Errors: kInvalidArgument with the place.
  static Result<Content> parse_eml(std::string_view eml);
};

// One row's merge fields: names come from the column list, values from the row.
// Views: valid as long as what they were made from.
struct Fields {
  std::span<const std::string_view> names;
  std::span<const std::string_view> values;  // Same length as names.
};

// A Content compiled once and rendered per row. The syntax is Liquid (the subset in docs/templates.md): {{ field |
// filter }}, {% if %}, {% unless %}, {% case %}, {% for %}, {% assign %}, {% comment %}, {% raw %}.
// Values are escaped by where they stand: HTML text and attributes, URLs, header values. Templates are hostile input:
// output, loops and nesting are capped, and no file, code or clock is in reach.
// Threads: immutable, render() from any number at once. Ownership: a cheap value (shared).
class Template {
 public:
  struct Limits {
    std::size_t max_output_bytes = 25u << 20;
    std::size_t max_steps = 1'000'000;  // Nodes executed for one row.
    std::size_t max_nesting = 32;
  };

  // Errors: kInvalidArgument naming part, line and column: "html:12:7: {% if %} without {% endif %}".
  static Result<Template> compile(Content content, Limits limits);
  static Result<Template> compile(Content content);

  // Writes a whole message to the end of `out`: `leading_headers` (complete lines with CRLF, may be empty), then the
  // content's headers, MIME headers and bodies. Lines end in CRLF; no line is longer than 998 octets; bodies are 7bit,
  // quoted-printable or base64. Errors: kInvalidArgument or kResourceExhausted; `out` is then as before.
  Result<void> render(const Fields& fields, std::string_view leading_headers, std::string& out) const;

  // The field names that the template reads.
  std::span<const std::string> field_names() const noexcept;

  // What it was compiled from: compile() makes an equal template of them.
  const Content& content() const noexcept;
  const Limits& limits() const noexcept;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

// Writes one complete message from a Content whose values are ready text, not templates. `random` gives the boundary.
// Errors: kInvalidArgument for a header name or value that cannot stand in a header.
Result<std::string> build_message(const Content& content, std::string_view leading_headers, Random& random);

// `message`, complete with its headers, with no octet above 127 in any body (RFC 6152 3): parts that have some become
// quoted-printable, or base64 where that is shorter, and say so; multiparts and message/rfc822 are entered, all else
// stays octet by octet. What a reader decodes is the same. Signatures over what was changed break: sign afterwards.
// Errors: kUnsupported, naming the part: octets above 127 in a header (that takes SMTPUTF8), in a multipart/signed or
// multipart/encrypted, between parts, or in a transfer encoding that has none; structures beyond the limits of a
// reader.
Result<std::string> to_seven_bit(std::string_view message);

// RFC 5322 3.3 date-time in UTC: "Mon, 23 Nov 2026 19:57:48 +0000".
std::string format_date(TimePoint time);

// A header field as complete lines: `name: value` folded at white space to 78 columns where possible and 998 always,
// non-ASCII as RFC 2047 encoded words, ending in CRLF. CR, LF and NUL in the value become spaces: no injection.
std::string format_header(std::string_view name, std::string_view value);

}  // namespace mailsbuddy

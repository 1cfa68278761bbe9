// command_parser.h - one SMTP command line as a receiver reads it.
//
//   command = verb [ SP argument ]                                   ; RFC 5321 4.1.1
//   mail    = "MAIL FROM:" reverse-path *( SP esmtp-param )           ; 4.1.1.2
//   rcpt    = "RCPT TO:" forward-path *( SP esmtp-param )             ; 4.1.1.3
//   path    = "<" [ A-d-l ":" ] mailbox ">"                           ; 4.1.2; the source route is dropped (appendix C)
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mailsbuddy::smtp {

inline constexpr std::size_t kPathMax = 256;  // RFC 5321 4.5.3.1.3, with its angle brackets.

enum class Verb : std::uint8_t {
  kEhlo,
  kHelo,
  kMail,
  kRcpt,
  kData,
  kBdat,
  kRset,
  kNoop,
  kQuit,
  kStartTls,
  kAuth,
  kXclient,
  kVrfy,
  kExpn,
  kHelp,
  kUnknown,
};

struct Command {
  Verb verb = Verb::kUnknown;
  std::string_view argument;  // Without the space before it and trailing ones.
};

// `line`: without its CRLF. Verbs are taken in any letter case (RFC 5321 2.4).
Command parse_command(std::string_view line) noexcept;

struct Path {
  std::string_view mailbox;  // Without angle brackets and source route; empty: the null path.
  bool ascii = true;
};

// Takes `keyword` ("FROM:" or "TO:") and a path off the front of `argument`, and the spaces before the parameters. The
// mailbox is checked so far that it can stand in a header or a log line: no control characters, a local part and a
// domain. `postmaster`: "<Postmaster>" is a mailbox (RFC 5321 4.1.1.3) and "<>" is none. Spaces after the colon are let
// pass: RFC 5321 forbids them and names them a common error, and every large receiver takes them.
std::optional<Path> take_path(std::string_view& argument, std::string_view keyword, bool postmaster) noexcept;

struct Parameter {
  std::string_view keyword;
  std::string_view value;  // Empty also when there is no "=".
};
// Takes the first parameter and the spaces after it off the front of `parameters`, which must not be empty.
Parameter take_parameter(std::string_view& parameters) noexcept;

// Digits alone, at most 20 of them (RFC 1870 4 for SIZE, RFC 3030 2 for BDAT) and within 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view digits) noexcept;

}  // namespace mailsbuddy::smtp

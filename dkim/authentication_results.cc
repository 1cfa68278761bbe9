// RFC 8601 2.2, of which this writes:
//   authres-payload = authserv-id 1*( ";" resinfo ) / authserv-id ";" "none"
//   resinfo   = method "=" result [ comment ] [ "reason=" quoted-string ] *( ptype "." property "=" pvalue )
//   pvalue    = token / quoted-string / [ [ Local-part ] "@" ] domain-name
// The properties of dkim: header.d, .s, .i, .a (2.7.1) and .b (RFC 6008); of arc: header.oldest-pass (RFC 8617 10.2).
#include <fmt/format.h>

#include <algorithm>

#include "core/base/ascii.h"
#include "dkim/reason.h"

namespace mailsbuddy::dkim {
namespace {

constexpr std::string_view kFold = ";\r\n\t";
constexpr std::size_t kValueMax = 320;  // An address has at most 254 octets; what is longer was made to be.

// RFC 2045 5.1: any CHAR but space, controls and tspecials; those that RFC 5322 forbids in dot-atoms are left out too.
bool is_token(std::string_view text) noexcept {
  static constexpr std::string_view kSpecials = "()<>@,;:\\\"/[]?=";
  const auto is_plain = [](char c) { return ascii::is_visible(c) && kSpecials.find(c) == std::string_view::npos; };
  return !text.empty() && std::ranges::all_of(text, is_plain);
}

// What comes from a message may be anything: controls, which no quoted-string may have, become "?", and so does what is
// not ASCII, because not every reader takes UTF-8 there.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text.substr(0, kValueMax)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == ' ' || ascii::is_visible(c) ? c : '?';
  }
  out += '"';
}

void append_value(std::string& out, std::string_view text) {
  if (is_token(text) && text.size() <= kValueMax) {
    out += text;
  } else {
    append_quoted(out, text);
  }
}

// [ [ Local-part ] "@" ] domain-name, its local part quoted where it is no dot-atom.
void append_address(std::string& out, std::string_view address) {
  const std::size_t at = address.rfind('@');
  const std::string_view local = address.substr(0, std::min(at, address.size()));
  if (at == std::string_view::npos || !is_token(address.substr(at + 1)) || address.size() > kValueMax) {
    return append_value(out, address);
  }
  if (!local.empty()) append_value(out, local);
  out += address.substr(at);
}

void append_reason(std::string& out, Reason reason, std::string_view detail) {
  std::string text(describe(reason));
  if (!detail.empty()) text.append(": ").append(detail);
  out += " reason=";
  append_quoted(out, text);
}

void append_property(std::string& out, std::string_view property, std::string_view value) {
  if (value.empty()) return;
  out += fmt::format("\r\n\t header.{}=", property);
  property == "i" ? append_address(out, value) : append_value(out, value);
}

void append_result(std::string& out, const SignatureResult& result) {
  out += fmt::format("{}dkim={}", kFold, to_string(result.status));
  std::string comment;
  if (result.key_bits > 0) comment = fmt::format("{}-bit key", result.key_bits);
  if (result.testing) comment += comment.empty() ? "testing" : ", testing";
  // Whoever reads "pass" should know that text may have been added (RFC 6376 8.2).
  if (result.body_length) comment += fmt::format("{}l={}", comment.empty() ? "" : ", ", *result.body_length);
  if (!comment.empty()) out += fmt::format(" ({})", comment);
  if (result.reason != Reason::kOk) append_reason(out, result.reason, result.detail);
  append_property(out, "d", result.domain);
  append_property(out, "i", result.identity);
  append_property(out, "s", result.selector);
  append_property(out, "a", result.algorithm);
  append_property(out, "b", result.signature_start);
}

}  // namespace

std::string Verification::authentication_results(std::string_view authserv_id) const {
  std::string out;
  append_value(out, authserv_id);
  if (signatures.empty()) out += fmt::format("{}dkim={}", kFold, to_string(status));
  for (const SignatureResult& result : signatures) append_result(out, result);
  return out;
}

std::string ArcVerification::authentication_results(std::string_view authserv_id) const {
  std::string out;
  append_value(out, authserv_id);
  out += fmt::format("{}arc={}", kFold, to_string(status));
  if (instances > 0) out += fmt::format(" (i={})", instances);
  if (status == Status::kFail) append_reason(out, reason, detail);
  if (status == Status::kPass) append_property(out, "oldest-pass", std::to_string(oldest_pass));
  return out;
}

}  // namespace mailsbuddy::dkim

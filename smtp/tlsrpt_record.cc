// tlsrpt_record.cc - RFC 8460 3:
//
//   record = "v=TLSRPTv1" 1*(fdel field) [fdel]     ; fdel = *WSP ";" *WSP
//   field  = "rua=" uri *(*WSP "," *WSP uri) / name "=" value
#include <algorithm>

#include "core/base/ascii.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kUrisMax = 10;        // A report goes to each.
constexpr std::size_t kUriBytesMax = 1000;  // A TXT record may have 64 KB.

std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return ascii::trim(taken);
}

// RFC 3986 2.1. Empty: a "%" that no two digits follow.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? ascii::hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? ascii::hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// RFC 6068, its one recipient: header fields that the URI names are a stranger's, and passed over.
std::optional<Address> mail_address(std::string_view uri) {
  const auto text = percent_decoded(uri.substr(0, uri.find('?')));
  auto address = text ? Address::parse(*text) : Result<Address>(Error{});
  return address ? std::optional(std::move(*address)) : std::nullopt;
}

void take_uri(std::string_view uri, TlsRptRecord& record) {
  constexpr std::string_view kMailto = "mailto:", kHttps = "https://";
  if (uri.size() > kUriBytesMax || record.mailto.size() + record.https.size() >= kUrisMax) return;
  if (!std::ranges::all_of(uri, ascii::is_visible)) return;
  if (ascii::istarts_with(uri, kMailto)) {
    if (auto address = mail_address(uri.substr(kMailto.size()))) record.mailto.push_back(std::move(*address));
  } else if (ascii::istarts_with(uri, kHttps) && uri.size() > kHttps.size()) {
    record.https.push_back(std::string(kHttps) + std::string(uri.substr(kHttps.size())));
  }
}

}  // namespace

std::optional<TlsRptRecord> parse_tlsrpt_record(std::span<const std::string> texts) {
  const auto ours = [](std::string_view text) { return take_until(text, ';') == "v=TLSRPTv1"; };
  if (std::ranges::count_if(texts, ours) != 1) return std::nullopt;  // Several count as none.
  std::string_view rest = *std::ranges::find_if(texts, ours);
  take_until(rest, ';');
  TlsRptRecord record;
  while (!rest.empty()) {
    std::string_view field = take_until(rest, ';');
    if (take_until(field, '=') != "rua") continue;
    while (!field.empty()) take_uri(take_until(field, ','), record);
  }
  if (record.mailto.empty() && record.https.empty()) return std::nullopt;
  return record;
}

}  // namespace mailsbuddy::smtp

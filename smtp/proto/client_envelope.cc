#include "smtp/proto/client_envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "smtp/proto/envelope_parameters.h"
#include "smtp/proto/xtext.h"

namespace mailsbuddy::smtp {
namespace {

// Of what is not in a quoted string.
constexpr bool is_path_fault(char c) noexcept { return c == ' ' || c == '<' || c == '>' || c == '"'; }

bool is_printable(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return ascii::is_visible(c) || c == ' '; });
}

// QCHAR, RFC 6533 3: printable ASCII but what has a meaning in one of the two encodings.
constexpr bool is_qchar(char c) noexcept { return ascii::is_visible(c) && c != '\\' && c != '+' && c != '='; }

std::string_view type_of(std::string_view orcpt) noexcept { return orcpt.substr(0, orcpt.find(';')); }
bool is_utf8_type(std::string_view orcpt) noexcept { return ascii::iequals(type_of(orcpt), "utf-8"); }

// The code point at the front of valid UTF-8, taken off.
std::uint32_t take_code_point(std::string_view& text) noexcept {
  const auto octet = [&text](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t lead = octet(0);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  std::uint32_t point = size == 1 ? lead : lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) point = point << 6U | (octet(i) & 0x3fU);
  text.remove_prefix(size);
  return point;
}

// RFC 6533 3: as it is in a transaction with SMTPUTF8, else "\x{E9}".
void append_utf8_address(std::string_view address, bool smtputf8, std::string& line) {
  while (!address.empty()) {
    const std::string_view rest = address;
    const std::uint32_t point = take_code_point(address);
    if (point < 0x80 ? is_qchar(rest.front()) : smtputf8) {
      line.append(rest.substr(0, rest.size() - address.size()));
    } else {
      fmt::format_to(std::back_inserter(line), "\\x{{{:X}}}", point);
    }
  }
}

}  // namespace

bool has_non_ascii(std::string_view text) noexcept {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0x80) != 0) return true;
  }
  return false;
}

// Path grammar: RFC 5321 4.1.2; a quoted local part may hold anything printable.
std::string_view address_fault(std::string_view address) noexcept {
  if (address.size() > kAddressMax) return "address too long";
  for (const char c : address) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) return "control character in the address";
  }
  std::size_t at = 0;
  if (address.starts_with('"')) {
    for (at = 1; at < address.size() && address[at] != '"'; ++at) {
      if (address[at] == '\\') ++at;
    }
    if (at + 1 >= address.size() || address[at + 1] != '@') return "quoted string without its end in the address";
    ++at;
  }
  const std::string_view rest = address.substr(at);
  return std::ranges::none_of(rest, is_path_fault) ? "" : "space, quote or angle bracket in the address";
}

std::string_view recipient_fault(std::string_view address) noexcept {
  return address.empty() ? "no address" : address_fault(address);
}

std::string_view envid_fault(std::string_view envid) noexcept {
  if (!is_printable(envid)) return "ENVID is not printable";
  std::size_t size = 0;  // As xtext.
  for (const char c : envid) size += c == ' ' || c == '+' || c == '=' ? 3 : 1;
  return size <= kEnvidMax ? "" : "ENVID too long";
}

std::string_view orcpt_fault(std::string_view orcpt) noexcept {
  if (orcpt.empty()) return "";
  const std::string_view type = type_of(orcpt);
  const bool atom = !type.empty() && std::ranges::all_of(type, [](char c) { return ascii::is_alnum(c) || c == '-'; });
  if (!atom || type.size() + 1 >= orcpt.size()) return "ORCPT has no type or no address";
  const std::string_view address = orcpt.substr(type.size() + 1);
  const bool legal = is_utf8_type(orcpt) ? is_valid_utf8(address) && std::ranges::none_of(address, ascii::is_control)
                                         : is_printable(address);
  if (!legal) return "ORCPT is not printable";
  const std::size_t longest = address.size() * (is_utf8_type(orcpt) ? 6 : 3);  // What encoding may make of it.
  return type.size() + 1 + longest <= kOrcptMax ? "" : "ORCPT too long";
}

bool ends_as_data(std::string_view data) noexcept {
  return data == kEndOfData || (data.ends_with(kEndOfData) && data.substr(0, data.size() - 3).ends_with("\r\n"));
}

void append_mail_parameters(const Transaction& transaction, bool smtputf8, const Capabilities& offered,
                            std::string& line) {
  if (offered.size) {
    const fmt::format_int size(transaction.message_bytes);
    line.append(" SIZE=").append(size.data(), size.size());
  }
  if (transaction.eight_bit && offered.eight_bit_mime) line.append(" BODY=8BITMIME");
  if (smtputf8) line.append(" SMTPUTF8");
  if (transaction.require_tls) line.append(" REQUIRETLS");
  if (!offered.dsn) return;
  if (transaction.ret != DsnReturn::kUnspecified) {
    line.append(transaction.ret == DsnReturn::kFull ? " RET=FULL" : " RET=HDRS");
  }
  if (!transaction.envid.empty()) append_xtext(line.append(" ENVID="), transaction.envid);
}

void append_rcpt_parameters(const RecipientDsn& dsn, bool smtputf8, std::string& line) {
  struct Row {
    std::uint8_t bit;
    std::string_view word;
  };
  constexpr std::array kWords = {Row{kNotifySuccess, "SUCCESS"}, Row{kNotifyFailure, "FAILURE"},
                                 Row{kNotifyDelay, "DELAY"}};
  if ((dsn.notify & kNotifyNever) != 0) {
    line.append(" NOTIFY=NEVER");  // It stands alone.
  } else if ((dsn.notify & (kNotifySuccess | kNotifyFailure | kNotifyDelay)) != 0) {
    line.append(" NOTIFY=");
    for (const Row& row : kWords) {
      if ((dsn.notify & row.bit) == 0) continue;
      if (line.back() != '=') line.push_back(',');
      line.append(row.word);
    }
  }
  if (dsn.orcpt.empty()) return;
  const std::string_view type = type_of(dsn.orcpt);
  const std::string_view address = dsn.orcpt.substr(type.size() + 1);
  line.append(" ORCPT=").append(type).push_back(';');
  if (is_utf8_type(dsn.orcpt)) {
    append_utf8_address(address, smtputf8, line);
  } else {
    append_xtext(line, address);
  }
}

}  // namespace mailsbuddy::smtp

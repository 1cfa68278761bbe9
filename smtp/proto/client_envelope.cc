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

// What an octet would do to a path; kInPath: unless it is in a quoted string.
constexpr std::uint8_t kInAny = 1, kInPath = 2;
constexpr std::array<std::uint8_t, 256> kFaults = [] {
  std::array<std::uint8_t, 256> faults{};
  for (std::size_t i = 0; i < 0x20; ++i) faults[i] = kInAny;
  faults[0x7f] = kInAny;
  for (const char c : {' ', '<', '>', '"'}) faults[static_cast<unsigned char>(c)] = kInPath;
  return faults;
}();

std::uint8_t faults_of(std::string_view text) noexcept {
  std::uint8_t faults = 0;
  for (const char c : text) faults |= kFaults[static_cast<unsigned char>(c)];
  return faults;
}

bool is_printable(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return ascii::is_visible(c) || ascii::is_wsp(c); });
}

// RFC 5322 3.2.3, but for what has a meaning in a parameter.
bool is_type(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return ascii::is_alnum(c) || std::string_view("!#$%&'*-/?^_`{|}~").find(c) != std::string_view::npos;
  });
}

// QCHAR, RFC 6533 3: printable ASCII but what has a meaning in one of the two encodings.
constexpr bool is_qchar(char c) noexcept { return ascii::is_visible(c) && c != '\\' && c != '+' && c != '='; }

std::size_t xtext_size(std::string_view text) noexcept {
  const auto encoded =
      std::count_if(text.begin(), text.end(), [](char c) { return !ascii::is_visible(c) || c == '+' || c == '='; });
  return text.size() + 2 * static_cast<std::size_t>(encoded);
}

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

// EmbeddedUnicodeChar at the front, RFC 6533 3; 0: none. Whoever asked for the report may have written it so.
std::size_t embedded_size(std::string_view text) noexcept {
  if (!text.starts_with("\\x{")) return 0;
  const std::size_t end = text.find_first_not_of("0123456789ABCDEF", 3);
  const bool whole = end != std::string_view::npos && text[end] == '}' && end >= 5 && end <= 9;
  return whole ? end + 1 : 0;
}

// RFC 6533 3: as it is in a transaction with SMTPUTF8, else "\x{E9}".
void append_utf8_address(std::string_view address, bool smtputf8, std::string& line) {
  while (!address.empty()) {
    if (const std::size_t size = embedded_size(address); size != 0) {
      line.append(address.substr(0, size));
      address.remove_prefix(size);
      continue;
    }
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

// Path grammar: RFC 5321 4.1.2; a quoted local part may hold anything printable.
std::string_view address_fault(std::string_view address) noexcept {
  if (address.size() > kAddressMax) return "address too long";
  const std::uint8_t faults = faults_of(address);
  if ((faults & kInAny) != 0) return "control character in the address";
  if (faults == 0) return "";
  std::size_t at = 0;
  if (address.starts_with('"')) {
    for (at = 1; at < address.size() && address[at] != '"'; ++at) {
      if (address[at] == '\\') ++at;
    }
    if (at + 1 >= address.size() || address[at + 1] != '@') return "quoted string without its end in the address";
    ++at;
  }
  return faults_of(address.substr(at)) == 0 ? "" : "space, quote or angle bracket in the address";
}

std::string_view recipient_fault(std::string_view address) noexcept {
  return address.empty() ? "no address" : address_fault(address);
}

std::string_view envid_fault(std::string_view envid) noexcept {
  if (!is_printable(envid)) return "ENVID is not printable";
  return xtext_size(envid) <= kEnvidMax ? "" : "ENVID too long";
}

std::string_view orcpt_fault(std::string_view orcpt) {
  if (orcpt.empty()) return "";
  const std::string_view type = type_of(orcpt);
  if (!is_type(type) || type.size() + 1 >= orcpt.size()) return "ORCPT has no type or no address";
  const std::string_view address = orcpt.substr(type.size() + 1);
  if (!is_utf8_type(orcpt)) {
    if (!is_printable(address)) return "ORCPT is not printable";
    return type.size() + 1 + xtext_size(address) <= kOrcptMax ? "" : "ORCPT too long";
  }
  if (!is_valid_utf8(address) || std::ranges::any_of(address, ascii::is_control)) return "ORCPT is not printable";
  if (type.size() + 1 + address.size() * 6 <= kOrcptMax) return "";  // However much of it is to be escaped.
  std::string escaped;
  append_utf8_address(address, false, escaped);
  return type.size() + 1 + escaped.size() <= kOrcptMax ? "" : "ORCPT too long";
}

Result<void> check_dsn(std::string_view envid, std::span<const RecipientDsn> recipients) {
  std::string_view fault = envid_fault(envid);
  for (const RecipientDsn& each : recipients) {
    if (fault.empty()) fault = orcpt_fault(each.orcpt);
  }
  if (fault.empty()) return {};
  return Error{ErrorCode::kInvalidArgument, std::string(fault)};
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

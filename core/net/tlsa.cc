// tlsa.cc - RFC 6698:
//
//   RDATA = usage selector matching data      ; an octet each, and the rest (2.1)
//   text  = 3(1*3DIGIT blanks) 1*(HEXDIG / blank)   ; (2.2)
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "core/net/dns_parse.h"

namespace mailsbuddy::net {
namespace {

constexpr std::size_t kSha256Bytes = 32, kSha512Bytes = 64;
constexpr std::string_view kBlanks = " \t\r\n";

std::optional<std::uint8_t> take_number(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  std::uint8_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.empty() || kBlanks.find(text.front()) == std::string_view::npos) return std::nullopt;
  return number;
}

}  // namespace

std::optional<TlsaRecord> parse_tlsa_data(std::span<const std::uint8_t> data) {
  if (data.size() < 4 || data.size() - 3 > kTlsaBytesMax) return std::nullopt;
  return TlsaRecord{
      .usage = data[0], .selector = data[1], .matching = data[2], .data = std::string(data.begin() + 3, data.end())};
}

Result<TlsaRecord> TlsaRecord::parse(std::string_view text) {
  const Error bad{ErrorCode::kInvalidArgument,
                  fmt::format("\"{}\" is no TLSA record: \"3 1 1\" and a digest in hex", text.substr(0, 80))};
  const auto usage = take_number(text);
  const auto selector = usage ? take_number(text) : std::nullopt;
  const auto matching = selector ? take_number(text) : std::nullopt;
  if (!matching || text.size() > 4 * kTlsaBytesMax) return bad;
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits),
                       [](char c) { return kBlanks.find(c) == std::string_view::npos; });
  auto data = decode_hex(digits);
  if (!data || data->empty() || data->size() > kTlsaBytesMax) return bad;
  return TlsaRecord{*usage, *selector, *matching, std::move(*data)};
}

std::string TlsaRecord::str() const {
  std::string text = fmt::format("{} {} {} ", usage, selector, matching);
  append_hex(text, data);
  return text;
}

bool TlsaRecord::usable() const noexcept {
  if ((usage != 2 && usage != 3) || selector > 1) return false;
  switch (matching) {
    case 0:
      return !data.empty();
    case 1:
      return data.size() == kSha256Bytes;
    case 2:
      return data.size() == kSha512Bytes;
    default:
      return false;
  }
}

}  // namespace mailsbuddy::net

// sts_policy.cc - RFC 8461:
//
//   record = "v=STSv1" *( fdel field ) [fdel] ; fdel = *WSP ";" *WSP     ; (3.1)
//   field  = name "=" value
//   policy = line *( EOL line ) [EOL]         ; EOL = LF / CRLF          ; (3.2)
//   line   = name ":" *WSP value *WSP
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kPolicyBytesMax = 64 * 1024;  // RFC 8461 3.3 suggests it.
constexpr std::size_t kMxPatternsMax = 256;         // Large providers list ten.
constexpr std::size_t kPatternBytesMax = 255;       // Of a domain name, RFC 1035 2.3.4.
constexpr std::uint64_t kMaxAgeMax = 31'557'600;    // RFC 8461 3.2: about a year.
constexpr std::size_t kIdBytesMax = 32;             // RFC 8461 3.1.

// Takes what is before `end` off `text`, and the end.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

// A domain name in A-labels, with "*." before it perhaps.
bool is_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.empty() || text.size() > kPatternBytesMax) return false;
  bool label = false;
  for (const char c : text) {
    if (c == '.' && !label) return false;
    label = c != '.';
    if (label && !ascii::is_alnum(c) && c != '-' && c != '_') return false;
  }
  return label;
}

Error bad(int line, std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("MTA-STS policy, line {}: {}", line, why)};
}

// The fields that have been there: of repeated ones the first counts.
struct Seen {
  bool version = false, mode = false, max_age = false;
};

Result<void> take_version(std::string_view value, int line) {
  if (value != "STSv1") return bad(line, "the version is not STSv1");
  return {};
}

Result<void> take_mode(std::string_view value, int line, StsPolicy& policy) {
  for (const StsMode mode : {StsMode::kNone, StsMode::kTesting, StsMode::kEnforce}) {
    if (value != to_string(mode)) continue;
    policy.mode = mode;
    return {};
  }
  return bad(line, "the mode is not enforce, testing or none");
}

Result<void> take_max_age(std::string_view value, int line, StsPolicy& policy) {
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (value.empty() || value.size() > 10 || error != std::errc() || end != value.data() + value.size())
    return bad(line, "max_age is not up to ten digits");
  policy.max_age = std::chrono::seconds(std::min(seconds, kMaxAgeMax));
  return {};
}

Result<void> take_mx(std::string_view value, int line, StsPolicy& policy) {
  std::string pattern = ascii::to_lower(value);
  if (pattern.ends_with('.')) pattern.pop_back();
  if (!is_pattern(pattern)) return bad(line, "mx is neither a host nor a wildcard");
  if (policy.mx.size() == kMxPatternsMax) return bad(line, fmt::format("more than {} mx", kMxPatternsMax));
  policy.mx.push_back(std::move(pattern));
  return {};
}

Result<void> take_field(std::string_view name, std::string_view value, int line, Seen& seen, StsPolicy& policy) {
  if (name == "version") return std::exchange(seen.version, true) ? Result<void>() : take_version(value, line);
  if (name == "mode") return std::exchange(seen.mode, true) ? Result<void>() : take_mode(value, line, policy);
  if (name == "max_age") return std::exchange(seen.max_age, true) ? Result<void>() : take_max_age(value, line, policy);
  if (name == "mx") return take_mx(value, line, policy);
  return {};  // An extension.
}

}  // namespace

std::string_view to_string(StsMode mode) noexcept {
  static constexpr std::array<std::string_view, 3> kNames = {"none", "testing", "enforce"};
  static_assert(kNames.size() == static_cast<std::size_t>(StsMode::kEnforce) + 1);
  return kNames[static_cast<std::size_t>(mode)];
}

std::string_view to_string(TlsSource source) noexcept {
  static constexpr std::array<std::string_view, 4> kNames = {"default", "override", "sts", "dane"};
  static_assert(kNames.size() == static_cast<std::size_t>(TlsSource::kDane) + 1);
  return kNames[static_cast<std::size_t>(source)];
}

Result<StsPolicy> StsPolicy::parse(std::string_view text) {
  if (text.size() > kPolicyBytesMax) return bad(1, fmt::format("more than {} octets", kPolicyBytesMax));
  if (!is_valid_utf8(text)) return bad(1, "not UTF-8");
  StsPolicy policy;
  Seen seen;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = take_until(text, '\n');
    if (ascii::trim(line).empty()) continue;
    if (line.find(':') == std::string_view::npos) return bad(number, "no colon");
    const std::string_view name = ascii::trim(take_until(line, ':'));
    if (auto taken = take_field(name, ascii::trim(line), number, seen, policy); !taken) return taken.error();
  }
  if (!seen.version) return bad(1, "no version");
  if (!seen.mode) return bad(1, "no mode");
  if (!seen.max_age) return bad(1, "no max_age");
  if (policy.mode != StsMode::kNone && policy.mx.empty()) return bad(1, "no mx");
  return policy;
}

bool StsPolicy::matches(std::string_view host) const noexcept {
  if (host.ends_with('.')) host.remove_suffix(1);
  const std::size_t dot = host.find('.');
  return std::ranges::any_of(mx, [&](const std::string& pattern) {
    if (!pattern.starts_with("*.")) return ascii::iequals(pattern, host);
    return dot != 0 && dot != std::string_view::npos &&
           ascii::iequals(std::string_view(pattern).substr(1), host.substr(dot));
  });
}

std::vector<std::string> StsPolicy::lines() const {
  std::vector<std::string> lines{"version: STSv1", fmt::format("mode: {}", to_string(mode))};
  for (const std::string& pattern : mx) lines.push_back("mx: " + pattern);
  lines.push_back(fmt::format("max_age: {}", max_age.count()));
  return lines;
}

std::optional<std::string> parse_sts_record(std::span<const std::string> texts) {
  const auto ours = [](std::string_view text) { return ascii::trim(take_until(text, ';')) == "v=STSv1"; };
  if (std::ranges::count_if(texts, ours) != 1) return std::nullopt;  // RFC 8461 3.1: several count as none.
  std::string_view rest = *std::ranges::find_if(texts, ours);
  take_until(rest, ';');
  while (!rest.empty()) {
    std::string_view value = ascii::trim(take_until(rest, ';'));
    if (ascii::trim(take_until(value, '=')) != "id") continue;
    value = ascii::trim(value);
    if (value.empty() || value.size() > kIdBytesMax || !std::ranges::all_of(value, ascii::is_alnum))
      return std::nullopt;
    return std::string(value);
  }
  return std::nullopt;
}

}  // namespace mailsbuddy::smtp

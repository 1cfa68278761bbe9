// A filter as text:
//   filter = [ term *( "," term ) ]
//   term   = name "=" value; name = "job" / "account" / "pool" / "domain" / "address" / "provider" / "state" / "age"
//   age    = 1*9DIGIT ( "s" / "m" / "h" / "d" )
#include <fmt/format.h>

#include <charconv>

#include "core/base/ascii.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy {
namespace {

Error invalid(std::string detail) { return {ErrorCode::kInvalidArgument, std::move(detail)}; }

Result<std::chrono::seconds> parse_age(std::string_view text) {
  constexpr std::string_view kUnits = "smhd";
  constexpr std::int64_t kSeconds[] = {1, 60, 3600, 86'400};
  std::int64_t count = 0;
  const std::size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  const std::string_view digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (unit == std::string_view::npos || digits.empty() || digits.size() > 9 || error != std::errc{} || count < 0 ||
      end != digits.data() + digits.size()) {
    return invalid(fmt::format("age '{}': a number and s, m, h or d is expected, as in 2h", text));
  }
  return std::chrono::seconds(std::min<std::int64_t>(count * kSeconds[unit], std::int64_t{86'400} * 366 * 100));
}

Result<std::uint32_t> parse_state(std::string_view name) {
  constexpr std::uint32_t kAll = (1U << spool::kStateCount) - 1;
  if (name == "any") return kAll;
  if (name == "final") return kAll & ~QueueFilter::kOpen;
  if (name == "open") return QueueFilter::kOpen;
  for (std::size_t i = 0; i < spool::kStateCount; ++i) {
    if (spool::to_string(static_cast<spool::State>(i)) == name) return 1U << i;
  }
  return invalid(fmt::format("state '{}': one of queued, claimed, deferred, held, delivered, bounced, suppressed, expired, "
                             "cancelled, failed, open, final, any is expected",
                             name));
}

}  // namespace

Result<QueueFilter> QueueFilter::parse(std::string_view text) {
  QueueFilter filter;
  std::uint32_t states = 0;
  while (!text.empty()) {
    const std::string_view term = text.substr(0, text.find(','));
    text.remove_prefix(std::min(term.size() + 1, text.size()));
    const std::size_t equals = term.find('=');
    if (equals == std::string_view::npos || equals + 1 == term.size()) {
      return invalid(fmt::format("'{}': NAME=VALUE is expected, as in domain=example.net", term));
    }
    const std::string_view name = term.substr(0, equals);
    const std::string value(term.substr(equals + 1));
    if (name == "job" || name == "campaign") {
      filter.job = value;
    } else if (name == "account") {
      filter.account = value;
    } else if (name == "pool") {
      filter.pool = value;
    } else if (name == "domain") {
      filter.domain = ascii::to_lower(value);
    } else if (name == "provider") {
      filter.provider = ascii::to_lower(value);
    } else if (name == "address") {
      auto address = Address::parse(value);
      if (!address) return invalid(fmt::format("address '{}': {}", value, address.error().detail));
      filter.address = address->str();
    } else if (name == "age") {
      auto age = parse_age(value);
      if (!age) return std::move(age).error();
      filter.age_min = *age;
    } else if (name == "state") {
      auto state = parse_state(value);
      if (!state) return std::move(state).error();
      states |= *state;
    } else {
      return invalid(fmt::format("'{}': job, account, pool, domain, address, provider, state or age is expected", name));
    }
  }
  if (states != 0) filter.states = states;
  return filter;
}

}  // namespace mailsbuddy

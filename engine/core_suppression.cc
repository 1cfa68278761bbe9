// Who must not be mailed, as callers keep it.
#include <fmt/format.h>

#include "core/base/ascii.h"
#include "core/base/encoding.h"
#include "engine/core.h"

namespace mailsbuddy {

std::optional<SuppressionReason> parse_suppression_reason(std::string_view name) noexcept {
  for (int i = 0; i <= static_cast<int>(SuppressionReason::kSoftBounces); ++i) {
    if (to_string(static_cast<SuppressionReason>(i)) == name) return static_cast<SuppressionReason>(i);
  }
  return std::nullopt;
}

namespace {

constexpr std::size_t kHashDigits = 64;

bool is_hash(std::string_view address) {
  if (!address.starts_with(spool::kHashedPrefix)) return false;
  address.remove_prefix(spool::kHashedPrefix.size());
  return address.size() == kHashDigits && address.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// As it is looked up. Errors: it is neither an address nor a hash of one.
Result<std::string> normalised(const SuppressionEntry& entry) {
  if (entry.account.find('\0') != std::string::npos) return Error{ErrorCode::kInvalidArgument, "its account holds a NUL"};
  if (entry.address.starts_with(spool::kHashedPrefix)) {
    if (is_hash(entry.address)) return entry.address;
    return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no hash of 64 lower-case digits", entry.address)};
  }
  auto address = Address::parse(entry.address);
  if (!address) return Error{ErrorCode::kInvalidArgument, fmt::format("'{}': {}", entry.address, address.error().detail)};
  return ascii::to_lower(address->str());
}

}  // namespace

Result<bool> Engine::Core::unsuppress(std::string_view account, const Address& address) {
  return spool().unsuppress(account, ascii::to_lower(address.str()));
}

Result<std::uint64_t> Engine::Core::import_suppressions(
    const std::function<std::optional<SuppressionEntry>()>& next) {
  std::optional<Error> bad;
  std::uint64_t number = 0;
  auto count = spool().import_suppressions([&]() -> std::optional<spool::NewSuppression> {
    auto entry = next();
    if (!entry) return std::nullopt;
    ++number;
    auto address = normalised(*entry);
    if (!address) {
      bad = Error{address.error().code, fmt::format("suppression {}: {}", number, address.error().detail)};
      return std::nullopt;
    }
    return spool::NewSuppression{{std::move(entry->account), *std::move(address)},
                                 {.reason = static_cast<std::uint8_t>(entry->suppressed.reason),
                                  .since = entry->suppressed.since == TimePoint{} ? now() : entry->suppressed.since}};
  });
  if (bad) return *bad;
  return count;
}

namespace {

SuppressionEntry entry_of(const spool::NewSuppression& each) {
  return {.account = each.who.account,
          .address = each.who.address,
          .suppressed = {static_cast<SuppressionReason>(each.suppression.reason), each.suppression.since}};
}

}  // namespace

Result<void> Engine::Core::export_suppressions(const std::function<bool(const SuppressionEntry&)>& visit) const {
  return spool().visit_suppressions([&visit](const spool::NewSuppression& each) { return visit(entry_of(each)); });
}

Result<bool> Engine::Core::export_suppressions(std::string& cursor, std::size_t max,
                                               std::vector<SuppressionEntry>& out) const {
  std::vector<spool::NewSuppression> page;
  auto from = decode_hex(cursor);
  if (!from) return Error{ErrorCode::kInvalidArgument, "cursor: that of the page before is expected"};
  auto more = spool().list_suppressions(*from, max, page);
  cursor.clear();
  append_hex(cursor, *from);
  for (const spool::NewSuppression& each : page) out.push_back(entry_of(each));
  return more;
}

}  // namespace mailsbuddy

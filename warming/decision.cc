// Words: of the enumerations, decisions and explanations.
#include <fmt/format.h>

#include <iterator>

#include "mailsbuddy/warming.h"
#include "warming/text.h"

namespace mailsbuddy::warming {
namespace {

template <class Enum, std::size_t N>
std::string_view named(const std::string_view (&names)[N], Enum value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "?";
}

constexpr std::string_view kSubjects[] = {"ip", "total", "site", "campaign", "account", "domain"};
static_assert(std::size(kSubjects) == kSubjectCount);
constexpr std::string_view kOverflows[] = {"warm", "pool", "wait", "send_anyway", "fail"};
constexpr std::string_view kWays[] = {"cold", "warm", "pool", "wait", "cold_anyway", "fail"};
constexpr std::string_view kSignals[] = {"delivered", "deferred",     "rate_limited", "reputation",
                                         "blocked",   "unknown_user", "rejected",     "too_many_connections",
                                         "complaint", "unreachable"};
static_assert(std::size(kSignals) == kSignalKinds);
constexpr std::string_view kDecisions[] = {"advance", "hold", "step_back",    "suspend",  "restart", "cut",
                                           "raise",   "idle", "pause_domain", "operator", "settings"};
constexpr std::string_view kStates[] = {"warm", "warming", "held", "restarting", "suspended", "paused", "pinned"};
constexpr std::string_view kCommands[] = {"pin", "unpin", "pause", "resume", "skip_day", "repeat_day"};

std::string cap_text(std::uint64_t cap) { return cap == kNoCap ? "no cap" : thousands(cap); }

std::string value_text(std::string_view what, std::uint64_t value) {
  if (what == "until") return value == 0 ? "now" : time_text(TimePoint(std::chrono::seconds(value)));
  if (what == "rate") return fmt::format("{} %", value);
  return cap_text(value);
}

std::string condition_text(const Explanation::Condition& each) {
  const auto number = [&](double value) {
    return each.share ? percent(value) : thousands(static_cast<std::uint64_t>(value));
  };
  return fmt::format("    [{}] {} {} {} (now {})\n", each.met ? "x" : " ", each.name,
                     each.at_least ? "at least" : "below", number(each.need), number(each.have));
}

}  // namespace

std::string_view to_string(Subject value) noexcept { return named(kSubjects, value); }
std::string_view to_string(Overflow value) noexcept { return named(kOverflows, value); }
std::string_view to_string(Way value) noexcept { return named(kWays, value); }
std::string_view to_string(SignalKind value) noexcept { return named(kSignals, value); }
std::string_view to_string(DecisionKind value) noexcept { return named(kDecisions, value); }
std::string_view to_string(PaceState value) noexcept { return named(kStates, value); }
std::string_view to_string(Command value) noexcept { return named(kCommands, value); }

std::string Decision::str() const {
  const std::string change =
      old_value == new_value ? fmt::format("{} stays {}", what, value_text(what, new_value))
      : what == "until"      ? fmt::format("until {}", value_text(what, new_value))
                        : fmt::format("{} {} -> {}", what, value_text(what, old_value), value_text(what, new_value));
  return fmt::format("{} {} {}: {} ({}): {}; {}", time_text(time), provider, ip, to_string(kind), rule, seen, change);
}

std::string Explanation::str() const {
  std::string text = fmt::format("{} at {}: {}\n", ip, provider, to_string(state));
  if (!curve.empty()) text += fmt::format("  curve        {}, sending day {} of {}\n", curve, day + 1, days);
  text += fmt::format("  today        {} sent of {}\n", thousands(used), cap_text(cap));
  if (hour_cap != cap)
    text += fmt::format("  this hour    {} sent of {}\n", thousands(used_this_hour), cap_text(hour_cap));
  text += rate > 0 ? fmt::format("  rate         {:.4g} messages a second, {} % of the limit\n", rate, rate_percent)
                   : fmt::format("  rate         unlimited\n");
  text += fmt::format("  connections  {} of {}\n", connections, connections_max);
  text += fmt::format("  next permit  {}\n", next == kNever ? "not before an operator acts" : time_text(next));
  if (state == PaceState::kSuspended) text += fmt::format("  suspended    until {}\n", time_text(suspended_until));
  text += fmt::format("  why          {}\n", why.empty() ? "nothing was decided yet" : why);
  if (!to_advance.empty()) text += fmt::format("  tomorrow     {} if, at the end of today,\n", cap_text(next_cap));
  for (const Condition& each : to_advance) text += condition_text(each);
  if (!settings.empty()) text += "  settings     (default -> provider -> IP -> both)\n";
  for (const Settings::Origin& each : settings)
    text += fmt::format("    {} = {}  {}\n", each.setting, each.value, each.where);
  return text;
}

}  // namespace mailsbuddy::warming

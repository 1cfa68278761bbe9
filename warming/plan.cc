#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

constexpr std::uint32_t kDaysMax = 3'660;  // Ten years: who plans longer has mistyped.
constexpr std::size_t kIpsMax = 100'000;
constexpr double kDaySeconds = 86'400;

Error invalid(std::string_view detail) { return {ErrorCode::kInvalidArgument, std::string(detail)}; }

struct Bound {
  std::uint64_t cap = kNoCap;
  std::string name = "audience";

  void at_most(double limit, std::string_view what) {
    const auto whole = limit >= 1e18 ? kNoCap : static_cast<std::uint64_t>(limit);
    if (whole >= cap) return;
    cap = whole;
    name = what;
  }
};

// What limits allow in a day that is used evenly.
Bound of_limits(const Limits& limits, Duration per_message) {
  Bound bound;
  if (limits.messages_per_second > 0) bound.at_most(limits.messages_per_second * kDaySeconds, "messages_per_second");
  if (limits.messages_per_minute > 0)
    bound.at_most(static_cast<double>(limits.messages_per_minute) * 1'440, "messages_per_minute");
  if (limits.messages_per_hour > 0)
    bound.at_most(static_cast<double>(limits.messages_per_hour) * 24, "messages_per_hour");
  if (limits.messages_per_day > 0) bound.at_most(static_cast<double>(limits.messages_per_day), "messages_per_day");
  if (per_message > Duration(0) && limits.connections < 1'000'000) {
    bound.at_most(limits.connections * kDaySeconds / std::chrono::duration<double>(per_message).count(), "connections");
  }
  return bound;
}

// One IP at one provider.
struct Lane {
  const PlanIp* ip = nullptr;
  Curve curve;
  Bound limits;
  std::uint64_t day = 0;

  Bound today() const {
    Bound bound = limits;
    const std::uint64_t cap = curve.at(day);
    if (cap != kNoCap) bound.at_most(static_cast<double>(cap), fmt::format("curve {}", curve.name));
    if (cap != kNoCap && curve.hour_share > 0) {
      bound.at_most(static_cast<double>(cap) * curve.hour_share * 24 + 0.5, "hourly share");  // Of shares below a 24th.
    }
    return bound;
  }
};

struct Planner {
  const PlanRequest& request;
  const Settings& settings;
  std::int64_t first_day;
  Plan plan{};

  // `left` over the lanes in proportion to what each may.
  void spread(std::uint32_t day, std::string_view provider, std::vector<Lane>& lanes, const std::vector<Bound>& bounds,
              double share, std::uint64_t& left) {
    for (std::size_t i = 0; i < lanes.size() && left > 0; ++i) {
      const bool last = i + 1 == lanes.size();
      const double part =
          share >= 1 || last ? static_cast<double>(bounds[i].cap) : static_cast<double>(bounds[i].cap) * share + 0.5;
      const std::uint64_t messages = std::min({left, bounds[i].cap, static_cast<std::uint64_t>(std::min(part, 1e18))});
      if (messages == 0) continue;
      left -= messages;
      ++lanes[i].day;
      plan.rows.push_back({day, std::string(provider), lanes[i].ip->address, messages, bounds[i].cap,
                           bounds[i].cap == messages ? bounds[i].name : "audience"});
    }
  }

  Plan::Outcome run(const PlanRequest::Part& part) {
    const Thresholds thresholds = settings.thresholds(part.provider);
    std::vector<Lane> lanes;
    for (const PlanIp& ip : request.ips) {
      const Limits limits = settings.limits(part.provider, Subject::kIp, ip.address);
      lanes.push_back({.ip = &ip,
                       .curve = ip.curve ? ip.curve->times(thresholds.curve_multiplier) : Curve{},
                       .limits = of_limits(limits, request.per_message),
                       .day = ip.day});
      Lane& lane = lanes.back();
      const std::uint64_t stands = lane.curve.at(lane.day);
      if (ip.cap < stands && stands != kNoCap && stands > 0) {
        lane.curve = lane.curve.times(static_cast<double>(ip.cap) / static_cast<double>(stands));
      }
    }
    const Bound total = of_limits(settings.limits(part.provider, Subject::kTotal), Duration(0));
    Plan::Outcome outcome{.provider = part.provider.name,
                          .messages = part.messages,
                          .left = part.messages,
                          .finish = kNever,
                          .bound = "audience"};
    std::map<std::string, std::uint32_t> bound_days;
    for (std::uint32_t day = 0; day < request.days_max && outcome.left > 0; ++day) {
      std::vector<Bound> bounds;
      double sum = 0;
      for (const Lane& lane : lanes) {
        bounds.push_back(lane.today());
        sum += static_cast<double>(bounds.back().cap);
      }
      if (total.cap != kNoCap && static_cast<double>(total.cap) < sum) {
        for (Bound& bound : bounds)
          bound = {static_cast<std::uint64_t>(static_cast<double>(bound.cap) * static_cast<double>(total.cap) / sum),
                   "total " + total.name};
        sum = static_cast<double>(total.cap);
      }
      if (sum < 1) break;  // Nothing ever goes: a curve of zeros.
      const auto wanted = static_cast<double>(outcome.left);
      if (wanted > sum) ++bound_days[bounds[0].name];
      spread(day, part.provider.name, lanes, bounds, wanted / sum, outcome.left);
      if (outcome.left > 0) continue;
      outcome.days = day + 1;
      const TimePoint begins = request.zone.day_start(first_day + day);
      const auto length = static_cast<double>((request.zone.day_start(first_day + day + 1) - begins).count());
      outcome.finish = begins + Duration(static_cast<Duration::rep>(std::min(1.0, wanted / sum) * length));
    }
    std::uint32_t most = 0;
    for (const auto& [name, days] : bound_days) {
      if (days > most) outcome.bound = name;
      most = std::max(most, days);
    }
    return outcome;
  }
};

}  // namespace

Result<Plan> plan(const PlanRequest& request) {
  if (request.audience.empty()) return invalid("plan: no audience");
  if (request.ips.empty() || request.ips.size() > kIpsMax) return invalid("plan: no IPs, or too many");
  if (request.days_max == 0 || request.days_max > kDaysMax)
    return invalid(fmt::format("plan: days_max is 1 to {}", kDaysMax));
  if (request.start < TimePoint{}) return invalid("plan: starts before 1970");
  for (const PlanRequest::Part& part : request.audience) {
    if (part.messages > kCurveMessagesMax)
      return invalid(fmt::format("plan: more than {} messages at {}", kCurveMessagesMax, part.provider.name));
  }
  Planner planner{.request = request,
                  .settings = request.settings != nullptr ? *request.settings : Settings::shipped(),
                  .first_day = request.zone.day(request.start)};
  Plan& plan = planner.plan;
  plan.start = request.zone.day_start(planner.first_day);
  plan.finish = plan.start;
  for (const PlanRequest::Part& part : request.audience) {
    plan.providers.push_back(planner.run(part));
    const Plan::Outcome& outcome = plan.providers.back();
    if (outcome.finish < plan.finish || (outcome.messages == 0 && outcome.left == 0)) continue;
    plan.finish = outcome.finish;
    plan.days = std::max(plan.days, outcome.finish == kNever ? request.days_max : outcome.days);
    plan.bound = fmt::format("{}: {}", outcome.provider, outcome.bound);
  }
  std::stable_sort(plan.rows.begin(), plan.rows.end(),
                   [](const Plan::Row& a, const Plan::Row& b) { return a.day < b.day; });
  return std::move(plan);
}

}  // namespace mailsbuddy::warming

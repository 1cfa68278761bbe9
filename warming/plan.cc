#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "mailsbuddy/warming.h"

namespace mailsbuddy::warming {
namespace {

constexpr std::uint32_t kDaysMax = 3'660;  // Ten years: who plans longer has mistyped.
constexpr std::size_t kIpsMax = 100'000;

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

// What limits allow in the `open` part of a day, evenly used.
Bound of_limits(const Limits& limits, Duration per_message, Duration open) {
  const double seconds = std::chrono::duration<double>(open).count();
  Bound bound;
  if (limits.messages_per_second > 0) bound.at_most(limits.messages_per_second * seconds, "messages_per_second");
  if (limits.messages_per_minute > 0)
    bound.at_most(static_cast<double>(limits.messages_per_minute) * seconds / 60, "messages_per_minute");
  if (limits.messages_per_hour > 0)
    bound.at_most(static_cast<double>(limits.messages_per_hour) * seconds / 3'600, "messages_per_hour");
  if (limits.messages_per_day > 0) bound.at_most(static_cast<double>(limits.messages_per_day), "messages_per_day");
  if (per_message > Duration(0) && limits.connections < 1'000'000) {
    bound.at_most(limits.connections * seconds / std::chrono::duration<double>(per_message).count(), "connections");
  }
  if (open <= Duration(0)) bound.at_most(0, "schedule");
  return bound;
}

// One IP at one provider.
struct Lane {
  const PlanIp* ip = nullptr;
  Curve curve;
  Limits limits;
  double hour_share = 0;  // Of the day's cap.
  double hour_floor = 0;
  std::uint64_t day = 0;

  Bound on(bool first_day, Duration open, Duration per_message) const {
    Bound bound = of_limits(limits, per_message, open);
    const std::uint64_t cap = curve.at(day);
    if (cap != kNoCap) {
      const double left = static_cast<double>(cap - std::min(cap, first_day ? ip->used : 0));
      const double hours = std::chrono::duration<double>(open).count() / 3'600;
      bound.at_most(left, fmt::format("curve {}", curve.name));
      bound.at_most(std::max(static_cast<double>(cap) * hour_share, hour_floor) * hours + 0.5, "hourly share");
    }
    return bound;
  }
};

struct Planner {
  const PlanRequest& request;
  const Settings& settings;
  std::int64_t first_day;
  Plan plan{};

  Duration open(TimePoint from, TimePoint to) const {
    return from >= to ? Duration(0) : request.open ? request.open(from, to) : to - from;
  }

  // The moment at which that share of what is open of a day has passed.
  TimePoint when(TimePoint begins, TimePoint ends, double share) const {
    const auto wanted = Duration(static_cast<Duration::rep>(share * static_cast<double>(open(begins, ends).count())));
    if (!request.open) return begins + wanted;
    TimePoint low = begins, high = ends;
    while (high - low > std::chrono::seconds(1)) {
      const TimePoint middle = low + (high - low) / 2;
      (open(begins, middle) < wanted ? low : high) = middle;
    }
    return high;
  }

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

  // What was sent before makes the first day one that counts.
  static void go_on(std::vector<Lane>& lanes) {
    for (Lane& lane : lanes) lane.day = std::max(lane.day, lane.ip->day + (lane.ip->used > 0 ? 1 : 0));
  }

  Plan::Outcome run(const PlanRequest::Part& part) {
    const Thresholds thresholds = settings.thresholds(part.provider);
    std::vector<Lane> lanes;
    for (const PlanIp& ip : request.ips) {
      lanes.push_back({.ip = &ip,
                       .curve = ip.curve ? ip.curve->times(ip.pinned ? 1 : thresholds.curve_multiplier) : Curve{},
                       .limits = settings.limits(part.provider, Subject::kIp, ip.address),
                       .hour_share = thresholds.smoothing / 24,
                       .hour_floor = static_cast<double>(thresholds.hour_floor),
                       .day = ip.day});
      Lane& lane = lanes.back();
      if (lane.curve.hour_share > 0) lane.hour_share = lane.curve.hour_share;
      const std::uint64_t stands = lane.curve.at(lane.day);
      if (ip.cap < stands && stands != kNoCap && stands > 0) {
        lane.curve = lane.curve.times(static_cast<double>(ip.cap) / static_cast<double>(stands));
      }
    }
    const Limits total_limits = settings.limits(part.provider, Subject::kTotal);
    Plan::Outcome outcome{.provider = part.provider.name,
                          .messages = part.messages,
                          .left = part.messages,
                          .finish = kNever,
                          .bound = "audience"};
    std::map<std::string, std::uint32_t> bound_days;
    for (std::uint32_t day = 0; day < request.days_max && outcome.left > 0; ++day) {
      const TimePoint ends = request.zone.day_start(first_day + day + 1);
      const TimePoint opens = std::min(ends, std::max(request.zone.day_start(first_day + day), request.from));
      TimePoint begins = ends;  // When the first of them carries something.
      std::vector<Bound> bounds;
      double sum = 0;
      for (const Lane& lane : lanes) {
        const TimePoint from = std::max(opens, lane.ip->from);
        bounds.push_back(from < ends ? lane.on(day == 0, open(from, ends), request.per_message) : Bound{0, "paused"});
        if (bounds.back().cap > 0) begins = std::min(begins, from);
        sum += static_cast<double>(bounds.back().cap);
      }
      const Bound total = of_limits(total_limits, Duration(0), open(begins, ends));
      if (total.cap != kNoCap && static_cast<double>(total.cap) < sum) {
        for (Bound& bound : bounds)
          bound = {static_cast<std::uint64_t>(static_cast<double>(bound.cap) * static_cast<double>(total.cap) / sum),
                   "total " + total.name};
        sum = static_cast<double>(total.cap);
      }
      const auto wanted = static_cast<double>(outcome.left);
      if (wanted > sum) ++bound_days[std::ranges::max_element(bounds, {}, &Bound::cap)->name];
      if (sum >= 1) spread(day, part.provider.name, lanes, bounds, wanted / sum, outcome.left);
      if (day == 0) go_on(lanes);
      if (sum < 1 || outcome.left > 0) continue;  // A weekend, say.
      outcome.days = day + 1;
      outcome.finish = when(begins, ends, std::min(1.0, wanted / sum));
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

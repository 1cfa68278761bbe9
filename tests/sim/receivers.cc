#include "tests/sim/receivers.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace mailsbuddy::sim {
namespace {

constexpr double kFades = 0.97;  // Of the best day, each day: thirty idle days leave 40 %.
constexpr double kTrustAfterBlock = 0.5;
constexpr double kTrustMin = 0.05;
constexpr double kTrustRegained = 0.1;    // A day without trouble.
constexpr double kComplaintsBad = 0.003;  // Google and Yahoo: never 0.3 %.
constexpr double kKnownIp = 5'000;        // Accepted messages after which nothing is greylisted.
constexpr double kBlockHoursMax = 72;

// The texts are those of docs and postmaster pages, as senders saw them.
constexpr ReceiverPreset kPresets[] = {
    {.name = "gmail-like",
     .provider = "google",
     .first_day = {400, 3'000},
     .growth = {1.4, 2.2},
     .ceiling = {600'000, 3'000'000},
     .hour_share = {0.08, 0.2},
     .patience = {0.5, 1.5},
     .block_hours = {4, 24},
     .complaint_rate = {0.0001, 0.0008},
     .unknown_rate = {0.002, 0.012},
     .noise = {0.0005, 0.003},
     .connections = 10,
     .messages_per_connection = 100,
     .outages_per_day = 0.01,
     .reports_complaints = false,
     .over_hour = "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. "
                  "To protect our users from spam, mail sent from your IP address has been temporarily rate limited.",
     .over_day = "421 4.7.0 This message is suspicious due to the very low reputation of the sending IP address.",
     .blocked = "550 5.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address. "
                "To protect our users from spam, mail sent from your IP address has been blocked.",
     .too_many_connections = "421 4.7.0 Too many connections from your IP address, try again later."},
    {.name = "outlook-like",
     .provider = "microsoft",
     .first_day = {300, 2'000},
     .growth = {1.3, 2.0},
     .ceiling = {400'000, 2'000'000},
     .hour_share = {0.06, 0.15},
     .patience = {0.5, 2.0},
     .block_hours = {12, 48},
     .complaint_rate = {0.0001, 0.001},
     .unknown_rate = {0.002, 0.012},
     .noise = {0.0005, 0.003},
     .connections = 20,
     .messages_per_connection = 100,
     .outages_per_day = 0.01,
     .over_hour = "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. For "
                  "e-mail delivery information see https://postmaster.live.com (S775)",
     .over_day = "451 4.7.651 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. For "
                 "e-mail delivery information, see https://aka.ms/postmaster (S3114)",
     .blocked = "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service "
                "provider since part of their network is on our block list (S3140).",
     .too_many_connections = "451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections."},
    {.name = "yahoo-like",
     .provider = "yahoo",
     .first_day = {1'000, 10'000},
     .growth = {1.5, 2.5},
     .ceiling = {500'000, 2'500'000},
     .hour_share = {0.08, 0.25},
     .patience = {0.3, 1.0},
     .block_hours = {2, 12},
     .complaint_rate = {0.0002, 0.001},
     .unknown_rate = {0.004, 0.015},
     .noise = {0.0005, 0.003},
     .connections = 30,
     .messages_per_connection = 20,
     .outages_per_day = 0.01,
     .over_hour = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user "
                  "complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
     .over_day = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user "
                 "complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
     .blocked = "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed. "
                "See https://postmaster.yahooinc.com/error-codes",
     .too_many_connections = "421 4.7.0 Too many connections from your IP address"},
    {.name = "icloud-like",
     .provider = "apple",
     .first_day = {500, 4'000},
     .growth = {1.4, 2.2},
     .ceiling = {200'000, 1'000'000},
     .hour_share = {0.08, 0.2},
     .patience = {0.5, 1.5},
     .block_hours = {4, 24},
     .complaint_rate = {0.0001, 0.0006},
     .unknown_rate = {0.001, 0.008},
     .noise = {0.0005, 0.003},
     .connections = 10,
     .messages_per_connection = 20,
     .outages_per_day = 0.01,
     .reports_complaints = false,
     .over_hour = "421 4.7.1 Service unavailable, try again later [HCM1]",
     .over_day = "450 4.7.0 Message rate limited due to reputation, try again later [BS02]",
     .blocked = "550 5.7.1 Mail from IP 192.0.2.1 was rejected due to listing in Spamhaus SBL",
     .too_many_connections = "421 4.7.0 Too many connections, try again later"},
    {.name = "small-house",
     .provider = "example.net",
     .first_day = {300, 3'000},
     .growth = {1.3, 2.5},
     .ceiling = {100'000, 600'000},
     .hour_share = {0.08, 0.3},
     .patience = {0.5, 3.0},
     .block_hours = {2, 24},
     .complaint_rate = {0.0001, 0.001},
     .unknown_rate = {0.004, 0.015},
     .noise = {0.001, 0.004},
     .connections = 5,
     .messages_per_connection = 50,
     .outages_per_day = 0.03,
     .greylists = 0.5,
     .over_hour = "450 4.7.1 Error: too much mail from 192.0.2.1",
     .over_day = "451 4.7.1 Your sending rate has exceeded the limit, please slow down",
     .blocked = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked",
     .too_many_connections = "421 4.7.0 Error: too many connections from 192.0.2.1"},
};

}  // namespace

std::span<const ReceiverPreset> receiver_presets() { return kPresets; }

ReceiverModel::ReceiverModel(const ReceiverPreset& preset, std::size_t ips, std::uint64_t seed)
    : preset_(preset), random_(seed), ips_(ips) {
  const auto even = [this](Range range) { return range.low + (range.high - range.low) * random_.unit(); };
  const auto logarithmic = [this](Range range) { return range.low * std::pow(range.high / range.low, random_.unit()); };
  first_day_ = logarithmic(preset.first_day);
  growth_ = even(preset.growth);
  ceiling_ = logarithmic(preset.ceiling);
  hour_share_ = even(preset.hour_share);
  patience_ = even(preset.patience);
  block_hours_ = even(preset.block_hours);
  complaint_rate_ = even(preset.complaint_rate);
  unknown_rate_ = even(preset.unknown_rate);
  noise_ = even(preset.noise);
  day_begins_ = std::chrono::minutes(random_.below(24 * 60));
}

std::string_view ReceiverModel::text(Answer answer) const {
  switch (answer) {
    case Answer::kAccepted:
      return "250 2.0.0 OK";
    case Answer::kOverHour:
      return preset_.over_hour;
    case Answer::kOverDay:
      return preset_.over_day;
    case Answer::kBlocked:
      return preset_.blocked;
    case Answer::kUnknownUser:
      return "550 5.1.1 The email account that you tried to reach does not exist";
    case Answer::kGreylisted:
      return "451 4.7.1 Greylisting in action, please come back later";
    case Answer::kNoise:
      return "451 4.3.0 Mail server temporarily rejected message";
    case Answer::kOutage:
      return "421 4.3.2 System not accepting network messages";
    case Answer::kTooManyConnections:
      return preset_.too_many_connections;
  }
  return {};
}

double ReceiverModel::allowance(std::size_t ip) const {
  const Ip& state = ips_[ip];
  return std::min(ceiling_, std::max(first_day_, growth_ * state.best_day)) * state.trust * domain_trust_;
}

// The expected number, as a whole one: its fraction is the chance of one more.
std::uint64_t ReceiverModel::draw(double expected) {
  return static_cast<std::uint64_t>(std::max(expected, 0.0) + random_.unit());
}

void ReceiverModel::end_day(Ip& ip) {
  ip.best_day = std::max(ip.best_day * kFades, ip.accepted_today);
  const bool complained = ip.accepted_today > 1'000 && ip.complaints_today > kComplaintsBad * ip.accepted_today;
  if (complained) domain_trust_ = std::max(kTrustMin, domain_trust_ * kTrustAfterBlock);
  if (!ip.blocked_today && !complained) ip.trust = std::min(1.0, ip.trust + kTrustRegained);
  ip.accepted_today = ip.refused_today = ip.complaints_today = 0;
  ip.blocked_today = false;
}

void ReceiverModel::roll(TimePoint now) {
  const auto hour = std::chrono::floor<std::chrono::hours>(now.time_since_epoch()).count();
  const auto day = std::chrono::floor<std::chrono::days>(now.time_since_epoch() - day_begins_).count();
  if (hour != hour_) {
    hour_ = hour;
    for (Ip& ip : ips_) ip.accepted_hour = 0;
  }
  if (day == day_) return;
  day_ = day;
  for (Ip& ip : ips_) end_day(ip);
  domain_trust_ = std::min(1.0, domain_trust_ + kTrustRegained / 2);
  if (random_.unit() < preset_.outages_per_day) {
    outage_until_ = now + std::chrono::minutes(60 + random_.below(5 * 60));
  }
}

// Who goes on sending into a block makes it longer.
void ReceiverModel::block(Ip& ip, TimePoint now) {
  const auto length = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::ratio<3600>>(std::min(block_hours_, kBlockHoursMax)));
  if (ip.blocked_until <= now) {
    ip.blocked_until = now + length;
    ip.trust = std::max(kTrustMin, ip.trust * kTrustAfterBlock);
    domain_trust_ = std::max(kTrustMin, domain_trust_ * 0.9);
  } else {
    ip.blocked_until = std::min(ip.blocked_until + length / 4, now + std::chrono::hours(72));
  }
  ip.blocked_today = true;
  ip.refused_today = 0;
}

BatchResult ReceiverModel::send(std::size_t number, std::uint64_t count, bool fresh, int connections, TimePoint now) {
  roll(now);
  Ip& ip = ips_[number];
  BatchResult result;
  const auto put = [&](Answer answer, std::uint64_t n) {
    n = std::min(n, count);
    count -= n;
    result.counts[static_cast<std::size_t>(answer)] += n;
    return n;
  };
  if (out(now)) return put(Answer::kOutage, count), result;
  if (connections > preset_.connections) {
    const double refused = static_cast<double>(connections - preset_.connections) / connections;
    put(Answer::kTooManyConnections, draw(refused * static_cast<double>(count)));
  }
  const double today = allowance(number);
  if (ip.blocked_until > now) {
    ip.refused_today += static_cast<double>(put(Answer::kBlocked, count));
    if (ip.refused_today > 0.1 * today + 100) block(ip, now);
    return result;
  }
  const auto total = static_cast<double>(count);
  if (fresh) put(Answer::kUnknownUser, draw(unknown_rate_ * total));  // What is tried again is known to exist.
  put(Answer::kNoise, draw(noise_ * total));
  if (fresh && ip.accepted_ever < kKnownIp) put(Answer::kGreylisted, draw(preset_.greylists * total));
  const double hour_left = today * hour_share_ - ip.accepted_hour;
  const double day_left = today - ip.accepted_today;
  const auto room = static_cast<std::uint64_t>(std::max(0.0, std::min(hour_left, day_left)));
  const auto accepted = static_cast<double>(put(Answer::kAccepted, room));
  ip.accepted_today += accepted;
  ip.accepted_hour += accepted;
  ip.accepted_ever += accepted;
  const auto complaints = static_cast<double>(draw(complaint_rate_ * accepted));
  ip.complaints_today += complaints;
  if (preset_.reports_complaints) ip.complaints_due += complaints;
  ip.refused_today += static_cast<double>(put(day_left < hour_left ? Answer::kOverDay : Answer::kOverHour, count));
  if (ip.refused_today > patience_ * today + 200) block(ip, now);
  return result;
}

// A third of what is due, each hour or so: users read their mail over the day.
std::uint64_t ReceiverModel::complaints(std::size_t number, TimePoint now) {
  roll(now);
  Ip& ip = ips_[number];
  const auto reported = static_cast<std::uint64_t>(ip.complaints_due / 3 + random_.unit());
  const double taken = std::min(static_cast<double>(reported), ip.complaints_due);
  ip.complaints_due -= taken;
  return static_cast<std::uint64_t>(taken);
}

}  // namespace mailsbuddy::sim

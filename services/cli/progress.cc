#include "services/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "services/cli/say.h"

namespace mailsbuddy::cli {
namespace {

constexpr int kProvidersShown = 12;  // A screen's worth; the rest is summed up.

std::uint64_t final_rows(const CampaignStatus& status) {
  std::uint64_t rows = 0;
  for (std::size_t state = 0; state < spool::kStateCount; ++state) {
    if (spool::is_final(static_cast<spool::State>(state))) rows += status.counts[state];
  }
  return rows;
}

std::string bar(std::uint64_t part, std::uint64_t whole) {
  constexpr std::size_t kWidth = 30;
  const std::size_t full = whole == 0 ? kWidth : static_cast<std::size_t>(part * kWidth / whole);
  return "[" + std::string(full, '#') + std::string(kWidth - full, '.') + "]";
}

std::string one_line(const CampaignStatus& status) {
  const std::uint64_t done = final_rows(status);
  std::string left = status.settled() ? "done" : "time left unknown";
  if (status.finish && !status.settled()) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(*status.finish - SystemClock().now());
    left = human_duration(std::max(seconds, std::chrono::seconds(0))) + " left";
  }
  if (!status.finish_bound.empty()) left += fmt::format(" ({})", status.finish_bound);
  return fmt::format("{} of {} settled  sent {}  waiting to retry {}  bounced {}  {:.0f}/s  {}", done, status.total,
                     status.of(spool::State::kDelivered), status.of(spool::State::kDeferred),
                     status.of(spool::State::kBounced), status.settled_per_second, left);
}

std::string row(std::string_view name, const KindCounts& counts) {
  return fmt::format("{:<28.28} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", name, counts.of(EventKind::kDelivered),
                     counts.of(EventKind::kBounced), counts.of(EventKind::kExpired), counts.of(EventKind::kSuppressed),
                     counts.of(EventKind::kFailed) + counts.of(EventKind::kCancelled), counts.of(EventKind::kDeferred));
}

}  // namespace

std::string human_duration(std::chrono::seconds time) {
  const auto seconds = time.count();
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
  if (seconds < 2 * 86'400) return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86'400, seconds / 3600 % 24);
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::clear_drawn() {
  if (drawn_lines_ > 0) say("\x1b[{}A\x1b[J", drawn_lines_);
  drawn_lines_ = 0;
}

void Progress::show(const CampaignStatus& status, EventLog& log) {
  if (const auto decisions = log.take_decisions(); !decisions.empty()) {
    clear_drawn();
    for (const std::string& each : decisions) say("{}\n", each);
    if (terminal_) next_ = {};  // What was drawn is gone.
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(5));
  if (!terminal_) {
    say("{}\n", one_line(status));
    return;
  }
  std::string screen = bar(final_rows(status), status.total) + " " + one_line(status) + "\n";
  int lines = 1;
  for (const auto& [provider, counts] : log.by_provider()) {
    if (lines++ > kProvidersShown) break;
    screen += fmt::format("  {:<26.26} sent {:>9}  deferrals {:>8}  bounced {:>8}\n", provider,
                          counts.of(EventKind::kDelivered), counts.of(EventKind::kDeferred), counts.of(EventKind::kBounced));
  }
  if (const std::string trouble = log.last_trouble(); !trouble.empty()) {
    screen += fmt::format("  last deferral: {:.90}\n", trouble);
    ++lines;
  }
  clear_drawn();
  std::fputs(screen.c_str(), stderr);
  drawn_lines_ = static_cast<int>(std::count(screen.begin(), screen.end(), '\n'));
}

void Progress::finish() { clear_drawn(); }

std::string summary_table(const CampaignStatus& status, const EventLog& log) {
  std::string table = fmt::format("{:<28} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "provider", "delivered", "bounced",
                                  "expired", "suppressed", "failed", "deferrals");
  const std::string rule(28 + 6 * 11, '-');
  table += rule + "\n";
  KindCounts total;
  const auto providers = log.by_provider();
  for (const auto& [provider, counts] : providers) {
    for (std::size_t kind = 0; kind < kEventKinds; ++kind) total.by_kind[kind] += counts.by_kind[kind];
    table += row(provider, counts);
  }
  table += rule + "\n" + row("total", total);
  const std::uint64_t settled = total.final();
  table += fmt::format("\n{} of {} recipients settled", settled, status.total);
  if (settled < status.total) {
    table += fmt::format(": {} are not (queued {}, on the wire {}, waiting to retry {}, held {})", status.total - settled,
                         status.of(spool::State::kQueued), status.of(spool::State::kClaimed),
                         status.of(spool::State::kDeferred), status.of(spool::State::kHeld));
  }
  table += "\n";
  if (status.late_bounces + status.complaints + status.unsubscribed + status.auto_replies > 0) {
    table += fmt::format("came back by mail: {} late bounces, {} complaints, {} unsubscribed, {} auto-replies\n",
                         status.late_bounces, status.complaints, status.unsubscribed, status.auto_replies);
  }
  return table;
}

std::string summary_json(const std::string& campaign, const CampaignStatus& status, const EventLog& log,
                         const ImportReport& report, double seconds) {
  nlohmann::ordered_json json{{"campaign", campaign},
                              {"accepted", report.accepted},
                              {"refused", report.refused},
                              {"settled", status.settled()}};
  for (std::size_t state = 0; state < spool::kStateCount; ++state) {
    json["recipients"][std::string(spool::to_string(static_cast<spool::State>(state)))] = status.counts[state];
  }
  json["providers"] = nlohmann::ordered_json::object();
  json["came_back"] = {{"late_bounce", status.late_bounces},
                       {"complaint", status.complaints},
                       {"unsubscribed", status.unsubscribed},
                       {"auto_reply", status.auto_replies}};
  for (const auto& [provider, counts] : log.by_provider()) {
    for (std::size_t kind = 0; kind <= static_cast<std::size_t>(EventKind::kHeld); ++kind) {
      json["providers"][provider][std::string(to_string(static_cast<EventKind>(kind)))] = counts.by_kind[kind];
    }
  }
  json["seconds"] = seconds;
  json["delivered_per_second"] = seconds > 0 ? static_cast<double>(status.of(spool::State::kDelivered)) / seconds : 0.0;
  return json.dump();
}

}  // namespace mailsbuddy::cli

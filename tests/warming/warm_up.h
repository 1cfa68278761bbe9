// warm_up.h - a simulated warm-up: new IPs send a great backlog to modelled providers (tests/sim/receivers.h), under a
// strategy. Time goes in steps of five minutes; within a step a lane's messages go in small batches, and each batch's
// replies are learned from before the next.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mailsbuddy::sim {

enum class Strategy : std::uint8_t {
  kController,  // warming::Pacer, adaptive.
  kSendGrid,    // The published caps of an IP over all providers, whatever comes back; evenly spread over each hour.
  kSparkPost,
  kSendGridEach,  // The same caps for each (IP, provider).
  kSparkPostEach,
  kUnthrottled,  // As fast as connections go.
};
inline constexpr Strategy kStrategies[] = {Strategy::kController,   Strategy::kSendGrid,      Strategy::kSparkPost,
                                           Strategy::kSendGridEach, Strategy::kSparkPostEach, Strategy::kUnthrottled};
std::string_view to_string(Strategy strategy) noexcept;

struct WarmUpOptions {
  Strategy strategy = Strategy::kController;
  std::uint64_t seed = 1;
  int days = 60;
  int ips = 4;
  std::uint64_t messages = 50'000'000;
  std::string curve = "adaptive";  // The controller's.
  bool record_decisions = false;
};

struct WarmUpResult {
  std::vector<double> delivered;         // By day, cumulative, in messages.
  std::vector<double> deferrals;         // By day, cumulative.
  std::vector<std::vector<double>> cap;  // The controller's: by provider, of the first IP, by day.
  std::uint64_t lost = 0;                // Refused for good although the address exists, or expired.
  std::uint64_t bounced = 0;             // No such user.
  std::uint64_t stranded = 0;            // Neither at the end.
  double longest_block_hours = 0;        // Of any (IP, provider).
  std::vector<std::string> decisions;

  double delivered_by(int day) const { return delivered[static_cast<std::size_t>(day - 1)]; }
  double deferrals_by(int day) const { return deferrals[static_cast<std::size_t>(day - 1)]; }
};

WarmUpResult warm_up(const WarmUpOptions& options);

}  // namespace mailsbuddy::sim

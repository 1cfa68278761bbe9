// receivers.h - models of mailbox providers for simulated warm-ups: how much each takes from an IP that it has, or has
// not, seen before, in batches of messages and not one by one, so that sixty days and millions of messages take a
// second.
//
// They are MODELS. No provider publishes how it decides. What is published is the shape, and that is what is here:
// volume is granted by history (Google: a sudden doubling may trigger limits; the IP's quota is shared by all its
// domains), what goes beyond is deferred with a text that names the reason, who goes on regardless is blocked
// (Microsoft's S3150 follows ignored 4yz replies), and trust comes back slowly. The numbers are drawn anew for every
// seed from the ranges below, and nothing but the replies tells a sender which were drawn.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy::sim {

struct Range {
  double low = 0;
  double high = 0;
};

// One provider's ranges. What a seed draws from them is hidden from the sender.
struct ReceiverPreset {
  std::string_view name;             // Of the model: "gmail-like".
  std::string_view provider;         // As provider_of() calls it.
  Range first_day;                   // Messages a day from an IP without history. Drawn on a logarithmic scale.
  Range growth;                      // A day's allowance, against the best day of the recent past.
  Range ceiling;                     // Messages a day from one IP, whatever its history. Logarithmic.
  Range hour_share;                  // Of the day's allowance that one hour may bring.
  Range patience;                    // Refused messages, against the day's allowance, that turn deferrals into a block.
  Range block_hours;
  Range complaint_rate;              // Per delivered message.
  Range unknown_rate;                // Addresses that do not exist.
  Range noise;                       // Deferrals for no reason of the sender's.
  int connections = 0;               // At once, from one IP.
  int messages_per_connection = 0;   // Then it closes; the sender reconnects at once.
  double outages_per_day = 0;        // Chance that one begins.
  double greylists = 0;              // Share of first attempts, until the IP is known.
  bool reports_complaints = true;    // A feedback loop; Google has none.
  std::string_view over_hour;        // What it says, beyond the hour's allowance,
  std::string_view over_day;         // beyond the day's,
  std::string_view blocked;          // while blocked,
  std::string_view too_many_connections;
};

// Gmail-, Outlook-, Yahoo-, iCloud-like, and a smaller house that greylists.
std::span<const ReceiverPreset> receiver_presets();

// What became of one kind of message of a batch.
enum class Answer : std::uint8_t {
  kAccepted, kOverHour, kOverDay, kBlocked, kUnknownUser, kGreylisted, kNoise, kOutage, kTooManyConnections,
};
inline constexpr std::size_t kAnswers = 9;

struct BatchResult {
  std::uint64_t counts[kAnswers] = {};
  std::uint64_t of(Answer answer) const noexcept { return counts[static_cast<std::size_t>(answer)]; }
};

// One provider, seen from `ips` egress IPs and one sending domain. Threads: one owner. Time must not go backwards.
class ReceiverModel {
 public:
  ReceiverModel(const ReceiverPreset& preset, std::size_t ips, std::uint64_t seed);

  // `ip` sends `count` messages over `connections`; `fresh`: for the first time.
  BatchResult send(std::size_t ip, std::uint64_t count, bool fresh, int connections, TimePoint now);
  // Complaints about what `ip` sent, that reach the sender now; users complain hours later.
  std::uint64_t complaints(std::size_t ip, TimePoint now);
  std::string_view text(Answer answer) const;         // The reply, its code first.
  bool blocks(std::size_t ip, TimePoint now) const { return ips_[ip].blocked_until > now; }
  double allowance(std::size_t ip) const;             // Today's. For tests of the model alone, never for a sender.

 private:
  struct Ip {
    double best_day = 0;        // Accepted messages: the best recent day, fading.
    double trust = 1;
    double accepted_today = 0;
    double accepted_hour = 0;
    double accepted_ever = 0;
    double refused_today = 0;
    double complaints_today = 0;
    double complaints_due = 0;  // Not yet reported.
    TimePoint blocked_until{};
    bool blocked_today = false;
  };

  void roll(TimePoint now);
  void end_day(Ip& ip);
  void block(Ip& ip, TimePoint now);
  std::uint64_t draw(double expected);
  bool out(TimePoint now) const { return now < outage_until_; }

  const ReceiverPreset& preset_;
  Random random_;
  std::vector<Ip> ips_;
  double domain_trust_ = 1;     // Shared by all IPs.
  double first_day_, growth_, ceiling_, hour_share_, patience_, block_hours_, complaint_rate_, unknown_rate_, noise_;
  Duration day_begins_;         // Its day is not the sender's.
  std::int64_t day_ = -1;
  std::int64_t hour_ = -1;
  TimePoint outage_until_{};
};

}  // namespace mailsbuddy::sim

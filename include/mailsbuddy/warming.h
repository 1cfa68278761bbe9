// warming.h - how much each egress IP may send to each mailbox provider, and when: limits, permits, warm-up curves, and
// the controller that finds the pace a provider accepts and keeps it.
//
// A Pacer is the whole of it for one provider. It is asked when the next message may go, told what went and what came
// back, and says why it decides as it does. The smaller pieces (RateLimiter, Throttle, Curve, Budget) stand alone too.
//
// Threads:   one owner for each object; const objects and values any thread.
// Time:      an argument everywhere. Nothing here reads a clock, a file or a random number.
// Ownership: what is given is copied; string_views are not kept.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mailsbuddy/base.h"
#include "mailsbuddy/mail.h"
#include "mailsbuddy/zone.h"

namespace mailsbuddy::warming {

inline constexpr std::uint64_t kNoCap = std::numeric_limits<std::uint64_t>::max();
inline constexpr TimePoint kNever = TimePoint::max();

// ---------------------------------------------------------------------------------------------------------------------
// Limits

// What a receiver takes. Defaults: those of a receiver about whom nothing is known, from one egress IP. In every number
// but the first four, 0 is "unlimited". Of those per minute, hour and day never more go in *any* span of that length,
// however it lies; their first tenth may go at once, the rest follows evenly.
struct Limits {
  int connections = 10;  // At once.
  int messages_per_connection = 100;
  // As smtp::SessionOptions::messages_in_flight. A provider that shows that it minds has it taken back to 1 for a day.
  int messages_in_flight = 2;
  int recipients_per_transaction = 100;  // RFC 5321 4.5.3.1.8: every receiver takes a hundred.
  double messages_per_second = 100;      // In the long run; with it, `burst` at once after a pause.
  double burst = 10;
  std::uint64_t messages_per_minute = 0;
  std::uint64_t messages_per_hour = 0;
  std::uint64_t messages_per_day = 0;
  std::uint64_t bytes_per_minute = 0;
  std::uint64_t connections_per_minute = 0;  // New ones.

  static Limits unlimited();  // Nothing is limited; connections: INT_MAX.
  bool operator==(const Limits&) const = default;
};

// What a limit is counted for, at one provider.
enum class Subject : std::uint8_t {
  kIp,     // One egress IP.
  kTotal,  // All of them together.
  kSite,   // A set of MX hosts.
  kCampaign,
  kAccount,
  kSenderDomain,  // The domain in the From field.
};
inline constexpr std::size_t kSubjectCount = 6;
std::string_view to_string(Subject subject) noexcept;  // "ip", "total", "site", "campaign", "account", "domain"

// What the controller goes by; each can be set in data, for a provider or an IP. Shares are of attempts (of deliveries
// for complaints), from 0 to 1. Sources of the defaults: docs/warming.md.
struct Thresholds {
  double curve_multiplier = 1;    // Of the curve's daily caps.
  double smoothing = 2;           // An hour may carry this many 24ths of the day's cap, where the curve says nothing.
  std::uint64_t hour_floor = 20;  // But at least these.
  double sent_share = 0.75;       // Of the day's cap that must be used for the day to prove anything.
  double delivered_share = 0.9;   // Of the attempts, to advance.
  double deferral_hold = 0.01;
  double deferral_step_back = 0.03;
  double deferral_suspend = 0.1;
  double bounce_hold = 0.03;
  double bounce_step_back = 0.05;
  double bounce_suspend = 0.1;
  double complaint_hold = 0.001;
  double complaint_step_back = 0.002;
  double complaint_suspend = 0.003;
  double rejection_suspend = 0.2;
  std::uint64_t samples_min = 100;  // Attempts before a share is believed.
  std::uint64_t complaint_samples_min =
      2'000;                            // The same of deliveries: a complaint in a thousand is a matter of chance.
  std::uint64_t reputation_events = 2;  // Replies in an hour that blame the IP's reputation: step back.
  std::uint64_t block_events = 2;       // Blocks in an hour: suspend.
  Duration latency_hold = std::chrono::seconds(60);   // A provider that takes so long for a message is not given more.
  double cut = 0.5;                                   // Cap and rate are multiplied by it,
  double raise = 0.1;                                 // and grow again by this share of the whole
  Duration raise_every = std::chrono::hours(1);       // at most so often.
  Duration suspend_first = std::chrono::minutes(30);  // Then four times that, and so on
  Duration suspend_max = std::chrono::hours(4);       // up to this.
  Duration restart_pause = std::chrono::minutes(10);  // Google, 4.7.28: then one connection, then one more at a time.
  Duration alert_pause =
      std::chrono::hours(24);    // What needs a person is tried again, with one connection, after this.
  std::uint64_t idle_days = 30;  // Without sending: the cap is halved, again for each further 30 days.

  bool operator==(const Thresholds&) const = default;
};

// Limits and thresholds as data: the shipped ones, then whatever the caller adds. A later line of the same rank wins.
// Resolved in this order, each over the one before: default, provider, IP (or other named subject), both.
//   # provider  subject      settings
//   *           ip           connections=10 messages_per_connection=100
//   google      ip           connections=5
//   *           ip:192.0.2.1 messages_per_hour=2k
//   google      ip:192.0.2.1 messages_per_hour=500
//   google      total        messages_per_second=50
//   *           account:acme messages_per_day=1M
//   microsoft   control      deferral_hold=0.5% curve_multiplier=0.5
// `control` is for Thresholds, also `control:192.0.2.1`. Numbers may end in k, M or %; durations in s, m, h or d.
class Settings {
 public:
  Settings() = default;              // Empty: the defaults of Limits and Thresholds alone.
  static const Settings& shipped();  // warming/providers.tsv (docs/limits.md); what add() should be called upon.

  // All or nothing. Errors: kInvalidArgument, "FILE:LINE: what is wrong".
  Result<void> add(std::string_view text, std::string_view file);

  // `name`: the IP, site, campaign, account or domain. Subjects other than an IP have no limits but those in data, and
  // not each of them: of which subjects a setting is, docs/limits.md says.
  Limits limits(const ProviderId& provider, Subject subject = Subject::kIp, std::string_view name = {}) const;
  Thresholds thresholds(const ProviderId& provider, std::string_view ip = {}) const;
  bool any(Subject subject) const noexcept;  // Some line is about it.
  bool any(Subject subject, std::string_view setting) const noexcept;

  // Which line decided each setting that is not at its default.
  struct Origin {
    std::string setting;
    std::string value;  // As it was written.
    std::string where;  // "providers.tsv:12, for google"
  };
  std::vector<Origin> origins(const ProviderId& provider, Subject subject, std::string_view name) const;

 private:
  struct Line {
    std::string provider;      // "*": any.
    std::uint8_t subject = 0;  // A Subject, or kControl.
    std::string name;          // Empty: any.
    std::uint8_t field = 0;
    double value = 0;
    std::string written;
    std::string where;
  };
  static constexpr std::uint8_t kControl = kSubjectCount;
  static Result<void> parse_line(std::string_view text, std::vector<Line>& lines);
  template <class Visit>
  void resolve(std::string_view provider, std::uint8_t subject, std::string_view name, Visit visit) const;
  std::vector<Line> lines_;
};

// Settings::shipped().limits(provider).
Limits default_limits(const ProviderId& provider);

// Paces events exactly: GCRA (ITU-T I.371 annex A), in nanoseconds: one time stamp, no counters. No clock inside.
// Threads: one owner. A value: 24 octets.
class RateLimiter {
 public:
  RateLimiter() = default;                                // Unlimited.
  RateLimiter(double per_second, double burst) noexcept;  // per_second 0: unlimited; burst at least 1.
  // Never more than `count` in any half-open span of `period`, `burst` of them at once. count 0: unlimited. `burst` at
  // least 1 and at most `count`; as it is spent in advance, the long run is count - burst + 1 a period.
  static RateLimiter window(std::uint64_t count, Duration period, std::uint64_t burst) noexcept;

  // When `n` events conform; `now` or earlier: at once. More than the burst conform when nothing is owed.
  TimePoint next(TimePoint now, std::uint64_t n = 1) const noexcept;
  // When the last of `n` events conforms that go one by one, each as soon as it may.
  TimePoint nth(TimePoint now, std::uint64_t n) const noexcept;
  void take(TimePoint now, std::uint64_t n = 1) noexcept;  // Conforming or not: the debt is remembered.
  void refund(std::uint64_t n = 1) noexcept;               // Takes back a take().
  // As after a burst: nothing goes before an interval has passed. A process that does not know what went before it
  // began keeps every window so, whatever that was.
  void exhaust(TimePoint now) noexcept;
  void change(const RateLimiter& to, TimePoint now) noexcept;  // Another pace; what is owed is owed in its terms.
  bool unlimited() const noexcept { return interval_.count() == 0; }
  bool at_rest(TimePoint now) const noexcept { return unlimited() || theoretical_arrival_ <= now; }  // Nothing is owed.

 private:
  Duration interval_{0};
  Duration tolerance_{0};
  TimePoint theoretical_arrival_{};
};

// The permits of one subject: all of Limits that is counted over time. Threads: one owner. A value: under 200 octets,
// and nothing to be done while it waits.
class Throttle {
 public:
  Throttle() = default;  // Unlimited.
  explicit Throttle(const Limits& limits) noexcept;

  TimePoint next(TimePoint now, std::uint64_t bytes = 0) const noexcept;  // When a message may go; `now`: at once.
  TimePoint next_bytes(TimePoint now, std::uint64_t bytes) const noexcept {  // The same, of octets alone.
    return std::max(now, bytes_.next(now, bytes));
  }
  TimePoint nth(TimePoint now, std::uint64_t n) const noexcept;           // When the n-th from now on may, whatever its size.
  bool at_rest(TimePoint now) const noexcept;  // As if nothing had ever been taken: it may be made anew.
  void take(TimePoint now, std::uint64_t bytes = 0, std::uint64_t messages = 1) noexcept;
  bool try_take(TimePoint now, std::uint64_t bytes = 0) noexcept;  // Both, if next() is now.
  void refund(std::uint64_t bytes = 0) noexcept;
  TimePoint next_connection(TimePoint now) const noexcept { return std::max(now, connections_.next(now)); }
  void take_connection(TimePoint now) noexcept { connections_.take(now); }
  void change(const Limits& limits, TimePoint now) noexcept;  // While running.
  void exhaust(TimePoint now) noexcept;

 private:
  RateLimiter second_, minute_, hour_, day_, bytes_, connections_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Curves

inline constexpr std::size_t kCurveDaysMax = 1'000;  // Longer than any plan; bounds what a formula makes.
inline constexpr std::uint64_t kCurveMessagesMax = 1'000'000'000'000;  // A day. Sums stay far from 64 bits.

// A warm-up curve: sending day -> messages that day. The last value persists; an empty curve has no cap.
struct Curve {
  std::string name;
  std::vector<std::uint64_t> daily;
  double hour_share = 0;  // Of the day's cap that one hour may carry; 0: it does not say.

  // "sendgrid", "sparkpost", "ses", "growth", "conservative", "aggressive" (docs/warming.md has numbers and sources).
  // Errors: kNotFound with the names there are.
  static Result<Curve> preset(std::string_view name);
  // A preset's name; or a list, "200,500,1k,2k"; or a formula, "start=50 growth=1.4 ceiling=50k [hold=DAYS]": after
  // spaces options may follow: "x0.5" multiplies, "hour=0.1" is the share of an hour. Errors: kInvalidArgument,
  // kNotFound: what is wrong and where.
  static Result<Curve> parse(std::string_view text);

  std::uint64_t at(std::uint64_t day) const noexcept;  // kNoCap: no cap.
  Curve times(double factor) const;                    // Every day, at least 1 where it was.
};

struct CurvePreset {
  std::string_view name;
  std::string_view about;
  std::string_view source;
};
std::span<const CurvePreset> curve_presets() noexcept;

// Counts the messages of one (egress IP, provider) by calendar day against a curve. A sending day is a calendar day on
// which something was sent; days without sending do not advance the curve. Threads: one owner. Invariants: a calendar
// day is granted at most once, wherever the clock jumps: days granted are remembered, and a day that comes again grants
// nothing.
class Budget {
 public:
  Budget() = default;  // No cap.
  explicit Budget(Curve curve, Zone zone = {});  // `zone`: where days begin.

  // How many may still go now, this hour and today. kNoCap: no cap.
  std::uint64_t left(TimePoint now);
  bool used_up(TimePoint now);                           // The cap of the day or the hour, whatever snapshots cover.
  void take(TimePoint now, std::uint64_t n = 1);         // At attempt.
  void refund(TimePoint taken_at, std::uint64_t n = 1);  // The attempt did not reach RCPT.
  TimePoint next(TimePoint now);                         // When left() is not 0: `now`, the next hour or day.
  TimePoint next_day(TimePoint now);                     // When the next day begins.
  std::uint64_t day() const noexcept { return day_; }    // Sending day, from 0.
  std::uint64_t used() const noexcept { return used_; }  // Today.
  std::uint64_t used_this_hour() const noexcept { return used_hour_; }
  std::uint64_t cap() const noexcept;  // Today's; kNoCap: none.
  std::uint64_t hour_cap() const noexcept;
  const Curve& curve() const noexcept { return curve_; }

 private:
  friend class Pace;
  struct Span {
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  static constexpr std::int64_t kNoDay = -1'000'000'000;
  static constexpr std::size_t kSpansMax = 4;  // Older ones become one: days between them count as granted.

  // The calendar day of a moment, and the hours that have passed of it: 23 to 25 of them, as clocks are put.
  struct Today {
    std::int64_t day = kNoDay;
    TimePoint begins{};
    TimePoint ends{};
    bool holds(TimePoint at) const noexcept { return begins <= at && at < ends; }
    std::int64_t hour(TimePoint at) const noexcept { return (at - begins) / std::chrono::hours(1); }
  };
  const Today& today(TimePoint now);
  bool granted(std::int64_t day) const noexcept;
  void grant(std::int64_t day);
  bool roll(TimePoint now);  // True: a new day has begun. day_closed_ then tells of the one before.
  void step_back_after_idleness(std::int64_t today);

  Curve curve_;
  Zone zone_;
  Today today_;            // As of the last look.
  bool advances_ = true;   // By itself; else the controller moves day_.
  double hour_share_ = 0;  // Of cap(); 0: no hourly cap.
  double pace_ = 1;        // Of the hourly cap; the controller's.
  std::uint64_t hour_floor_ = 1;
  std::uint64_t idle_days_ = 30;
  std::uint64_t ceiling_ = kNoCap;  // The controller's, below the curve.
  std::uint64_t pinned_ = kNoCap;   // The operator's, instead of both.
  std::uint64_t covered_ = kNoCap;  // used_ up to which a snapshot stands for.
  std::uint64_t unsure_ = 0;        // Of used_: counted by a snapshot ahead, perhaps never sent.
  std::uint64_t day_ = 0;
  std::uint64_t used_ = 0;
  std::uint64_t used_hour_ = 0;
  std::int64_t hour_ = 0;  // Of calendar_day_, from 0. As time goes, not as the clock on the wall: none comes twice.
  std::int64_t calendar_day_ = kNoDay;
  std::int64_t last_sent_ = kNoDay;
  std::uint64_t closed_used_ = 0;  // Of the day before, which roll() closed.
  std::uint64_t closed_cap_ = 0;
  std::uint64_t idle_steps_ = 0;  // Halvings for idleness at the last roll().
  std::vector<Span> spans_;       // Granted days, in order.
};

// ---------------------------------------------------------------------------------------------------------------------
// Overflow: what the cold IPs of a pool do not take

enum class Overflow : std::uint8_t {
  kWarmIps,     // The pool's warm IPs take it.
  kNamedPool,   // Another pool does.
  kWait,        // Until a cold IP has a permit.
  kSendAnyway,  // Over a cold IP, above its cap. SparkPost does so; it is what warming is meant to avoid.
  kFail,        // The recipient fails, with this as the reason.
};
std::string_view to_string(Overflow overflow) noexcept;  // "warm", "pool", "wait", "send_anyway", "fail"

struct OverflowPolicy {
  Overflow when = Overflow::kWarmIps;
  std::string pool{};                          // Of kNamedPool.
  Duration hold_max = std::chrono::hours(24);  // The longest wait for a permit, so that nothing is stranded; then
  Overflow then = Overflow::kSendAnyway;       // this. kWait: until the message expires.
};

struct OverflowFacts {
  bool cold_permit = false;  // A cold IP of the pool may send now, and the recipient is for it.
  bool warm_permit = false;  // A warm one may.
  bool has_warm = false;     // The pool has warm IPs, able or not.
  bool pool_permit = false;  // The named pool has an IP that may.
  bool retry = false;        // A cold IP has tried this message: the next attempt goes warm if it can.
  Duration waited{};         // Since the recipient could first have gone.
};

enum class Way : std::uint8_t { kCold, kWarm, kNamedPool, kWait, kColdAnyway, kFail };
std::string_view to_string(Way way) noexcept;

// Which way a recipient goes now.
Way choose(const OverflowPolicy& policy, const OverflowFacts& facts) noexcept;

// Which recipients a cold IP is for: those who reacted lately, since only they show a provider that the mail is wanted.
struct EngagedOnly {
  std::string field =
      "days_since_click";  // A row's field: a whole number of days. Missing, empty or no number: not engaged.
  struct Phase {
    std::uint64_t from_day = 0;  // Sending day.
    std::uint64_t days_max = 0;
  };
  // SparkPost: engaged in the last 30 days in weeks 1 and 2, 60 in weeks 3 and 4, 90 up to week 6; then anybody.
  std::vector<Phase> phases{{0, 30}, {14, 60}, {28, 90}, {42, kNoCap}};

  bool admits(std::uint64_t sending_day, std::string_view value) const noexcept;
};

// ---------------------------------------------------------------------------------------------------------------------
// What is learned from

enum class SignalKind : std::uint8_t {
  kDelivered,
  kDeferred,     // 4yz, for a reason that is not known, or not ours. In great shares it slows the pace down.
  kRateLimited,  // Too fast.
  kReputation,   // 4yz or 5yz that blames the standing of the IP or the domain.
  kBlocked,      // Refused for being us: block lists and blocks.
  kUnknownUser,  // No such recipient.
  kRejected,     // Another 5yz.
  kTooManyConnections,
  kComplaint,
  kUnreachable,  // No connection, or it was lost: an outage. Blames nobody.
};
inline constexpr std::size_t kSignalKinds = 10;
std::string_view to_string(SignalKind kind) noexcept;  // "delivered", ...

enum class SignalScope : std::uint8_t { kIp, kSenderDomain, kRecipient, kHost };

// What came back for `count` messages. The engine makes it of a verdict.
struct Signal {
  SignalKind kind = SignalKind::kDelivered;
  SignalScope scope = SignalScope::kIp;  // A deferral that concerns the recipient alone changes nobody's pace.
  std::uint64_t count = 1;
  bool slow_restart = false;         // Stop for restart_pause, then one connection, then one more at a time.
  bool needs_operator = false;       // A person must act (delisting, PTR): stop for alert_pause or until resumed.
  Duration pause{};                  // What this reply is known to ask for; 0: the controller decides.
  Duration latency{};                // Of a delivery: from MAIL FROM to its last reply.
  std::string_view sender_domain{};  // Of kSenderDomain. The From domain.
  std::string_view rule{};           // Which rule of the classifier, for the decision's text.
};

// ---------------------------------------------------------------------------------------------------------------------
// Decisions

enum class DecisionKind : std::uint8_t {
  kAdvance,
  kHold,
  kStepBack,
  kSuspend,
  kRestart,
  kCut,
  kRaise,
  kIdle,
  kPauseDomain,
  kOperator,
  kSettings,
};
std::string_view to_string(DecisionKind kind) noexcept;  // "advance", ...

// One decision of the controller or the operator, and what it rests on.
struct Decision {
  DecisionKind kind = DecisionKind::kHold;
  TimePoint time{};
  std::string provider;
  std::string ip;               // Or the sending domain of kPauseDomain.
  std::string rule;             // "deferral_step_back", "sent_share", "slow_restart", "operator.pause", ...
  std::string seen;             // The numbers: "deferred 5.2 % of 1204, step back at 3 %".
  std::string what;             // What changed: "daily cap", "rate", "connections", "until".
  std::uint64_t old_value = 0;  // In messages, percent, connections, or Unix seconds.
  std::uint64_t new_value = 0;

  std::string str() const;  // One line for a person.
};

enum class PaceState : std::uint8_t { kWarm, kWarming, kHeld, kRestarting, kSuspended, kPaused, kPinned };
std::string_view to_string(PaceState state) noexcept;  // "warm", "warming", ...

// Why an IP sends to a provider as it does. Figures of today in the budget's time zone.
struct Explanation {
  std::string provider;
  std::string ip;
  PaceState state = PaceState::kWarm;
  bool pinned = false;     // Also while it is suspended or paused.
  std::string curve;       // Its name; empty: none.
  std::uint64_t day = 0;   // Sending day, from 0.
  std::uint64_t days = 0;  // Of the curve.
  std::uint64_t cap = kNoCap;
  std::uint64_t hour_cap = kNoCap;
  std::uint64_t used = 0;
  std::uint64_t used_this_hour = 0;
  std::uint64_t next_cap = kNoCap;  // Tomorrow's, if all below is met.
  double rate = 0;                  // Messages a second; 0: unlimited.
  int rate_percent = 100;           // Of the limit.
  int connections = 0;              // Now; of
  int connections_max = 0;          // these.
  TimePoint next{};                 // The next permit; kNever: an operator must act.
  TimePoint suspended_until{};
  std::string why;  // The last decision, for a person; empty: none yet.
  struct Condition {
    std::string name;  // "sent today"
    double have = 0;
    double need = 0;
    bool share = false;    // Shares of 1; else counts.
    bool at_least = true;  // Else at most.
    bool met = false;
  };
  std::vector<Condition> to_advance;  // What must hold at the end of today.
  std::vector<Settings::Origin> settings;

  std::string str() const;  // Some lines for a person.
};

// ---------------------------------------------------------------------------------------------------------------------
// Pacer

// An egress IP as the room sees it.
struct PacedIp {
  std::string address;
  std::optional<Curve> curve{};  // Empty: fully warm.
  std::uint64_t day = 0;         // Where on the curve it stands; a snapshot knows better.
};

struct PacerOptions {
  ProviderId provider;                         // Required.
  std::vector<PacedIp> ips;                    // At least one. Required. Known by their position from then on.
  std::shared_ptr<const Settings> settings{};  // Null: the shipped ones.
  Zone zone{};                                 // Where days begin.
  bool adaptive = true;                        // False: curves and limits alone, whatever comes back.
  TimePoint started{};                         // Not 0: what went before is not known, so no burst goes at once.
};

// A message that wants a permit. Names that no setting is about cost nothing.
struct Draw {
  std::uint64_t bytes = 0;
  std::string_view site{};
  std::string_view campaign{};
  std::string_view account{};
  std::string_view sender_domain{};
};

enum class Command : std::uint8_t {
  kPin,  // The daily cap is `value` until unpinned, whatever comes back.
  kUnpin,
  kPause,
  kResume,     // Also ends a suspension.
  kSkipDay,    // On to the curve's next day, now.
  kRepeatDay,  // Today does not count.
};
std::string_view to_string(Command command) noexcept;  // "pin", ...

class Pace;  // One egress IP at the provider. Inside.

// All egress IPs at one mailbox provider: permits, budgets, the controller.
// Threads: one owner, the provider's. Cost: next() and take() together some 50 ns, learn() some 20.
// Memory: some 1.2 KB an IP.
// Crashes: a snapshot counts `ahead` of what it has seen as sent, so that what is restored never grants again what was
// granted before the crash; and grants stop at what the last snapshot covers, if one was ever made. Make it durable
// with what is made durable before a message goes, whenever snapshot_due().
class Pacer {
 public:
  explicit Pacer(PacerOptions options);
  ~Pacer();
  Pacer(Pacer&&) noexcept;
  Pacer& operator=(Pacer&&) noexcept;

  // When a message may go over IP number `ip`: `now`, or the exact time; kNever: not before an operator acts.
  TimePoint next(std::size_t ip, const Draw& draw, TimePoint now);
  void take(std::size_t ip, const Draw& draw, TimePoint now, std::uint64_t messages = 1);  // At attempt.
  void refund(std::size_t ip, const Draw& draw, TimePoint taken_at);                       // It did not reach RCPT.
  // The same above the cap of the day and the hour (Overflow::kSendAnyway): limits, pauses and suspensions stand.
  TimePoint next_over_cap(std::size_t ip, const Draw& draw, TimePoint now);
  // When the limits of octets of the IP, and over all IPs, let a message of that size go: who asks next() before there
  // is a message asks this as well.
  TimePoint next_bytes(std::size_t ip, std::uint64_t bytes, TimePoint now) const;
  // Its cap of this hour or day is used up, or it is suspended or paused: what it does not take is overflow.
  bool exhausted(std::size_t ip, TimePoint now);
  std::uint64_t left(std::size_t ip, TimePoint now);  // Of this hour and day; kNoCap: no cap. Not the rate.
  double rate(std::size_t ip) const;                  // Messages a second as of now; 0: unlimited.
  std::uint64_t used(TimePoint now);                  // Today over all IPs.

  // Names apart from the IPs: limits of site, campaign, account and sending domain, and pauses of a sending domain. A
  // sender that makes messages ahead asks here before it does, and holds a place for each until it is sent or given
  // back, so that no more are made than may go. next() has the last word when it is sent.
  bool any_names(TimePoint now) const noexcept;  // False: there are none, and the others have nothing to say.
  // For one more than have a place; bytes are not looked at. While connections() of a name are taken, a second later.
  TimePoint next_named(const Draw& draw, TimePoint now);
  TimePoint next_joining(const Draw& draw, TimePoint now);  // The same for a further recipient of a message that is made.
  void hold(const Draw& draw, TimePoint now);
  void let_go(const Draw& draw, TimePoint now);
  TimePoint blocked_until(const Draw& draw, TimePoint now);  // By names alone, for one that has a place; with its bytes.

  int connections(std::size_t ip, TimePoint now);  // That may be open at once, now.
  TimePoint next_connection(std::size_t ip, std::string_view site, TimePoint now);
  void take_connection(std::size_t ip, std::string_view site, TimePoint now);
  int connections_max(Subject subject, std::string_view name) const;  // Of kTotal and kSite, at once; INT_MAX: no limit.
  // Of a campaign, account or From domain with a limit of connections no more messages are made or under way than
  // those, so that no more carry it. Who makes one asks next_named(), and keeps what is given here until it has ended.
  // Empty: all are taken; without elements: nothing limits it so.
  using Places = std::vector<std::shared_ptr<const void>>;
  bool any_places() const noexcept;
  std::optional<Places> places(const Draw& draw, TimePoint now);
  int messages_per_connection(std::size_t ip, std::string_view site) const;
  // The same of a campaign, account or From domain: counts a message on a connection that has carried what `carried`
  // says. True: it has carried all that it may of one of them, so no more follows on it.
  using Carried = std::map<std::string, int, std::less<>>;
  bool carry(Carried& carried, const Draw& draw, TimePoint now);
  // New connections for the mail of a campaign, account or From domain: when the next may be opened because that waits.
  // What is open anyway carries it. Empty: none of them has such a limit.
  std::optional<TimePoint> next_opening(const Draw& draw, TimePoint now);
  void take_opening(const Draw& draw, TimePoint now);
  bool any_openings() const noexcept;  // False: next_opening() is empty for all.
  int recipients_per_transaction(std::size_t ip, const Draw& draw) const;
  const Limits& limits(std::size_t ip) const;  // As resolved; what the controller makes of them is above.
  bool cold(std::size_t ip) const;             // On a curve whose end it has not reached.
  std::uint64_t sending_day(std::size_t ip) const;
  std::uint64_t delivered_lately(std::size_t ip, TimePoint now);  // Today and on the sending day before.

  void learn(std::size_t ip, const Signal& signal, TimePoint now);
  TimePoint domain_paused_until(std::string_view sender_domain) const;  // On all IPs; the epoch: not paused.
  bool any_decisions() const noexcept;     // That take_decisions() would give.
  std::vector<Decision> take_decisions();  // Since the last call; at most kDecisionsMax are kept.

  // Errors: kNotFound, kInvalidArgument.
  Result<void> command(std::string_view ip, Command command, TimePoint now, std::uint64_t value = 0);
  Result<void> resume_domain(std::string_view sender_domain, TimePoint now);  // kNotFound: it is not paused.
  Result<Explanation> explain(std::string_view ip, TimePoint now);
  void change(std::shared_ptr<const Settings> settings, TimePoint now);  // While running.

  std::string snapshot(TimePoint now);  // Versioned bytes. What they cover may go from now on.
  bool snapshot_due() const;
  // The same in two steps, for who can not wait for the disk: what stage_snapshot() covers goes after
  // snapshot_stored().
  std::string stage_snapshot(TimePoint now);
  void snapshot_stored();
  void require_snapshots();  // From now on nothing on a curve goes that none covers.
  // Into a Pacer that has sent nothing. IPs are matched by address; those it does not have are kept as they are for the
  // next snapshot: an IP that is taken out and put back goes on where it was, and no day of it is granted again.
  // Errors: kInvalidArgument: not a snapshot, damaged, another provider's; kUnsupported: of a later version.
  Result<void> restore(std::string_view snapshot, TimePoint now);

  // Nothing is owed or paused, nothing waits to be taken, and what replies said lately is an hour old: it may be
  // forgotten. What it knows besides, it knows again from last_snapshot(); as_made(): it knows nothing that a new one
  // would not.
  bool at_rest(TimePoint now) const;
  bool as_made(TimePoint now) const;
  // What it knows is worth nothing any more: for twelve times Thresholds::idle_days nothing was sent, which has brought
  // every curve back to its first day, and no operator's word stands. IPs of a snapshot that it does not have keep it.
  bool outlived(TimePoint now) const;
  // As snapshot() of one from which nothing goes any more: nothing is counted ahead, and IPs that are as made take no
  // room.
  std::string last_snapshot(TimePoint now);
  void waive_snapshots();  // After restore(): nothing waits for the next one. For who makes none.

  static constexpr std::size_t kDecisionsMax = 1'000;   // Waiting to be taken; then the oldest go.
  static constexpr std::size_t kSubjectsMax = 100'000;  // Of each named subject. Then idle ones go, or busy ones, and new ones have no burst.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---------------------------------------------------------------------------------------------------------------------
// Planning

struct PlanIp {
  std::string address;
  std::optional<Curve> curve{};  // Empty: fully warm.
  std::uint64_t day = 0;         // Where on the curve it stands, and
  std::uint64_t cap = kNoCap;  // today's cap, if that is below the curve: the curve is then scaled to begin there. Both
                               // are as explain() has them for one provider: a running campaign's finish is the latest
                               // of a plan for each.
  std::uint64_t used = 0;      // Of the first day's cap.
  TimePoint from{};            // It carries nothing before; kNever: it is paused.
  bool pinned = false;         // The curve is an operator's cap: curve_multiplier does not change it.
};

struct PlanRequest {
  struct Part {
    ProviderId provider;
    std::uint64_t messages = 0;
  };
  std::vector<Part> audience;          // Required.
  std::vector<PlanIp> ips;             // Required.
  TimePoint start{};                   // The day that it lies in is the first, and whole. Required.
  TimePoint from{};                    // Nothing goes before, if that is in the first day or later.
  // For how much of the time between two moments mail may go; empty: all of it.
  std::function<Duration(TimePoint from, TimePoint to)> open{};
  const Settings* settings = nullptr;  // Null: the shipped ones.
  Zone zone{};                         // Where days begin.
  Duration per_message = std::chrono::milliseconds(500);  // On one connection; with the connections, it bounds a day.
  std::uint32_t days_max = 366;
};

struct Plan {
  struct Row {
    std::uint32_t day = 0;  // From 0.
    std::string provider;
    std::string ip;
    std::uint64_t messages = 0;
    std::uint64_t cap = 0;  // What it could have been.
    std::string bound;      // What set the cap: "curve sparkpost", "messages_per_day", "connections", ...
  };
  struct Outcome {
    std::string provider;
    std::uint64_t messages = 0;
    std::uint64_t left = 0;  // After days_max.
    std::uint32_t days = 0;  // That it takes.
    TimePoint finish{};      // Its last message; kNever: not within days_max.
    std::string bound;       // What limited most of the days that were full; "audience": nothing did. "schedule": they
                             // were not open; "paused": no IP carried anything.
  };
  std::vector<Row> rows;  // By day, provider, IP; without empty ones.
  std::vector<Outcome> providers;
  std::uint32_t days = 0;
  TimePoint start{};   // Of the first day.
  TimePoint finish{};  // Of the last provider; kNever: one does not.
  std::string bound;   // "google: curve sparkpost"
};

// The volume per day, provider and IP if nothing is refused; each day evenly spread. Errors: kInvalidArgument.
Result<Plan> plan(const PlanRequest& request);

}  // namespace mailsbuddy::warming

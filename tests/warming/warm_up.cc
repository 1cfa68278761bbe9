#include "tests/warming/warm_up.h"

#include <algorithm>
#include <array>
#include <memory>

#include "mailsbuddy/warming.h"
#include "tests/sim/receivers.h"
#include "engine/signal_of.h"

namespace mailsbuddy::sim {
namespace {

constexpr Duration kStep = std::chrono::minutes(5);
constexpr int kStepsADay = 24 * 12;
constexpr TimePoint kStart{std::chrono::days(20'800)};
constexpr double kPerConnection = 4;                       // Messages a second, at 250 ms each.
constexpr double kMix[] = {0.40, 0.25, 0.15, 0.08, 0.12};  // Of the audience, in the order of receiver_presets().
constexpr std::size_t kTries = 64;                         // Ten minutes, doubling to two hours: five days.
constexpr std::size_t kRing = 25;                          // Steps of the longest delay, and one.
constexpr int kUnthrottledConnections = 50;

// One provider's part of the backlog, and what is to be tried again.
struct Queue {
  std::uint64_t fresh = 0;
  std::array<std::uint64_t, kTries> ready{};  // By attempts so far.
  std::array<std::array<std::uint64_t, kTries>, kRing> later{};
  std::uint64_t waiting = 0;  // In `ready`.

  std::uint64_t size() const {
    std::uint64_t sum = fresh + waiting;
    for (const auto& slot : later) {
      for (const std::uint64_t n : slot) sum += n;
    }
    return sum;
  }
  std::uint64_t available() const { return fresh + waiting; }
  void begin(std::size_t step) {
    auto& slot = later[step % kRing];
    for (std::size_t tries = 0; tries < kTries; ++tries) {
      ready[tries] += slot[tries];
      waiting += slot[tries];
      slot[tries] = 0;
    }
  }
  // False: too old now.
  bool defer(std::size_t step, std::size_t tries, std::uint64_t n) {
    if (tries + 1 >= kTries) return false;
    const std::size_t delay = std::min<std::size_t>(2U << std::min<std::size_t>(tries, 4), kRing - 1);
    later[(step + delay) % kRing][tries + 1] += n;
    return true;
  }
};

struct Provider {
  const ReceiverPreset* preset = nullptr;
  std::unique_ptr<ReceiverModel> receiver;
  std::array<warming::Signal, kAnswers> signals{};  // What each answer's text means to us.
  std::array<bool, kAnswers> permanent{};
  Queue queue;
  std::unique_ptr<warming::Pacer> pacer;  // Of the controller.
  std::vector<warming::Budget> budgets;   // Of the fixed curves for each provider.
  std::vector<int> blocked_steps;
};

class World {
 public:
  explicit World(const WarmUpOptions& options) : options_(options) {
    const auto presets = receiver_presets();
    for (std::size_t i = 0; i < presets.size(); ++i) add(presets[i], i);
    std::uint64_t given = 0;
    for (Provider& each : providers_) given += each.queue.fresh;
    providers_[0].queue.fresh += options.messages - given;
    if (options.strategy == Strategy::kSendGrid || options.strategy == Strategy::kSparkPost) {
      budgets_.assign(static_cast<std::size_t>(options.ips), budget());
    }
  }

  WarmUpResult run() {
    for (int day = 0; day < options_.days; ++day) {
      for (int i = 0; i < kStepsADay; ++i) step(static_cast<std::size_t>(day * kStepsADay + i));
      result_.delivered.push_back(delivered_);
      result_.deferrals.push_back(deferrals_);
      note_caps();
    }
    for (const Provider& each : providers_) result_.stranded += each.queue.size();
    return std::move(result_);
  }

 private:
  warming::Budget budget() const {
    const bool sendgrid = options_.strategy == Strategy::kSendGrid || options_.strategy == Strategy::kSendGridEach;
    warming::Curve curve = *warming::Curve::preset(sendgrid ? "sendgrid" : "sparkpost");
    curve.hour_share = 1.0 / 24;  // As evenly as can be: the best case for them.
    return warming::Budget(std::move(curve));
  }

  void add(const ReceiverPreset& preset, std::size_t index) {
    const auto ips = static_cast<std::size_t>(options_.ips);
    Provider provider{.preset = &preset,
                      .receiver = std::make_unique<ReceiverModel>(preset, ips, options_.seed * 1'000 + index)};
    provider.queue.fresh = static_cast<std::uint64_t>(kMix[index] * static_cast<double>(options_.messages));
    provider.blocked_steps.assign(ips, 0);
    const ProviderId id{std::string(preset.provider)};
    for (std::size_t i = 0; i < kAnswers; ++i) {
      const std::string_view text = provider.receiver->text(static_cast<Answer>(i));
      const int code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
      Outcome outcome{.stage = Stage::kFinalDot,
                      .cause = Cause::kReply,
                      .reply = {.code = code, .text = std::string(text.substr(4))}};
      if (code >= 400)
        outcome.stage = static_cast<Answer>(i) == Answer::kUnknownUser ? Stage::kRcptTo : Stage::kMailFrom;
      const auto digit = [&](std::size_t at) { return static_cast<std::uint16_t>(text[at] - '0'); };
      if (text.size() > 9 && text[5] == '.' && text[7] == '.') {
        std::uint16_t detail = 0;
        for (std::size_t at = 8; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
          detail = static_cast<std::uint16_t>(detail * 10 + digit(at));
        outcome.reply.enhanced = EnhancedCode{static_cast<std::uint8_t>(digit(4)), digit(6), detail};
      }
      provider.signals[i] = engine::signal_of(bounce::classify(outcome, id));
      provider.permanent[i] = code >= 500;
    }
    if (options_.strategy == Strategy::kController) {
      warming::PacerOptions pacer{.provider = id, .ips = {}};
      for (std::size_t i = 0; i < ips; ++i)
        pacer.ips.push_back({"192.0.2." + std::to_string(i + 1), *warming::Curve::parse(options_.curve)});
      provider.pacer = std::make_unique<warming::Pacer>(std::move(pacer));
    }
    if (options_.strategy == Strategy::kSendGridEach || options_.strategy == Strategy::kSparkPostEach) {
      provider.budgets.assign(ips, budget());
    }
    providers_.push_back(std::move(provider));
  }

  // How many a lane may send in this step.
  std::uint64_t allowed(Provider& provider, std::size_t ip, TimePoint now, int& connections) {
    connections =
        std::min(kUnthrottledConnections, provider.preset->connections);  // Who is not told knows the usual number.
    std::uint64_t left = warming::kNoCap;
    if (provider.pacer != nullptr) {
      if (provider.pacer->next(ip, {}, now) > now) return 0;
      connections = provider.pacer->connections(ip, now);
      left = provider.pacer->left(ip, now);
      const double rate = provider.pacer->rate(ip);
      if (rate > 0) left = std::min(left, static_cast<std::uint64_t>(rate * kStepSeconds));
    } else if (options_.strategy == Strategy::kUnthrottled) {
      connections = kUnthrottledConnections;
    } else {
      warming::Budget& budget = provider.budgets.empty() ? budgets_[ip] : provider.budgets[ip];
      left = spread(budget, now);
      if (provider.budgets.empty())
        left = static_cast<std::uint64_t>(static_cast<double>(left) * share(provider) + 0.999);
      left = std::min(left, budget.left(now));
    }
    return std::min(left, static_cast<std::uint64_t>(connections * kPerConnection * kStepSeconds));
  }

  // A fixed sender's hour, evenly over its steps.
  static std::uint64_t spread(warming::Budget& budget, TimePoint now) {
    const auto in_hour = (now.time_since_epoch() % std::chrono::hours(1)) / kStep;
    return (budget.left(now) + static_cast<std::uint64_t>(11 - in_hour)) / static_cast<std::uint64_t>(12 - in_hour);
  }

  // Of what waits everywhere.
  double share(const Provider& provider) const {
    std::uint64_t sum = 0;
    for (const Provider& each : providers_) sum += each.queue.available();
    return sum == 0 ? 0 : static_cast<double>(provider.queue.available()) / static_cast<double>(sum);
  }

  void step(std::size_t number) {
    const TimePoint now = kStart + kStep * static_cast<std::int64_t>(number);
    for (Provider& provider : providers_) provider.queue.begin(number);
    for (Provider& provider : providers_) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(options_.ips); ++i) {
        const std::size_t ip = (i + number) % static_cast<std::size_t>(options_.ips);  // Each is first in turn.
        lane(provider, ip, now, number);
        watch_block(provider, ip, now);
        if (number % 12 == 0) complaints(provider, ip, now);
      }
    }
  }

  void lane(Provider& provider, std::size_t ip, TimePoint now, std::size_t number) {
    Queue& queue = provider.queue;
    if (queue.available() == 0) return;
    int connections = 0;
    std::uint64_t left = std::min(allowed(provider, ip, now, connections), queue.available());
    const std::uint64_t batch_max = std::max<std::uint64_t>(20, left / 16);
    std::size_t tries = kTries;
    while (left > 0) {
      while (tries > 0 && queue.ready[tries - 1] == 0) --tries;
      std::uint64_t& from = tries > 0 ? queue.ready[tries - 1] : queue.fresh;
      const std::uint64_t batch = std::min({batch_max, left, from});
      if (batch == 0) break;
      from -= batch;
      if (tries > 0) queue.waiting -= batch;
      left -= batch;
      const std::size_t so_far = tries > 0 ? tries - 1 : 0;
      if (provider.pacer != nullptr) {
        provider.pacer->take(ip, {}, now, batch);
      } else if (options_.strategy != Strategy::kUnthrottled) {
        (provider.budgets.empty() ? budgets_[ip] : provider.budgets[ip]).take(now, batch);
      }
      settle(provider, ip, provider.receiver->send(ip, batch, tries == 0, connections, now), so_far, number, now);
      if (provider.pacer != nullptr) left = std::min(left, provider.pacer->left(ip, now));
    }
  }

  void settle(Provider& provider, std::size_t ip, const BatchResult& batch, std::size_t tries, std::size_t number,
              TimePoint now) {
    for (std::size_t i = 0; i < kAnswers; ++i) {
      const std::uint64_t n = batch.counts[i];
      if (n == 0) continue;
      const auto answer = static_cast<Answer>(i);
      if (answer == Answer::kAccepted) {
        delivered_ += static_cast<double>(n);
      } else if (answer == Answer::kUnknownUser) {
        result_.bounced += n;
      } else if (provider.permanent[i]) {
        result_.lost += n;
      } else {
        deferrals_ += static_cast<double>(n);
        if (!provider.queue.defer(number, tries, n)) result_.lost += n;
      }
      if (provider.pacer == nullptr) continue;
      warming::Signal signal = provider.signals[i];
      signal.count = n;
      provider.pacer->learn(ip, signal, now);
    }
    if (provider.pacer != nullptr) note_decisions(*provider.pacer);
  }

  void complaints(Provider& provider, std::size_t ip, TimePoint now) {
    const std::uint64_t n = provider.receiver->complaints(ip, now);
    if (n > 0 && provider.pacer != nullptr)
      provider.pacer->learn(ip, {.kind = warming::SignalKind::kComplaint, .count = n}, now);
  }

  void watch_block(Provider& provider, std::size_t ip, TimePoint now) {
    int& steps = provider.blocked_steps[ip];
    steps = provider.receiver->blocks(ip, now) ? steps + 1 : 0;
    result_.longest_block_hours = std::max(result_.longest_block_hours, steps / 12.0);
  }

  void note_decisions(warming::Pacer& pacer) {
    for (const warming::Decision& each : pacer.take_decisions()) {
      if (options_.record_decisions) result_.decisions.push_back(each.str());
    }
  }

  void note_caps() {
    result_.cap.resize(providers_.size());
    for (std::size_t i = 0; i < providers_.size(); ++i) {
      if (providers_[i].pacer == nullptr) continue;
      const TimePoint now = kStart + kStep * kStepsADay * static_cast<std::int64_t>(result_.delivered.size()) - kStep;
      result_.cap[i].push_back(static_cast<double>(providers_[i].pacer->explain("192.0.2.1", now)->cap));
    }
  }

  static constexpr double kStepSeconds = 300;
  const WarmUpOptions& options_;
  std::vector<Provider> providers_;
  std::vector<warming::Budget> budgets_;  // Of the fixed curves for an IP as a whole.
  double delivered_ = 0;
  double deferrals_ = 0;
  WarmUpResult result_;
};

}  // namespace

std::string_view to_string(Strategy strategy) noexcept {
  switch (strategy) {
    case Strategy::kController:
      return "controller";
    case Strategy::kSendGrid:
      return "sendgrid, per IP";
    case Strategy::kSparkPost:
      return "sparkpost, per IP";
    case Strategy::kSendGridEach:
      return "sendgrid, per IP and provider";
    case Strategy::kSparkPostEach:
      return "sparkpost, per IP and provider";
    case Strategy::kUnthrottled:
      return "unthrottled";
  }
  return "?";
}

WarmUpResult warm_up(const WarmUpOptions& options) { return World(options).run(); }

}  // namespace mailsbuddy::sim

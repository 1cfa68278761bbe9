// A snapshot, 64-bit little-endian numbers; a text is its length and its octets:
//   "MBWP" version provider ips *(address pace) domains *(name until pauses) check-sum
// where `pace` is a text of what Pace::write() gives. last_snapshot() is the same, squeezed (squeeze.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>

#include "core/base/bytes.h"
#include "mailsbuddy/warming.h"
#include "warming/pace.h"
#include "warming/squeeze.h"
#include "warming/text.h"

namespace mailsbuddy::warming {
namespace {

constexpr std::string_view kMagic = "MBWP";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kTextMax = 4'096;  // A name or one IP's state.
constexpr std::uint64_t kIpsMax = 100'000;
constexpr std::size_t kOthersMax = 1'000;  // IPs of a snapshot that are not there, and are remembered.
constexpr Duration kEventsFor = std::chrono::hours(1);
constexpr std::uint64_t kDomainEvents = 3;  // Replies in an hour that say the domain is too fast.
// A place is free when a message ends: whoever is told of that asks again at once, this is for the others.
constexpr Duration kPlaceAwaited = std::chrono::seconds(1);

std::array<std::pair<Subject, std::string_view>, 4> names_of(const Draw& draw) {
  return {{{Subject::kSite, draw.site},
           {Subject::kCampaign, draw.campaign},
           {Subject::kAccount, draw.account},
           {Subject::kSenderDomain, draw.sender_domain}}};
}

constexpr int kLookedAt = 8;  // Of many names, to find some to forget for each new one.

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};
template <class Value>
using ByName = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

// Forgets some that `unused` says nothing would be lost of. It goes round: `hand` is the name that is looked at next.
template <class Value, class Unused>
void make_room(ByName<Value>& map, std::string& hand, Unused unused) {
  auto at = map.find(hand);
  for (int i = 0; i < kLookedAt && !map.empty(); ++i) {
    if (at == map.end()) at = map.begin();
    at = unused(at->second) ? map.erase(at) : std::next(at);
  }
  hand = at == map.end() ? std::string() : at->first;
}

struct Domain {
  TimePoint until{};
  TimePoint events_since{};
  std::uint64_t events = 0;
  std::uint64_t pauses = 0;  // In a row: each longer than the one before.
};

// The permits of a name, how many messages are made that will take one, and who has one of its connections: each has a
// copy of `place`, so that a message that is destroyed anywhere gives its own back.
struct Named {
  Throttle throttle;
  int connections = INT_MAX;
  int messages_per_connection = INT_MAX;
  bool limits_openings = false;
  std::uint64_t held = 0;
  std::shared_ptr<const char> place = std::make_shared<const char>();

  // A site's connections are counted by who opens them.
  void limit(Subject subject, const Limits& limits) {
    if (subject == Subject::kSite) return;
    connections = limits.connections;
    messages_per_connection = limits.messages_per_connection;
    limits_openings = limits.connections_per_minute > 0;
  }
  bool taken() const noexcept { return place.use_count() - 1 >= connections; }
  bool unused(TimePoint now) const noexcept { return held == 0 && place.use_count() == 1 && throttle.at_rest(now); }
};

}  // namespace

struct Pacer::State {
  PacerOptions options;
  std::shared_ptr<const Settings> settings;
  std::vector<Decision> decisions;
  std::vector<std::unique_ptr<Pace>> paces;
  Throttle total;
  Limits total_limits = Limits::unlimited();
  std::array<ByName<Named>, kSubjectCount> named;  // By Subject; those with limits of their own.
  std::array<std::string, kSubjectCount> hands;    // Where make_room() is in them.
  bool forgot_debts = false;                       // For want of room: a new name may be one that owes something.
  ByName<Domain> domains;                          // Paused, or about to be.
  std::string domains_hand;
  TimePoint domains_until{};                       // None is paused longer.
  bool any_named = false;
  bool any_places = false;
  bool any_carried = false;
  bool any_openings = false;
  // Of a snapshot: IPs that this one does not have, and their states as they were. They may be given to the next again.
  std::vector<std::pair<std::string, std::string>> others;

  void read_settings() {
    total_limits = settings->limits(options.provider, Subject::kTotal);
    any_named = any_places = any_carried = any_openings = false;
    for (const auto& [subject, name] : names_of({})) {
      any_named |= settings->any(subject);
      if (subject == Subject::kSite) continue;
      any_places |= settings->any(subject, "connections");
      any_carried |= settings->any(subject, "messages_per_connection");
      any_openings |= settings->any(subject, "connections_per_minute");
    }
  }

  Named* find(Subject subject, std::string_view name, TimePoint now) {
    if (name.empty() || !settings->any(subject)) return nullptr;
    auto& map = named[static_cast<std::size_t>(subject)];
    if (const auto found = map.find(name); found != map.end()) return &found->second;
    if (map.size() >= kSubjectsMax) {
      std::string& hand = hands[static_cast<std::size_t>(subject)];
      make_room(map, hand, [now](const Named& each) { return each.unused(now); });
      forgot_debts |= map.size() >= kSubjectsMax;
      if (map.size() >=
          kSubjectsMax) {  // Not the newest, which two names in turn could be for ever: who is at the hand.
        auto at = map.find(hand);
        if (at == map.end()) at = map.begin();
        at = map.erase(at);
        hand = at == map.end() ? std::string() : at->first;
      }
    }
    const Limits limits = settings->limits(options.provider, subject, name);
    Named& added = map.emplace(std::string(name), Named{.throttle = Throttle(limits)}).first->second;
    added.limit(subject, limits);
    if (forgot_debts) {
      added.throttle.exhaust(now);
    } else if (options.started != TimePoint{}) {
      added.throttle.exhaust(options.started);
    }
    return &added;
  }

  // Of each throttle besides the IP's that the message comes under.
  template <class Visit>
  void visit(const Draw& draw, TimePoint now, Visit&& each) {
    each(total);
    visit_named(draw, now, [&](Named& one) { each(one.throttle); });
  }
  template <class Visit>
  void visit_named(const Draw& draw, TimePoint now, Visit&& each) {
    if (!any_named) return;
    for (const auto& [subject, name] : names_of(draw)) {
      if (Named* found = find(subject, name, now)) each(*found);
    }
  }

  void pause_domain(const Signal& signal, TimePoint now);
  std::string snapshot(std::span<Pace* const> of, TimePoint now, bool last) const;
  Pace* by_address(std::string_view ip) {
    const auto found =
        std::find_if(paces.begin(), paces.end(), [ip](const auto& each) { return each->address() == ip; });
    return found == paces.end() ? nullptr : found->get();
  }
  Error unknown(std::string_view ip) const {
    return {ErrorCode::kNotFound, fmt::format("no egress IP {} at {}", ip, options.provider.name)};
  }
};

Pacer::Pacer(PacerOptions options) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.options = std::move(options);
  s.settings = s.options.settings != nullptr
                   ? s.options.settings
                   : std::shared_ptr<const Settings>(std::shared_ptr<void>(), &Settings::shipped());
  for (std::size_t i = 0; i < s.options.ips.size(); ++i) {
    s.paces.push_back(std::make_unique<Pace>(Pace::Setup{.provider = &s.options.provider,
                                                         .ip = s.options.ips[i],
                                                         .number = i,
                                                         .settings = s.settings.get(),
                                                         .zone = s.options.zone,
                                                         .adaptive = s.options.adaptive,
                                                         .started = s.options.started,
                                                         .decisions = &s.decisions}));
  }
  s.total = Throttle(s.settings->limits(s.options.provider, Subject::kTotal));
  if (s.options.started != TimePoint{}) s.total.exhaust(s.options.started);
  s.read_settings();
}

Pacer::~Pacer() = default;
Pacer::Pacer(Pacer&&) noexcept = default;
Pacer& Pacer::operator=(Pacer&&) noexcept = default;

// ---------------------------------------------------------------------------------------------------------------------
// Permits

TimePoint Pacer::next(std::size_t ip, const Draw& draw, TimePoint now) {
  TimePoint at = state_->paces[ip]->next(now, draw.bytes);
  if (at == kNever) return at;
  state_->visit(draw, now, [&](const Throttle& each) { at = std::max(at, each.next(now, draw.bytes)); });
  return now >= state_->domains_until ? at : std::max(at, domain_paused_until(draw.sender_domain));
}

void Pacer::take(std::size_t ip, const Draw& draw, TimePoint now, std::uint64_t messages) {
  state_->paces[ip]->take(now, draw.bytes * messages, messages);
  state_->visit(draw, now, [&](Throttle& each) { each.take(now, draw.bytes * messages, messages); });
}

void Pacer::refund(std::size_t ip, const Draw& draw, TimePoint taken_at) {
  state_->paces[ip]->refund(draw.bytes, taken_at);
  state_->visit(draw, taken_at, [&](Throttle& each) { each.refund(draw.bytes); });
}

TimePoint Pacer::next_over_cap(std::size_t ip, const Draw& draw, TimePoint now) {
  TimePoint at = state_->paces[ip]->next_over_cap(now, draw.bytes);
  if (at == kNever) return at;
  state_->visit(draw, now, [&](const Throttle& each) { at = std::max(at, each.next(now, draw.bytes)); });
  return now >= state_->domains_until ? at : std::max(at, domain_paused_until(draw.sender_domain));
}

TimePoint Pacer::next_bytes(std::size_t ip, std::uint64_t bytes, TimePoint now) const {
  return std::max(state_->paces[ip]->next_bytes(now, bytes), state_->total.next_bytes(now, bytes));
}

bool Pacer::exhausted(std::size_t ip, TimePoint now) { return state_->paces[ip]->exhausted(now); }

bool Pacer::any_names(TimePoint now) const noexcept { return state_->any_named || now < state_->domains_until; }

bool Pacer::any_places() const noexcept { return state_->any_places; }

std::optional<Pacer::Places> Pacer::places(const Draw& draw, TimePoint now) {
  Places places;
  bool taken = false;
  if (!state_->any_places) return places;
  state_->visit_named(draw, now, [&](Named& each) {
    taken |= each.taken();
    if (each.connections != INT_MAX) places.push_back(each.place);
  });
  return taken ? std::nullopt : std::optional(std::move(places));
}

TimePoint Pacer::next_named(const Draw& draw, TimePoint now) {
  TimePoint at = next_joining(draw, now);
  if (!state_->any_places) return at;
  state_->visit_named(draw, now, [&](Named& each) {
    if (each.taken()) at = std::max(at, now + kPlaceAwaited);
  });
  return at;
}

TimePoint Pacer::next_joining(const Draw& draw, TimePoint now) {
  TimePoint at = std::max(now, domain_paused_until(draw.sender_domain));
  state_->visit_named(draw, now, [&](Named& each) { at = std::max(at, each.throttle.nth(now, each.held + 1)); });
  return at;
}

void Pacer::hold(const Draw& draw, TimePoint now) {
  state_->visit_named(draw, now, [](Named& each) { ++each.held; });
}

// Settings may have changed since: then there may be nothing to take back.
void Pacer::let_go(const Draw& draw, TimePoint now) {
  state_->visit_named(draw, now, [](Named& each) { each.held -= std::min<std::uint64_t>(each.held, 1); });
}

TimePoint Pacer::blocked_until(const Draw& draw, TimePoint now) {
  TimePoint at = std::max(now, domain_paused_until(draw.sender_domain));
  state_->visit_named(draw, now, [&](Named& each) { at = std::max(at, each.throttle.next(now, draw.bytes)); });
  return at;
}

int Pacer::connections_max(Subject subject, std::string_view name) const {
  if (subject == Subject::kTotal) return state_->total_limits.connections;
  return state_->settings->any(subject) ? state_->settings->limits(state_->options.provider, subject, name).connections
                                        : INT_MAX;
}

std::uint64_t Pacer::left(std::size_t ip, TimePoint now) { return state_->paces[ip]->left(now); }
double Pacer::rate(std::size_t ip) const { return state_->paces[ip]->rate(); }

std::uint64_t Pacer::used(TimePoint now) {
  std::uint64_t sum = 0;
  for (const auto& pace : state_->paces) sum += pace->used(now);
  return sum;
}

int Pacer::connections(std::size_t ip, TimePoint now) { return state_->paces[ip]->connections(now); }

TimePoint Pacer::next_connection(std::size_t ip, std::string_view site, TimePoint now) {
  const TimePoint at = std::max(state_->paces[ip]->next_connection(now), state_->total.next_connection(now));
  const Named* const named = state_->find(Subject::kSite, site, now);
  return named == nullptr ? at : std::max(at, named->throttle.next_connection(now));
}

void Pacer::take_connection(std::size_t ip, std::string_view site, TimePoint now) {
  state_->paces[ip]->take_connection(now);
  state_->total.take_connection(now);
  if (Named* const named = state_->find(Subject::kSite, site, now)) named->throttle.take_connection(now);
}

int Pacer::messages_per_connection(std::size_t ip, std::string_view site) const {
  const int most = std::min(limits(ip).messages_per_connection, state_->total_limits.messages_per_connection);
  if (!state_->settings->any(Subject::kSite)) return most;
  return std::min(most, state_->settings->limits(state_->options.provider, Subject::kSite, site).messages_per_connection);
}

bool Pacer::carry(Carried& carried, const Draw& draw, TimePoint now) {
  bool enough = false;
  if (!state_->any_carried) return enough;
  for (const auto& [subject, name] : names_of(draw)) {
    const Named* const named = state_->find(subject, name, now);
    if (named == nullptr || named->messages_per_connection == INT_MAX) continue;
    enough |= ++carried[fmt::format("{}:{}", to_string(subject), name)] >= named->messages_per_connection;
  }
  return enough;
}

bool Pacer::any_openings() const noexcept { return state_->any_openings; }

std::optional<TimePoint> Pacer::next_opening(const Draw& draw, TimePoint now) {
  std::optional<TimePoint> at;
  if (!state_->any_openings) return at;
  state_->visit_named(draw, now, [&](const Named& each) {
    if (each.limits_openings) at = std::max(at.value_or(now), each.throttle.next_connection(now));
  });
  return at;
}

void Pacer::take_opening(const Draw& draw, TimePoint now) {
  state_->visit_named(draw, now, [now](Named& each) {
    if (each.limits_openings) each.throttle.take_connection(now);
  });
}

int Pacer::recipients_per_transaction(std::size_t ip, const Draw& draw) const {
  const State& s = *state_;
  int most = std::min(limits(ip).recipients_per_transaction, s.total_limits.recipients_per_transaction);
  if (!s.any_named) return most;
  for (const auto& [subject, name] : names_of(draw)) {
    if (!name.empty() && s.settings->any(subject, "recipients_per_transaction"))
      most = std::min(most, s.settings->limits(s.options.provider, subject, name).recipients_per_transaction);
  }
  return most;
}

const Limits& Pacer::limits(std::size_t ip) const { return state_->paces[ip]->limits(); }
bool Pacer::cold(std::size_t ip) const { return state_->paces[ip]->cold(); }
std::uint64_t Pacer::delivered_lately(std::size_t ip, TimePoint now) { return state_->paces[ip]->delivered_lately(now); }
std::uint64_t Pacer::sending_day(std::size_t ip) const { return state_->paces[ip]->sending_day(); }

// ---------------------------------------------------------------------------------------------------------------------
// Learning

void Pacer::learn(std::size_t ip, const Signal& signal, TimePoint now) {
  if (signal.scope == SignalScope::kSenderDomain && signal.kind != SignalKind::kDelivered) {
    if (state_->options.adaptive) state_->pause_domain(signal, now);
    return;
  }
  state_->paces[ip]->learn(signal, now);
}

// Blame of a sending domain follows it to every IP. A block pauses it at once, a rate or a reputation when told again.
void Pacer::State::pause_domain(const Signal& signal, TimePoint now) {
  const bool counts = signal.kind == SignalKind::kRateLimited || signal.kind == SignalKind::kReputation ||
                      signal.kind == SignalKind::kBlocked || signal.needs_operator || signal.slow_restart;
  if (!counts || signal.sender_domain.empty() || signal.count == 0) return;
  if (domains.size() >= kSubjectsMax)
    make_room(domains, domains_hand, [now](const Domain& each) { return each.until <= now; });
  if (domains.size() >= kSubjectsMax) return;
  Domain& domain = domains[std::string(signal.sender_domain)];
  if (now < domain.until) return;
  if (now - domain.events_since >= kEventsFor) {
    if (now - domain.until >= std::chrono::days(1)) domain.pauses = 0;
    domain.events_since = now;
    domain.events = 0;
  }
  domain.events += signal.count;
  const Thresholds t = settings->thresholds(options.provider);
  const std::uint64_t needed = signal.needs_operator || signal.slow_restart ? 1
                               : signal.kind == SignalKind::kBlocked        ? t.block_events
                               : signal.kind == SignalKind::kReputation     ? t.reputation_events
                                                                            : kDomainEvents;
  if (domain.events < needed) return;
  Duration length = signal.slow_restart ? t.restart_pause : t.suspend_first;
  for (std::uint64_t i = 0; i < domain.pauses && length < t.suspend_max; ++i) length *= signal.slow_restart ? 2 : 4;
  length = std::max(signal.pause, std::min(length, t.suspend_max));
  if (signal.needs_operator) length = t.alert_pause;
  const TimePoint before = domain.until;
  domain.until = now + length;
  domains_until = std::max(domains_until, domain.until);
  ++domain.pauses;
  domain.events = 0;
  keep(decisions, {.kind = DecisionKind::kPauseDomain,
                   .time = now,
                   .provider = options.provider.name,
                   .ip = std::string(signal.sender_domain),
                   .rule = signal.needs_operator ? "needs_operator"
                           : signal.slow_restart ? "slow_restart"
                                                 : "domain_events",
                   .seen = fmt::format("{}, told of the domain{}", to_string(signal.kind),
                                       signal.rule.empty() ? "" : fmt::format(" ({})", signal.rule)),
                   .what = "until",
                   .old_value = static_cast<std::uint64_t>(before.time_since_epoch() / std::chrono::seconds(1)),
                   .new_value = static_cast<std::uint64_t>(domain.until.time_since_epoch() / std::chrono::seconds(1))});
}

TimePoint Pacer::domain_paused_until(std::string_view sender_domain) const {
  const auto found = state_->domains.find(sender_domain);
  return found == state_->domains.end() ? TimePoint{} : found->second.until;
}

bool Pacer::any_decisions() const noexcept { return !state_->decisions.empty(); }
std::vector<Decision> Pacer::take_decisions() { return std::exchange(state_->decisions, {}); }

// ---------------------------------------------------------------------------------------------------------------------
// The operator

Result<void> Pacer::command(std::string_view ip, Command command, TimePoint now, std::uint64_t value) {
  Pace* pace = state_->by_address(ip);
  return pace == nullptr ? Result<void>(state_->unknown(ip)) : pace->command(command, now, value);
}

Result<void> Pacer::resume_domain(std::string_view sender_domain, TimePoint now) {
  const auto found = state_->domains.find(sender_domain);
  if (found == state_->domains.end() || found->second.until <= now)
    return Error{ErrorCode::kNotFound, fmt::format("the From domain {} is not paused at {}", sender_domain, state_->options.provider.name)};
  state_->domains.erase(found);
  keep(state_->decisions, {.kind = DecisionKind::kOperator,
                           .time = now,
                           .provider = state_->options.provider.name,
                           .ip = std::string(sender_domain),
                           .rule = "operator.resume",
                           .seen = "told by the operator",
                           .what = "until"});
  return {};
}

Result<Explanation> Pacer::explain(std::string_view ip, TimePoint now) {
  Pace* pace = state_->by_address(ip);
  if (pace == nullptr) return state_->unknown(ip);
  return pace->explain(now);
}

void Pacer::change(std::shared_ptr<const Settings> settings, TimePoint now) {
  State& s = *state_;
  s.settings = settings != nullptr ? std::move(settings)
                                   : std::shared_ptr<const Settings>(std::shared_ptr<void>(), &Settings::shipped());
  for (const auto& pace : s.paces) pace->change(*s.settings, now);
  s.total.change(s.settings->limits(s.options.provider, Subject::kTotal), now);
  for (std::size_t i = 0; i < kSubjectCount; ++i) {
    for (auto& [name, one] : s.named[i]) {
      const auto subject = static_cast<Subject>(i);
      const Limits limits = s.settings->limits(s.options.provider, subject, name);
      one.throttle.change(limits, now);
      one.limit(subject, limits);
    }
  }
  s.read_settings();
}

// ---------------------------------------------------------------------------------------------------------------------
// Snapshots

std::string Pacer::snapshot(TimePoint now) {
  std::string bytes = stage_snapshot(now);
  snapshot_stored();
  return bytes;
}

void Pacer::snapshot_stored() {
  for (const auto& pace : state_->paces) pace->cover();
}

void Pacer::require_snapshots() {
  for (const auto& pace : state_->paces) pace->require_cover();
}

bool Pacer::at_rest(TimePoint now) const {
  const State& s = *state_;
  if (!s.decisions.empty() || !s.total.at_rest(now)) return false;
  for (const auto& each : s.domains) {
    if (now - each.second.until < std::chrono::days(1)) return false;
  }
  for (const auto& map : s.named) {
    for (const auto& each : map) {
      if (each.second.held > 0 || !each.second.throttle.at_rest(now)) return false;
    }
  }
  return std::all_of(s.paces.begin(), s.paces.end(), [now](const auto& each) { return each->at_rest(now); });
}

bool Pacer::as_made(TimePoint now) const {
  const State& s = *state_;
  return s.domains.empty() && s.others.empty() &&
         std::all_of(s.paces.begin(), s.paces.end(), [now](const auto& each) { return each->as_made(now); });
}

bool Pacer::outlived(TimePoint now) const {
  const State& s = *state_;
  return s.others.empty() && now - s.domains_until >= std::chrono::days(1) &&
         std::all_of(s.paces.begin(), s.paces.end(), [now](const auto& each) { return each->outlived(now); });
}

void Pacer::waive_snapshots() {
  for (const auto& pace : state_->paces) pace->waive_cover();
}

std::string Pacer::State::snapshot(std::span<Pace* const> of, TimePoint now, bool last) const {
  BytesWriter out;
  out.raw(kMagic);
  out.u64(kVersion);
  out.text(options.provider.name);
  out.u64(of.size() + others.size());
  for (const auto& [address, bytes] : others) {
    out.text(address);
    out.text(bytes);
  }
  for (Pace* const pace : of) {
    pace->used(now);  // Opens the day that is covered.
    BytesWriter one;
    last ? pace->write_last(one) : pace->write(one);
    out.text(pace->address());
    out.text(std::move(one).finish());
  }
  out.u64(domains.size());
  for (const auto& [name, domain] : std::map(domains.begin(), domains.end())) {
    out.text(name);
    out.time(domain.until);
    out.u64(domain.pauses);
  }
  return std::move(out).finish();
}

std::string Pacer::stage_snapshot(TimePoint now) {
  std::vector<Pace*> all;
  for (const auto& pace : state_->paces) all.push_back(pace.get());
  return state_->snapshot(all, now, false);
}

std::string Pacer::last_snapshot(TimePoint now) {
  std::vector<Pace*> known;
  for (const auto& pace : state_->paces) {
    if (!pace->as_made(now)) known.push_back(pace.get());
  }
  return squeeze(state_->snapshot(known, now, true));
}

bool Pacer::snapshot_due() const {
  return std::any_of(state_->paces.begin(), state_->paces.end(), [](const auto& each) { return each->snapshot_due(); });
}

Result<void> Pacer::restore(std::string_view snapshot, TimePoint now) {
  State& s = *state_;
  const auto bad = [](std::string_view why) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("warm-up snapshot: {}", why)};
  };
  const auto whole = unsqueeze(snapshot);
  if (whole) snapshot = *whole;
  if (!snapshot.starts_with(kMagic) || !BytesReader::intact(snapshot)) return bad("damaged, or no snapshot");
  BytesReader in(snapshot.substr(kMagic.size()));
  if (const std::uint64_t version = in.u64(); version > kVersion) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("warm-up snapshot: version {} is later than {}", version, kVersion)};
  }
  if (in.text(kTextMax) != s.options.provider.name) return bad("of another provider");
  std::vector<std::unique_ptr<Pace>> paces;
  for (const auto& pace : s.paces)
    paces.push_back(std::make_unique<Pace>(*pace));  // What fails half-way changes nothing.
  std::vector<std::pair<std::string, std::string>> others;
  const std::uint64_t ips = in.u64();
  if (ips > kIpsMax) return bad("too many IPs");
  for (std::uint64_t i = 0; i < ips && !in.bad(); ++i) {
    const std::string_view address = in.text(kTextMax);
    std::string_view bytes = in.text(kTextMax);
    const auto found =
        std::find_if(paces.begin(), paces.end(), [&](const auto& each) { return each->address() == address; });
    if (found == paces.end()) {
      if (others.size() < kOthersMax) others.emplace_back(address, bytes);
      continue;
    }
    if (!BytesReader::intact(bytes)) return bad("damaged");
    BytesReader one(bytes);
    if (!(*found)->read(one) || !one.at_end()) return bad(fmt::format("the state of {} makes no sense", address));
  }
  ByName<Domain> domains;
  const std::uint64_t count = in.u64();
  if (count > kSubjectsMax) return bad("too many domains");
  for (std::uint64_t i = 0; i < count && !in.bad(); ++i) {
    const std::string_view name = in.text(kTextMax);
    const TimePoint until = in.time();
    if (until < TimePoint{}) return bad("a time before 1970");
    domains[std::string(name)] = {.until = until, .pauses = in.u64()};
  }
  if (in.bad() || !in.at_end()) return bad("cut short, or longer than it should be");
  s.paces = std::move(paces);
  s.others = std::move(others);
  s.domains = std::move(domains);
  for (const auto& each : s.domains) s.domains_until = std::max(s.domains_until, each.second.until);
  for (const auto& pace : s.paces) pace->restored(now);
  s.total.exhaust(now);
  return {};
}

}  // namespace mailsbuddy::warming

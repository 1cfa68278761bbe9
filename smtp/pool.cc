#include <algorithm>
#include <cassert>
#include <unordered_map>
#include <utility>

#include "core/base/timer_wheel.h"
#include "smtp/connection.h"
#include "smtp/host_tls.h"
#include "smtp/host_walk.h"
#include "smtp/transcript.h"

namespace mailsbuddy::smtp {

// Handler calls come last in every function here: the handler may destroy the Pool.
struct Pool::State {
  // One connection, from open() to its end.
  struct Slot final : Connection::Owner {
    enum class Phase : std::uint8_t { kOpening, kIdle, kBusy, kBetween, kQuitting };

    Slot(State& owner, ConnectionId its_id) : pool(owner), id(its_id) {}
    void on_event(const SessionEvent& event) override { pool.on_event(*this, event); }

    State& pool;
    const ConnectionId id;
    Phase phase = Phase::kOpening;
    std::unique_ptr<HostWalk> walk;  // While opening.
    HostWalk::Target target;
    HostTls tls;            // What is asked of the target's host.
    bool in_clear = false;  // TLS failed with this address.
    int messages = 0;
    bool last = false;  // No message follows what it carries.
    int under_way = 0;  // Transactions.
    TimePoint idle_since{};
    std::unique_ptr<Connection> connection;
  };
  using Slots = std::unordered_map<ConnectionId, std::unique_ptr<Slot>>;

  ConnectionId open();
  void try_next(Slot& slot);
  void find_tls(Slot& slot);
  void found_tls(Slot& slot);
  void connect(Slot& slot);
  bool named() const;
  std::unique_ptr<Transcript> transcript(const Slot& slot);
  void report_tls(const Slot& slot, const Outcome* failure) const;
  void attempt_failed(Slot& slot, const Outcome& outcome);
  bool serves(const net::Endpoint& remote) const;
  void open_failed(Slot& slot);

  void on_event(Slot& slot, const SessionEvent& event);
  void on_ready(Slot& slot);
  void on_done(Slot& slot);
  void on_closed(Slot& slot, const Outcome& reason);

  bool used_up(const Slot& slot) const;
  bool room(const Slot& slot) const;
  void send(Slot& slot, const Transaction& transaction);
  void drop(ConnectionId id);
  void quit(Slot& slot);
  void leave_idle(const Slot& slot);
  void quit_expired();
  void set_idle_timer();

  Pool& door;
  net::Loop& loop;
  net::Transport& transport;
  net::Resolver& resolver;
  PoolOptions options;
  std::vector<RouteHost> hosts;
  PoolHandler& handler;
  Random& random;
  ConnectionId last_id = 0;
  int busy = 0;
  Slots slots;
  std::vector<Slot*> idle;  // Longest idle first.
  Timer idle_timer{[this] { quit_expired(); }};
  std::shared_ptr<void> alive = std::make_shared<char>();
};

// ---------------------------------------------------------------------------------------------------------------------
// Opening

ConnectionId Pool::State::open() {
  const ConnectionId id = ++last_id;
  auto slot = std::make_unique<Slot>(*this, id);
  slot->walk = std::make_unique<HostWalk>(loop, resolver, options, hosts, random);
  slots.emplace(id, std::move(slot));
  // From the loop: with nothing to try, the handler would be called from inside open().
  loop.post([this, id, guard = std::weak_ptr(alive)] {
    if (guard.expired()) return;
    if (const auto found = slots.find(id); found != slots.end()) try_next(*found->second);  // Else it was dropped.
  });
  return id;
}

void Pool::State::try_next(Slot& slot) {
  slot.walk->next([this, &slot](std::optional<HostWalk::Target> target) {
    if (!target) return open_failed(slot);
    const bool same_host = slot.target.host == target->host;
    slot.target = *std::move(target);
    slot.in_clear = false;
    same_host ? connect(slot) : find_tls(slot);
  });
}

void Pool::State::find_tls(Slot& slot) {
  const RouteTls route = options.tls.value_or(RouteTls{.policy = options.session.tls});
  find_host_tls(route, slot.target.host, slot.target.remote.port, options.secure,
                [this, id = slot.id, guard = std::weak_ptr(alive)](HostTls tls) {
                  if (guard.expired()) return;
                  const auto found = slots.find(id);
                  if (found == slots.end()) return;
                  found->second->tls = std::move(tls);
                  found_tls(*found->second);
                });
}

void Pool::State::found_tls(Slot& slot) {
  if (!slot.tls.unusable) return connect(slot);
  if (options.on_tls) options.on_tls(*slot.tls.unusable);
  slot.walk->skip_host(slot.target, {Stage::kRoute, Cause::kDnsFailure, {}, slot.tls.unusable->detail});
  slot.target.host.clear();
  try_next(slot);
}

void Pool::State::connect(Slot& slot) {
  Connection::Options how{
      .local = options.local, .remote = slot.target.remote, .tls = slot.tls.options, .session = options.session};
  how.named = named();
  how.session.tls = slot.in_clear ? TlsPolicy::kNone : slot.tls.policy;
  if (options.tracer != nullptr) how.transcript = transcript(slot);
  slot.connection = std::make_unique<Connection>(loop, transport, std::move(how), slot);
}

// RFC 8689 4.2.1: the host's name is from a signed zone, in an MTA-STS policy, or the operator's. Anybody has a
// certificate that is good for his own name, and MX records that are not signed may be anybody's.
bool Pool::State::named() const {
  if (!options.tls || options.relay || options.tls->dane) return true;
  const RouteTls& tls = *options.tls;
  return tls.source == TlsSource::kSts || (tls.policy == TlsPolicy::kVerified && !tls.names.empty());
}

std::unique_ptr<Transcript> Pool::State::transcript(const Slot& slot) {
  auto trace = options.tracer->trace(
      {.id = slot.id, .local = options.local, .remote = slot.target.remote, .mx_host = slot.target.host});
  return trace == nullptr ? nullptr : std::make_unique<Transcript>(std::move(trace));
}

void Pool::State::attempt_failed(Slot& slot, const Outcome& outcome) {
  slot.walk->failed(slot.target, outcome, outcome.stage <= Stage::kEhlo && !serves(slot.target.remote));
  report_tls(slot, &outcome);
  const bool may_go_in_clear = slot.tls.policy == TlsPolicy::kOpportunistic && !options.session.implicit_tls;
  if (outcome.cause == Cause::kTlsFailed && may_go_in_clear && !slot.in_clear) {
    slot.in_clear = true;
    return connect(slot);
  }
  try_next(slot);
}

// A host that has connections of ours and takes no more of them is not a bad one.
bool Pool::State::serves(const net::Endpoint& remote) const {
  return std::ranges::any_of(slots, [&](const auto& each) {
    return each.second->phase != Slot::Phase::kOpening && each.second->target.remote == remote;
  });
}

// A session in clear after a handshake that failed has been told of already.
void Pool::State::report_tls(const Slot& slot, const Outcome* failure) const {
  if (!options.on_tls || slot.in_clear || slot.tls.policy == TlsPolicy::kNone) return;
  TlsResult result{.mx_host = slot.target.host,
                   .local = options.local,
                   .remote = slot.target.remote.address,
                   .usable = failure == nullptr,
                   .tls = slot.connection->tls(),
                   .dane = slot.tls.dane,
                   .tlsa = slot.tls.options.tlsa};
  if (failure == nullptr) {
    result.verified = result.tls && slot.connection->tls_info().verified;
    result.failure = result.tls ? slot.connection->tls_info().failure : net::TlsFailure::kNone;
    if (!result.tls) result.trouble = TlsResult::Trouble::kNotOffered;
  } else if (failure->cause == Cause::kTlsUnavailable) {
    result.trouble = TlsResult::Trouble::kNotOffered;
  } else if (failure->cause == Cause::kTlsFailed) {
    result.failure = slot.connection->tls_failure();
    result.trouble = TlsResult::Trouble::kHandshake;
  } else {
    return;  // It did not come to TLS, or had come past it.
  }
  if (failure != nullptr) {
    result.tls = false;
    result.detail = failure->detail;
  }
  options.on_tls(result);
}

void Pool::State::open_failed(Slot& slot) {
  const auto gone = slots.extract(slot.id);
  handler.on_open_failed(door, gone.key(), gone.mapped()->walk->failure());
}

// ---------------------------------------------------------------------------------------------------------------------
// What a connection reports

void Pool::State::on_event(Slot& slot, const SessionEvent& event) {
  switch (event.kind) {
    case SessionEvent::Kind::kStartTls:
      return;  // The Connection's.
    case SessionEvent::Kind::kReady:
      return on_ready(slot);
    case SessionEvent::Kind::kRecipient:
      return handler.on_recipient(door, slot.id, event.recipient, event.outcome);
    case SessionEvent::Kind::kTransactionDone:
      return on_done(slot);
    case SessionEvent::Kind::kSending:
      return handler.on_sending(door, slot.id);
    case SessionEvent::Kind::kRoom:
      return handler.on_room(door, slot.id);
    case SessionEvent::Kind::kClosed:
      return slot.phase == Slot::Phase::kOpening ? attempt_failed(slot, event.outcome) : on_closed(slot, event.outcome);
  }
}

void Pool::State::on_ready(Slot& slot) {
  if (slot.walk != nullptr) slot.walk->worked(slot.target);
  if (slot.phase == Slot::Phase::kOpening) report_tls(slot, nullptr);
  slot.walk.reset();
  if (used_up(slot)) return quit(slot);
  slot.phase = Slot::Phase::kIdle;
  slot.idle_since = loop.now();
  idle.push_back(&slot);
  set_idle_timer();
  handler.on_ready(door, slot.id);
}

void Pool::State::on_done(Slot& slot) {
  if (--slot.under_way == 0) {
    slot.phase = Slot::Phase::kBetween;
    --busy;
  }
  handler.on_transaction_done(door, slot.id);
}

void Pool::State::on_closed(Slot& slot, const Outcome& reason) {
  leave_idle(slot);
  const auto gone = slots.extract(slot.id);
  Outcome told = reason;
  if (slot.phase == Slot::Phase::kQuitting && reason.cause != Cause::kReply) told.cause = Cause::kCancelled;
  handler.on_closed(door, gone.key(), told);
}

// ---------------------------------------------------------------------------------------------------------------------
// Work and idleness

bool Pool::State::used_up(const Slot& slot) const {
  return slot.last || slot.messages >= options.messages_per_connection;
}

bool Pool::State::room(const Slot& slot) const {
  return slot.phase == Slot::Phase::kBusy && !used_up(slot) && slot.connection->room();
}

void Pool::State::send(Slot& slot, const Transaction& transaction) {
  assert(slot.phase == Slot::Phase::kIdle || room(slot));
  leave_idle(slot);
  slot.phase = Slot::Phase::kBusy;
  if (slot.under_way++ == 0) ++busy;
  ++slot.messages;
  slot.connection->begin(transaction);
}

void Pool::State::drop(ConnectionId id) {
  const auto gone = slots.extract(id);
  if (gone.empty()) return;
  leave_idle(*gone.mapped());
  if (gone.mapped()->under_way > 0) --busy;
}

void Pool::State::quit(Slot& slot) {
  leave_idle(slot);
  slot.phase = Slot::Phase::kQuitting;
  slot.connection->quit();
}

void Pool::State::leave_idle(const Slot& slot) {
  if (slot.phase != Slot::Phase::kIdle) return;
  const auto at = std::find(idle.rbegin(), idle.rend(), &slot);  // Most often the last.
  idle.erase(std::next(at).base());
}

void Pool::State::quit_expired() {
  while (!idle.empty() && idle.front()->idle_since + options.idle_timeout <= loop.now()) quit(*idle.front());
  set_idle_timer();
}

// Like a Connection's, the timer may be early, never late.
void Pool::State::set_idle_timer() {
  if (idle.empty() || idle_timer.armed()) return;
  loop.timers().arm(idle_timer, idle.front()->idle_since + options.idle_timeout);
}

// ---------------------------------------------------------------------------------------------------------------------
// The door

Pool::Pool(net::Loop& loop, net::Transport& transport, net::Resolver& resolver, PoolOptions options,
           std::vector<RouteHost> hosts, PoolHandler& handler, Random& random)
    : state_(new State{*this, loop, transport, resolver, std::move(options), std::move(hosts), handler, random}) {}
Pool::~Pool() = default;

bool Pool::can_open() const noexcept { return open_connections() < state_->options.connections_max; }

ConnectionId Pool::open() {
  assert(can_open());
  return state_->open();
}

ConnectionId Pool::idle() const noexcept { return state_->idle.empty() ? 0 : state_->idle.back()->id; }

void Pool::send(ConnectionId connection, const Transaction& transaction) {
  state_->send(*state_->slots.at(connection), transaction);
}

bool Pool::room(ConnectionId connection) const {
  const auto found = state_->slots.find(connection);
  return found != state_->slots.end() && state_->room(*found->second);
}

std::size_t Pool::recipients_max(ConnectionId connection) const {
  const auto found = state_->slots.find(connection);
  const bool connected = found != state_->slots.end() && found->second->connection != nullptr;
  return connected ? found->second->connection->recipients_max() : 0;
}

void Pool::finish(ConnectionId connection) {
  State::Slot& slot = *state_->slots.at(connection);
  slot.last = true;
  if (slot.phase == State::Slot::Phase::kIdle) state_->quit(slot);
}

void Pool::drop(ConnectionId connection) { state_->drop(connection); }

ConnectionInfo Pool::info(ConnectionId connection) const {
  const auto found = state_->slots.find(connection);
  if (found == state_->slots.end()) return {};
  const State::Slot& slot = *found->second;
  const bool tls = slot.connection != nullptr && slot.connection->tls();
  return {.mx_host = slot.target.host,
          .remote = slot.target.remote,
          .tls = tls,
          .verified = tls ? slot.tls.options.verify : net::TlsVerify::kNone};
}

// With messages under way a transcript could not tell a message from commands.
void Pool::trace(ConnectionId connection) {
  const auto found = state_->slots.find(connection);
  if (found == state_->slots.end() || state_->options.tracer == nullptr) return;
  State::Slot& slot = *found->second;
  if (slot.phase == State::Slot::Phase::kIdle && !slot.connection->traced())
    slot.connection->trace(state_->transcript(slot));
}

int Pool::open_connections() const noexcept { return static_cast<int>(state_->slots.size()); }
int Pool::busy_connections() const noexcept { return state_->busy; }
void Pool::set_connections_max(int count) noexcept { state_->options.connections_max = count; }

void Pool::set_messages_per_connection(int count) noexcept { state_->options.messages_per_connection = count; }

void Pool::set_messages_in_flight(int count) noexcept { state_->options.session.messages_in_flight = count; }

void Pool::quit_idle() {
  while (!state_->idle.empty()) state_->quit(*state_->idle.back());
}

}  // namespace mailsbuddy::smtp

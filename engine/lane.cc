#include <algorithm>
#include <climits>
#include <utility>

#include "engine/signal_of.h"
#include "engine/site.h"
#include "engine/worker.h"

namespace mailsbuddy::engine {
namespace {

// How long a number of connections that a host showed to be its most is believed.
constexpr Duration kCapBelieved = std::chrono::minutes(10);

// What waits is not for this lane after all, for a reason that opening another connection does not change.
constexpr Duration kRest = std::chrono::minutes(1);

// How long a provider that does not like messages that overlap gets one after the other.
constexpr Duration kOneByOne = std::chrono::hours(24);

bool is_lost(const Outcome& outcome) {
  return outcome.cause == Cause::kConnectionLost || outcome.cause == Cause::kProtocolError ||
         outcome.cause == Cause::kTimeout;
}

// The peer ended a connection that had worked, before it took this message's sender: its limit of messages per
// connection, or its patience. That is no attempt; the message goes on the next connection.
bool connection_used_up(const Outcome& outcome, int completed) {
  if (completed == 0 || outcome.stage > Stage::kMailFrom) return false;
  return outcome.cause == Cause::kConnectionLost || (outcome.cause == Cause::kReply && outcome.reply.code == 421);
}

TracedMessage traced(const Prepared& message) {
  return {.job = message.job->id, .campaign = message.job->tag, .recipient = message.recipient};
}

}  // namespace

bool hopeless_for_good(const Outcome& outcome) noexcept {
  return outcome.cause == Cause::kMailLoop || outcome.cause == Cause::kProhibitedAddress;
}

Lane::Lane(Site& site, Worker& worker, Egress& egress, bool guest)
    : site_(site),
      worker_(worker),
      egress_(egress),
      guest_(guest),
      tracer_(worker.traces(), site.provider().id.name, egress.ip->address) {}

Lane::~Lane() {
  egress_.connections -= open_connections();
  worker_.count_connections(-open_connections());
}

bool Lane::cold() const { return site_.provider().pacer.cold(egress_.number); }

bool Lane::exhausted(TimePoint now) const { return site_.provider().pacer.exhausted(egress_.number, now); }

TimePoint Lane::ready_at(TimePoint now, bool above_cap) const {
  warming::Pacer& pacer = site_.provider().pacer;
  return above_cap ? pacer.next_over_cap(egress_.number, {}, now) : pacer.next(egress_.number, {}, now);
}

TimePoint Lane::wakes_at(TimePoint now, bool above_cap) const {
  const TimePoint permit = ready_at(now, above_cap);
  if (permit == warming::kNever || open_connections() > 0) return permit;
  const TimePoint connection =
      std::max({site_.provider().pacer.next_connection(egress_.number, now), set_aside_until_, rests_until_});
  if (permit > now + kOpenAhead) return std::max(permit - kOpenAhead, connection);
  return connection > now ? connection : permit;
}

// At 0 the IP is stopped: what is missing is time, and not a connection of others that ends.
bool Lane::full(TimePoint now) const {
  Provider& provider = site_.provider();
  const int most = provider.pacer.connections(egress_.number, now);
  const int total = provider.pacer.connections_max(warming::Subject::kTotal, {});
  return (most > 0 && egress_.connections >= most) || (total < INT_MAX && provider.connections() >= total) ||
         site_.full();
}

bool Lane::too_many(TimePoint now) const {
  return egress_.connections > site_.provider().pacer.connections(egress_.number, now);
}

bool Lane::proven() const {
  return std::any_of(connections_.begin(), connections_.end(),
                     [](const auto& each) { return each.second.completed > 0; });
}

bool Lane::reachable(TimePoint now) const {
  return set_aside_until_ <= now && site_.provider().pacer.connections(egress_.number, now) > 0;
}

void Lane::quit_idle() {
  if (pool_ != nullptr) pool_->quit_idle();
}

// One at a time until one has taken or refused a message: a host that is down, or drops what it accepts, is not called
// ten times at once. While one idles, what is missing is a permit and not a connection.
bool Lane::may_open(TimePoint now, bool above_cap) {
  if (open_connections() > 0 && (idle() != 0 || !proven())) return false;
  if (std::max(set_aside_until_, rests_until_) > now || full(now)) return false;
  warming::Pacer& pacer = site_.provider().pacer;
  const int most = pacer.connections(egress_.number, now);
  if (most == 0 || ready_at(now, above_cap) > now + (open_connections() > 0 ? Duration(0) : kOpenAhead)) return false;
  if (pacer.next_connection(egress_.number, now) > now) return false;
  if (pool_ != nullptr && capped_until_ <= now) pool_->set_connections_max(most);
  return pool_ == nullptr || pool_->can_open();
}

void Lane::open() {
  site_.provider().pacer.take_connection(egress_.number, worker_.now());
  if (pool_ == nullptr) {
    pool_ = worker_.make_pool(egress_, site_, *this, tracer_, [this](const smtp::TlsResult& result) { on_tls(result); });
  }
  pool_->set_messages_in_flight(window(worker_.now()));
  ++egress_.connections;
  worker_.count_connections(1);
  pool_->open();
}

smtp::ConnectionId Lane::idle() const noexcept { return pool_ == nullptr ? 0 : pool_->idle(); }

void Lane::send(smtp::ConnectionId id, PreparedPtr prepared) {
  const TimePoint now = worker_.now();
  site_.let_go(*prepared, now);
  site_.provider().pacer.take(egress_.number, site_.draw(*prepared), now);
  Connection& connection = connections_[id];
  if (connection.tls) {
    const std::string_view to = std::string_view(prepared->recipient);
    if (connection.tls_counted.emplace(to.substr(to.rfind('@') + 1)).second) site_.count_tls(to, &*connection.tls);
  }
  const bool ahead = !connection.carries.empty();
  Sending& sending = connection.carries.emplace_back(
      Sending{.message = std::move(prepared), .rcpt_to = {}, .sent_at = now, .turn_at = now, .ahead = ahead, .started = !ahead});
  const Prepared& message = *sending.message;
  sending.rcpt_to = message.recipient;
  if (tracer_.active()) tracer_.begins(*pool_, id, traced(message), now);
  pool_->send(id, {.mail_from = message.mail_from,
                   .rcpt_to = std::span(&sending.rcpt_to, 1),
                   .data = message.wire,
                   .message_bytes = message.message_bytes,
                   .eight_bit = message.eight_bit,
                   .smtputf8 = message.smtputf8,
                   .require_tls = message.job->require_tls,
                   .ret = message.job->ret,
                   .envid = message.job->envid,
                   .dsn = std::span(&message.dsn, 1)});
}

int Lane::window(TimePoint now) const {
  const Provider& provider = site_.provider();
  return provider.one_by_one_until > now ? 1 : provider.pacer.limits(egress_.number).messages_in_flight;
}

// More messages behind those that the connection carries, as far as the server lets them.
void Lane::follow(smtp::Pool& pool, smtp::ConnectionId id) {
  const TimePoint now = worker_.now();
  const auto most = static_cast<std::size_t>(window(now));
  bool followed = false;
  while (pool.room(id) && connections_.at(id).carries.size() < most && !too_many(now)) {
    PreparedPtr next = site_.next_for(*this, now);
    if (next == nullptr) break;
    send(id, std::move(next));
    followed = true;
  }
  if (followed) site_.refill(now);
}

void Lane::on_ready(smtp::Pool& pool, smtp::ConnectionId connection) {
  Connection& ready = connections_[connection];
  if (opened_) ready.tls = std::exchange(opened_, std::nullopt);
  hopeless_ = false;
  if (too_many(worker_.now())) pool.quit_idle();  // Fewer are allowed than when it was opened.
  site_.pump();
  follow(pool, connection);
}

// The pool tells of a session just before it is ready, and of each that came to nothing.
void Lane::on_tls(const smtp::TlsResult& result) {
  if (result.usable) {
    opened_ = result;
  } else {
    site_.tls_failed(result);
  }
}

// The last look at a message whose envelope was sent early. Its content has not been: dropping the connection is all
// that keeps it from being taken.
void Lane::on_sending(smtp::Pool& pool, smtp::ConnectionId id) {
  Sending& front = connections_.at(id).carries.front();
  if (front.ahead && site_.stopped(*front.message, worker_.now())) return withdraw(pool, id);
  follow(pool, id);
}

void Lane::withdraw(smtp::Pool& pool, smtp::ConnectionId id) {
  for (const Sending& each : connections_.at(id).carries) refund(each);
  connections_.erase(id);  // The message is dealt with, and on_sending() comes before anything is put behind it.
  pool.drop(id);
  released();
  site_.pump();
}

void Lane::on_recipient(smtp::Pool& pool, smtp::ConnectionId id, std::size_t, const Outcome& outcome) {
  Connection& connection = connections_.at(id);
  const bool replied = outcome.cause == Cause::kReply && outcome.reply.code != 421;
  connection.completed += replied ? 1 : 0;
  finish(id, outcome, pool.info(id));
  if (replied && connection.carries.front().ahead) ++connection.completed_ahead;
  if (connection.carries.size() > 1) {
    connection.carries[1].started |= replied;
    connection.carries[1].turn_at = worker_.now();
  }
}

// Signs that a server does not like an envelope behind a message: it says that the command is out of order, or it hangs
// up or talks nonsense before it has taken one like that. True: it was one.
bool Lane::learn_to_wait(const Connection& connection, const Outcome& outcome) {
  const Sending& front = connection.carries.front();
  const bool involved =
      front.ahead ? front.started : connection.carries.size() > 1 && outcome.stage == Stage::kFinalDot;
  const bool out_of_order = front.ahead && outcome.cause == Cause::kReply && outcome.reply.code == 503;
  if (!involved || (!out_of_order && (!is_lost(outcome) || connection.completed_ahead > 0))) return false;
  site_.provider().one_by_one_until = worker_.now() + kOneByOne;
  worker_.log(LogLevel::kInfo, "{} gets one message after the other: {}", site_.provider().id.name, outcome.str());
  return true;
}

// Rows 8 to 10 of a recipient's way: classify and settle (Delivery), then learn.
void Lane::finish(smtp::ConnectionId id, const Outcome& outcome, const smtp::ConnectionInfo& info) {
  Connection& connection = connections_.at(id);
  Sending& sending = connection.carries.front();
  if (tracer_.active()) tracer_.ended(id, traced(*sending.message), outcome, worker_.now());
  const Carrier carrier{
      .provider = site_.provider().id.name, .egress = egress_.ip->address, .mx_host = info.mx_host, .tls = info.tls,
      .tls_verified = info.verified};
  if (outcome.stage < Stage::kRcptTo) refund(sending);
  const bool minds = learn_to_wait(connection, outcome) && !outcome.unknown();
  if (!sending.started && outcome.stage <= Stage::kMailFrom) {  // The connection ended before its turn came.
    site_.push_front(*sending.message);
    return;
  }
  if (outcome.cause == Cause::kEightBitUnavailable && !sending.message->seven_bit) {  // No attempt: made anew.
    site_.make_seven_bit();
    site_.push_front(*sending.message);
    return;
  }
  if (minds || connection_used_up(outcome, connection.completed)) {
    const bounce::Verdict verdict = bounce::classify(outcome, site_.provider().id);
    if (!minds && verdict.klass != bounce::Class::kTooManyConnections) learn(outcome, verdict, &sending);
    site_.push_front(*sending.message);
    return;
  }
  const Prepared& prepared = *sending.message;
  const auto settle = [&](const Outcome& known) {
    learn(known,
          worker_.delivery().settle({.job = prepared.job, .row = prepared.row, .recipient = prepared.recipient}, known,
                                    carrier),
          &sending);
  };
  if (outcome.cause != Cause::kEightBitUnavailable) return settle(outcome);
  Outcome explained = outcome;
  explained.detail += "; " + prepared.stays_eight_bit;
  settle(explained);
}

void Lane::refund(const Sending& sending) {
  site_.provider().pacer.refund(egress_.number, site_.draw(*sending.message), sending.sent_at);
}

void Lane::learn(const Outcome& outcome, const bounce::Verdict& verdict, const Sending* sending) {
  const TimePoint now = worker_.now();
  warming::Signal signal = signal_of(verdict);
  if (outcome.delivered()) failures_ = 0;
  if (sending != nullptr) {
    signal.sender_domain = sending->message->job->from_domain;
    if (outcome.delivered()) signal.latency = now - sending->turn_at;
  }
  site_.provider().pacer.learn(egress_.number, signal, now);
  worker_.report(site_.provider());
}

// on_ready(), on_closed() or the replies to the next one follow.
void Lane::on_transaction_done(smtp::Pool&, smtp::ConnectionId id) { connections_.at(id).carries.pop_front(); }

void Lane::released() {
  --egress_.connections;
  worker_.count_connections(-1);
  worker_.connection_released(site_.provider());
}

void Lane::set_aside(TimePoint now) { set_aside_until_ = now + worker_.retries().after_failures(++failures_); }

void Lane::on_closed(smtp::Pool&, smtp::ConnectionId connection, const Outcome& reason) {
  const auto found = connections_.find(connection);
  const bool useless = found != connections_.end() && found->second.completed == 0 &&
                       !(reason.cause == Cause::kReply && reason.reply.positive());
  const bool unused = found != connections_.end() && found->second.completed == 0 && !useless;
  if (found != connections_.end()) connections_.erase(found);
  if (unused && site_.waiting() > 0) rests_until_ = worker_.now() + kRest;
  // A host that takes connections and drops them before it has answered once must not be called again and again.
  if (useless && !proven() && site_.waiting() > 0) set_aside(worker_.now());
  released();
  site_.pump();
}

void Lane::on_open_failed(smtp::Pool& pool, smtp::ConnectionId, const Outcome& reason) {
  if (!connections_.empty()) {
    pool.set_connections_max(pool.open_connections());  // It takes no more at once than it has.
    capped_until_ = worker_.now() + kCapBelieved;
  } else {
    learn(reason, bounce::classify(reason, site_.provider().id));
    set_aside(worker_.now());
    hopeless_ = hopeless_for_good(reason);
    site_.lane_failed(reason);
  }
  released();
  site_.pump();
}

}  // namespace mailsbuddy::engine

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

// How long a host is believed to take mail after the connection has ended that showed it. Not where permits are what is
// missing: as many connections as are allowed would be opened for the next one.
constexpr Duration kProvenFor = std::chrono::minutes(1);

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

// Replies that a pacer counts one by one, and acts on: what one transaction is told to each of its recipients is told
// once. The others are shares of what was tried, which is counted by recipients.
bool acts_by_itself(const warming::Signal& signal) {
  using warming::SignalKind;
  return signal.kind == SignalKind::kRateLimited || signal.kind == SignalKind::kTooManyConnections ||
         signal.kind == SignalKind::kReputation || signal.kind == SignalKind::kBlocked ||
         signal.kind == SignalKind::kUnreachable || signal.needs_operator || signal.slow_restart;
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

bool Lane::draining() const { return worker_.draining(egress_.number); }

bool Lane::exhausted(TimePoint now) const {
  return draining() || site_.provider().pacer.exhausted(egress_.number, now);
}

TimePoint Lane::ready_at(TimePoint now, bool above_cap) const {
  if (draining()) return warming::kNever;
  warming::Pacer& pacer = site_.provider().pacer;
  return above_cap ? pacer.next_over_cap(egress_.number, {}, now) : pacer.next(egress_.number, {}, now);
}

TimePoint Lane::wakes_at(TimePoint now, bool above_cap) const {
  const TimePoint permit = ready_at(now, above_cap);
  if (permit == warming::kNever || open_connections() > 0) return permit;
  const TimePoint connection =
      std::max({site_.provider().pacer.next_connection(egress_.number, site_.name(), now), set_aside_until_, rests_until_});
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
  return draining() || egress_.connections > site_.provider().pacer.connections(egress_.number, now);
}

bool Lane::proven(TimePoint now) const {
  return now < proven_until_ || std::any_of(connections_.begin(), connections_.end(),
                                            [](const auto& each) { return each.second.completed > 0; });
}

bool Lane::reachable(TimePoint now) const {
  return !draining() && set_aside_until_ <= now && site_.provider().pacer.connections(egress_.number, now) > 0;
}

void Lane::change() {
  if (pool_ != nullptr)
    pool_->set_messages_per_connection(site_.provider().pacer.messages_per_connection(egress_.number, site_.name()));
}

void Lane::quit_idle() {
  if (pool_ != nullptr) pool_->quit_idle();
}

// One at a time until one has taken or refused a message: a host that is down, or drops what it accepts, is not called
// ten times at once. While one idles, what is missing is a permit and not a connection.
bool Lane::may_open(TimePoint now, bool above_cap) {
  if (open_connections() > 0 && (idle() != 0 || !proven(now))) return false;
  if (std::max(set_aside_until_, rests_until_) > now || full(now)) return false;
  warming::Pacer& pacer = site_.provider().pacer;
  const int most = pacer.connections(egress_.number, now);
  if (most == 0 || ready_at(now, above_cap) > now + (open_connections() > 0 ? Duration(0) : kOpenAhead)) return false;
  if (pacer.next_connection(egress_.number, site_.name(), now) > now) return false;
  if (pool_ != nullptr && capped_until_ <= now) pool_->set_connections_max(most);
  return pool_ == nullptr || pool_->can_open();
}

void Lane::open() {
  site_.provider().pacer.take_connection(egress_.number, site_.name(), worker_.now());
  if (pool_ == nullptr) {
    pool_ = worker_.make_pool(egress_, site_, *this, tracer_, [this](const smtp::TlsResult& result) { on_tls(result); });
  }
  pool_->set_messages_in_flight(window(worker_.now()));
  ++egress_.connections;
  worker_.count_connections(1);
  pool_->open();
}

smtp::ConnectionId Lane::idle() const noexcept { return pool_ == nullptr ? 0 : pool_->idle(); }

// One permit a recipient: providers count those, and warm-up is meant by them. The octets travel once, with the first
// one. Who gets none now, or has no place in the transaction, waits for the next, made as it is.
void Lane::take_permits(smtp::ConnectionId id, Prepared& message, TimePoint now) {
  warming::Pacer& pacer = site_.provider().pacer;
  const auto take = [&](Prepared& recipient) {
    site_.let_go(recipient, now);
    pacer.take(egress_.number, site_.draw(recipient), now);
  };
  take(message);
  if (message.others.empty()) return;
  const auto most = std::min<std::size_t>(
      static_cast<std::size_t>(pacer.recipients_per_transaction(egress_.number, site_.draw(message))), pool_->recipients_max(id));
  std::size_t taken = 1;
  for (; taken < message.recipients() && taken < most && site_.may_join(*this, message.at(taken), now); ++taken) {
    take(message.at(taken));
  }
  if (taken < message.recipients()) site_.put_back(split(message, taken));
}

void Lane::send(smtp::ConnectionId id, PreparedPtr prepared) {
  const TimePoint now = worker_.now();
  sent_at_ = now;
  take_permits(id, *prepared, now);
  Connection& connection = connections_[id];
  if (connection.tls) {
    each_recipient(*prepared, [&](const Prepared& each) {
      const std::string_view to = std::string_view(each.recipient);
      if (connection.tls_counted.emplace(to.substr(to.rfind('@') + 1)).second) site_.count_tls(to, &*connection.tls);
    });
  }
  const bool ahead = !connection.carries.empty();
  Sending& sending = connection.carries.emplace_back(
      Sending{.message = std::move(prepared), .rcpt_to = {}, .sent_at = now, .turn_at = now, .ahead = ahead, .started = !ahead});
  Prepared& message = *sending.message;
  sending.rcpt_to = message.recipient;
  const bool several = !message.others.empty();
  message.rcpt_to.clear();  // It may have been under way before.
  message.rcpt_dsn.clear();
  each_recipient(message, [&](const Prepared& each) {
    if (several) message.rcpt_to.push_back(each.recipient);
    if (several) message.rcpt_dsn.push_back(each.dsn);
    if (tracer_.active()) tracer_.begins(*pool_, id, traced(each), now);
  });
  pool_->send(id,
              {.mail_from = message.mail_from,
               .rcpt_to = several ? std::span<const std::string_view>(message.rcpt_to) : std::span(&sending.rcpt_to, 1),
               .data = message.wire,
               .message_bytes = message.message_bytes,
               .eight_bit = message.eight_bit,
               .smtputf8 = message.smtputf8,
               .require_tls = message.job->require_tls,
               .ret = message.job->ret,
               .envid = message.job->envid,
               .dsn = several ? std::span<const smtp::RecipientDsn>(message.rcpt_dsn) : std::span(&message.dsn, 1)});
  if (site_.provider().pacer.carry(connection.carried, site_.draw(message), now)) pool_->finish(id);
  hungry_ |= pool_->room(id);  // By BDAT at once.
}

int Lane::window(TimePoint now) const {
  const Provider& provider = site_.provider();
  return provider.one_by_one_until > now ? 1 : provider.pacer.limits(egress_.number).messages_in_flight;
}

// A window of each, and one that is made meanwhile: none waits for the CPU.
std::size_t Lane::appetite(TimePoint now) const {
  return connections_.size() * static_cast<std::size_t>(window(now) + 1);
}

// More messages behind those that the connection carries, as far as the server lets them.
bool Lane::follow(smtp::Pool& pool, smtp::ConnectionId id) {
  const TimePoint now = worker_.now();
  const auto most = static_cast<std::size_t>(window(now));
  bool followed = false;
  bool found = true;
  while (pool.room(id) && connections_.at(id).carries.size() < most && !too_many(now)) {
    PreparedPtr next = site_.next_for(*this, now);
    found = next != nullptr;
    hungry_ |= !found;
    if (!found) break;
    send(id, std::move(next));
    followed = true;
  }
  if (followed) site_.refill(now);
  return found;
}

// Ends with the first that finds nothing again: nor would the others.
void Lane::feed() {
  if (!std::exchange(hungry_, false)) return;
  for (const auto& [id, connection] : connections_) {
    if (!connection.carries.empty() && !follow(*pool_, id)) return;
  }
}

void Lane::on_ready(smtp::Pool& pool, smtp::ConnectionId connection) {
  Connection& ready = connections_[connection];
  if (ready.ready_at == TimePoint{}) ready.ready_at = worker_.now();
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
  if (!withdrawn(pool, id)) follow(pool, id);
}

// One recipient who must not have it takes the connection from all; the others were not tried and go at once. Nothing
// is behind the message yet: on_sending() comes before that.
bool Lane::withdrawn(smtp::Pool& pool, smtp::ConnectionId id) {
  Sending& front = connections_.at(id).carries.front();
  if (!front.ahead) return false;
  Prepared& message = *front.message;
  const std::size_t named = message.recipients();
  const bool gone = site_.stopped(message, worker_.now());
  if (!gone && message.recipients() == named) return false;
  // No permit comes back: the server has accepted these recipients, and counts them.
  PreparedPtr rest = gone ? nullptr : std::move(front.message);
  connections_.erase(id);
  pool.drop(id);
  if (rest != nullptr && keep_recipients(*rest, [](const Prepared& each) { return each.part != Part::kEnded; })) {
    site_.put_back(std::move(rest));
  }
  released();
  site_.pump();
  return true;
}

void Lane::on_recipient(smtp::Pool& pool, smtp::ConnectionId id, std::size_t recipient, const Outcome& outcome) {
  Connection& connection = connections_.at(id);
  Sending& front = connection.carries.front();
  const bool replied = outcome.cause == Cause::kReply && outcome.reply.code != 421;
  const bool first_reply = replied && !std::exchange(front.replied, front.replied || replied);
  connection.completed += first_reply ? 1 : 0;
  finish(id, front.message->at(recipient), outcome, pool.info(id));
  if (first_reply && front.ahead) ++connection.completed_ahead;
}

// Signs that a server does not like an envelope behind a message: it says that the command is out of order, or it hangs
// up or talks nonsense before it has taken one like that. True: it was one.
bool Lane::learn_to_wait(const Connection& connection, const Outcome& outcome) {
  const Sending& front = connection.carries.front();
  const bool involved =
      front.ahead ? front.started : connection.carries.size() > 1 && outcome.stage == Stage::kFinalDot;
  const bool out_of_order = front.ahead && outcome.cause == Cause::kReply && outcome.reply.code == 503;
  if (!involved || (!out_of_order && (!is_lost(outcome) || connection.completed_ahead > 0))) return false;
  const TimePoint until = worker_.now() + kOneByOne;
  if (std::exchange(site_.provider().one_by_one_until, until) == until) return true;  // By another recipient.
  worker_.log(LogLevel::kInfo, "{} gets one message after the other: {}", site_.provider().id.name, outcome.str());
  return true;
}

// Rows 8 to 10 of a recipient's way: classify and settle (Delivery), then learn.
void Lane::finish(smtp::ConnectionId id, Prepared& recipient, const Outcome& outcome,
                  const smtp::ConnectionInfo& info) {
  Connection& connection = connections_.at(id);
  Sending& sending = connection.carries.front();
  recipient.part = Part::kEnded;
  if (tracer_.active()) tracer_.ended(id, traced(recipient), outcome, worker_.now());
  const Carrier carrier{
      .provider = site_.provider().id.name, .egress = egress_.ip->address, .mx_host = info.mx_host, .tls = info.tls,
      .tls_verified = info.verified};
  if (outcome.stage < Stage::kRcptTo || outcome.cause == Cause::kTransactionFull) refund(sending, recipient);
  if (outcome.cause == Cause::kTransactionFull) {  // No attempt: with the transaction's end it goes in another.
    recipient.part = Part::kAgain;
    return;
  }
  const bool minds = learn_to_wait(connection, outcome) && !outcome.unknown();
  if (!sending.started && outcome.stage <= Stage::kMailFrom) {  // The connection ended before its turn came.
    site_.requeue(recipient);
    return;
  }
  if (outcome.cause == Cause::kEightBitUnavailable && !sending.message->seven_bit) {  // No attempt: made anew.
    site_.make_seven_bit();
    site_.requeue(recipient);
    return;
  }
  if (minds || connection_used_up(outcome, connection.completed)) {
    const bounce::Verdict verdict = bounce::classify(outcome, site_.provider().id);
    if (!minds && verdict.klass != bounce::Class::kTooManyConnections) learn(outcome, verdict, &sending, &recipient);
    site_.requeue(recipient);
    return;
  }
  const auto settle = [&](const Outcome& known) {
    learn(known,
          worker_.delivery().settle({.job = recipient.job, .row = recipient.row, .recipient = recipient.recipient},
                                    known, carrier),
          &sending, &recipient);
  };
  if (outcome.cause != Cause::kEightBitUnavailable) return settle(outcome);
  Outcome explained = outcome;
  explained.detail += "; " + sending.message->stays_eight_bit;
  settle(explained);
}

void Lane::refund(const Sending& sending, const Prepared& recipient) {
  site_.provider().pacer.refund(egress_.number, site_.draw(recipient), sending.sent_at);
}

void Lane::learn(const Outcome& outcome, const bounce::Verdict& verdict, Sending* sending, const Prepared* recipient) {
  const TimePoint now = worker_.now();
  warming::Signal signal = signal_of(verdict);
  if (outcome.delivered()) failures_ = 0;
  if (sending != nullptr) {
    const std::uint32_t bit = 1U << static_cast<unsigned>(signal.kind);
    if (acts_by_itself(signal) && (sending->taught & bit) != 0) return;
    sending->taught |= bit;
    signal.sender_domain = recipient->job->from_domain;
    if (outcome.delivered()) signal.latency = now - sending->turn_at;
  }
  site_.provider().pacer.learn(egress_.number, signal, now);
  worker_.report(site_.provider());
}

// on_ready(), on_closed() or the replies to the next one follow.
void Lane::on_transaction_done(smtp::Pool&, smtp::ConnectionId id) {
  auto& carries = connections_.at(id).carries;
  PreparedPtr message = std::move(carries.front().message);
  const bool replied = carries.front().replied;
  const bool had_places = !message->places.empty();
  carries.pop_front();
  if (!carries.empty()) {
    carries.front().started |= replied;
    carries.front().turn_at = worker_.now();
  }
  const auto again = [](const Prepared& each) { return each.part == Part::kAgain; };
  if (keep_recipients(*message, again)) site_.put_back(std::move(message));
  message.reset();
  if (had_places) worker_.place_free(site_.provider());
}

void Lane::released() {
  --egress_.connections;
  worker_.count_connections(-1);
  worker_.connection_released(site_.provider());
}

// False: it is. What fails then was begun beside the one that failed first: that is one failure.
bool Lane::set_aside(TimePoint now) {
  if (set_aside_until_ > now) return false;
  set_aside_until_ = now + worker_.retries().after_failures(++failures_);
  return true;
}

void Lane::on_closed(smtp::Pool&, smtp::ConnectionId connection, const Outcome& reason) {
  const TimePoint now = worker_.now();
  const auto found = connections_.find(connection);
  const bool useless = found != connections_.end() && found->second.completed == 0 &&
                       reason.cause != Cause::kCancelled && !(reason.cause == Cause::kReply && reason.reply.positive());
  const bool unused = found != connections_.end() && found->second.completed == 0 && !useless;
  // What waited all the time that the connection was there, and went by no other either, is not for this lane. What
  // came as it ended may well be.
  if (unused && sent_at_ < found->second.ready_at && site_.waiting() > 0 &&
      site_.waits_since(now) <= found->second.ready_at)
    rests_until_ = now + kRest;
  if (useless) {
    proven_until_ = {};
  } else if (found != connections_.end() && found->second.completed > 0 && ready_at(now, false) <= now) {
    proven_until_ = now + kProvenFor;
  }
  if (found != connections_.end()) connections_.erase(found);
  // A host that takes connections and drops them before it has answered once must not be called again and again.
  if (useless && !proven(now) && site_.waiting() > 0) set_aside(now);
  released();
  site_.pump();
}

void Lane::on_open_failed(smtp::Pool& pool, smtp::ConnectionId, const Outcome& reason) {
  if (!connections_.empty()) {
    pool.set_connections_max(pool.open_connections());  // It takes no more at once than it has.
    capped_until_ = worker_.now() + kCapBelieved;
  } else if (set_aside(worker_.now())) {
    proven_until_ = {};
    learn(reason, bounce::classify(reason, site_.provider().id));
    hopeless_ = hopeless_for_good(reason);
    site_.lane_failed(reason);
  }
  released();
  site_.pump();
}

}  // namespace mailsbuddy::engine

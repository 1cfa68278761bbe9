#include "smtp/listen_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "smtp/proxy_header.h"

namespace mailsbuddy::smtp {

ListenSession::ListenSession(ListenShared& shared, Connection connection, Random& random)
    : shared_(shared),
      connection_(std::move(connection)),
      random_(random),
      session_(shared.server_options[connection_.endpoint]),
      self_(std::make_shared<ListenSession*>(this)),
      client_(unmapped(connection_.peer.address)) {}

ListenSession::~ListenSession() {
  now_ = trace_ ? connection_.now() : now_;
  step(phase_ == Phase::kOver ? "closed" : "closed by the client");
  drop_message();
  if (admitted_) shared_.clients.release_connection(client_, exempt_);
}

// ---------------------------------------------------------------------------------------------------------------------
// The connection's beginning: PROXY header, TLS, greeting

void ListenSession::begin(TimePoint now) {
  now_ = begun_ = last_input_ = asked_at_ = now;
  look_who_follows();
  step("connected");
  exempt_ = contains(shared_.trusted, client_);
  const Verdict verdict = shared_.clients.take_connection(client_, exempt_, now);
  admitted_ = verdict == Verdict::kTaken;
  if (!admitted_) {
    ListenCounters::add(shared_.counters.connections_refused);
    log(LogLevel::kInfo, "refused: too many connections");
    // Under a PROXY header or TLS nobody would understand what is said in clear.
    if (endpoint().proxy || endpoint().tls == ListenTls::kImplicit) return end_silently();
    phase_ = Phase::kSession;
    session_.refuse("421 4.7.0 Too many connections, try again later");
    return run();
  }
  if (!endpoint().proxy) return known(connection_.peer);
  if (!exempt_) {  // Whoever can reach this port could claim to be anybody.
    ListenCounters::add(shared_.counters.connections_refused);
    log(LogLevel::kWarning, "refused: a PROXY header is expected, and not from there");
    end_silently();
  }
}

void ListenSession::end_silently() noexcept { phase_ = Phase::kOver; }

void ListenSession::take_header(std::string_view bytes) {
  early_.append(bytes);
  const ProxyHeader header = parse_proxy_header(early_);
  if (header.status == ProxyHeader::Status::kIncomplete) return;
  if (header.status == ProxyHeader::Status::kBad) {
    ListenCounters::add(shared_.counters.connections_refused);
    ListenCounters::add(shared_.counters.protocol_errors);
    log(LogLevel::kWarning, "refused: bad PROXY header");
    return end_silently();
  }
  early_.erase(0, header.size);
  known(header.source.value_or(connection_.peer));
}

void ListenSession::known(const net::Endpoint& client) {
  const net::IpAddress address = unmapped(client.address);
  Verdict verdict = Verdict::kTaken;
  if (address != client_) {
    verdict = shared_.clients.rename_connection(client_, exempt_, address, now_);
    if (verdict == Verdict::kTaken) exempt_ = false;
    if (verdict == Verdict::kTaken) client_ = address;
    if (trace_) trace_->client(now_, client, "PROXY");
  }
  if (endpoint().tls == ListenTls::kImplicit) {
    if (verdict != Verdict::kTaken) return end_silently();
    phase_ = Phase::kHandshake;
    tls_wanted_ = true;
    asked_at_ = now_;
    return;
  }
  phase_ = Phase::kSession;
  if (verdict == Verdict::kTaken) {
    admit();
  } else {
    ListenCounters::add(shared_.counters.connections_refused);
    session_.refuse("421 4.7.0 Too many connections, try again later");
  }
  const std::string early = std::exchange(early_, {});
  session_.feed(early);
  run();
}

void ListenSession::admit() {
  if (shared_.draining || shared_.handler->pressure() == Pressure::kShutdown) {
    ListenCounters::add(shared_.counters.connections_refused);
    return session_.refuse(kShuttingDown);
  }
  ListenCounters::add(shared_.counters.connections);
  // Behind a PROXY header the client's commands pass through the proxy as they are: it could say XCLIENT itself.
  if (!endpoint().proxy && contains(shared_.trusted, client_)) session_.trust_xclient();
  session_.greet();
}

std::optional<std::string> ListenSession::take_tls() {
  if (!std::exchange(tls_wanted_, false)) return std::nullopt;
  return std::exchange(early_, {});
}

void ListenSession::tls_started(TimePoint now, std::string_view words) {
  now_ = last_input_ = now;
  if (trace_) trace_->user({});
  step(words.empty() ? "TLS" : words);
  ListenCounters::add(shared_.counters.tls_handshakes);
  phase_ = Phase::kSession;
  session_.tls_started();
  identity_ = {};
  if (endpoint().tls == ListenTls::kImplicit) admit();
  run();
}

void ListenSession::tls_failed() {
  step("TLS failed");
  ListenCounters::add(shared_.counters.protocol_errors);
  end_silently();
}

// ---------------------------------------------------------------------------------------------------------------------
// In

void ListenSession::feed(std::string_view bytes, TimePoint now) {
  now_ = last_input_ = now;
  switch (phase_) {
    case Phase::kHeader:
      return take_header(bytes);
    case Phase::kSession:
      if (session_.at_command() && between_messages()) look_who_follows();
      if (!session_.in_content() && bytes.find('\n') != std::string_view::npos) line_begun_.reset();
      session_.feed(bytes);
      return run();
    case Phase::kHandshake:
    case Phase::kOver:
      return;
  }
}

// Whoever is between messages when the listener drains is told so, also behind the reply to its last one: clients read
// it as the answer to what they say next, as they do a time-out's (RFC 5321 3.8).
void ListenSession::run() {
  poll_all();
  if (shared_.draining && between_messages()) {
    session_.refuse(kShuttingDown);
    poll_all();
  }
}

bool ListenSession::between_messages() const noexcept {
  return phase_ == Phase::kSession && !session_.in_transaction() && !session_.message_begun() &&
         !session_.answer_owed();
}

void ListenSession::drain(TimePoint now) {
  now_ = now;
  if (phase_ == Phase::kSession) run();
}

void ListenSession::poll_all() {
  while (const auto event = session_.poll()) on_event(*event);
  const std::uint64_t errors = session_.protocol_errors();
  ListenCounters::add(shared_.counters.protocol_errors, errors - std::exchange(errors_counted_, errors));
  if (!session_.line_pending())
    line_begun_.reset();
  else if (!line_begun_)
    line_begun_ = now_;
  if (!session_.message_begun())
    content_begun_.reset();
  else if (!content_begun_)
    content_begun_ = now_;
}

void ListenSession::on_event(const ServerEvent& event) {
  switch (event.kind) {
    case ServerEvent::Kind::kMail:
      return on_mail(event.text);
    case ServerEvent::Kind::kRcpt:
      return on_rcpt(event.text);
    case ServerEvent::Kind::kContent:
      return on_content(event.text);
    case ServerEvent::Kind::kMessage:
      return on_message();
    case ServerEvent::Kind::kReset:
      return drop_message();
    case ServerEvent::Kind::kAuth:
      return on_auth();
    case ServerEvent::Kind::kXclient:
      return on_xclient();
    case ServerEvent::Kind::kStartTls:
      drop_message();
      phase_ = Phase::kHandshake;
      tls_wanted_ = true;
      asked_at_ = now_;
      return;
    case ServerEvent::Kind::kClose:
      drop_message();
      phase_ = Phase::kOver;
      return;
  }
}

void ListenSession::answer(std::string_view reply) { session_.answer(reply); }

// ---------------------------------------------------------------------------------------------------------------------
// Time

TimePoint ListenSession::deadline() const noexcept {
  switch (phase_) {
    case Phase::kHeader:
      return begun_ + limits().header_time;
    case Phase::kHandshake:
      return asked_at_ + limits().handshake_time;
    case Phase::kOver:
      return TimePoint::max();
    case Phase::kSession:
      break;
  }
  if (!delayed_reply_.empty()) return reply_at_;
  if (session_.answer_owed()) return asked_at_ + limits().answer_time;
  TimePoint earliest = last_input_ + limits().idle_time;
  if (line_begun_) earliest = std::min(earliest, *line_begun_ + limits().command_time);
  return std::min(earliest,
                  content_begun_ ? *content_begun_ + limits().message_time : begun_ + limits().connection_time);
}

void ListenSession::on_timeout(TimePoint now) {
  if (now < deadline()) return;
  now_ = now;
  if (phase_ == Phase::kSession && !delayed_reply_.empty()) return answer_delayed();
  ListenCounters::add(shared_.counters.timeouts);
  step("time-out");
  if (phase_ != Phase::kSession) return end_silently();
  if (session_.answer_owed()) {
    ++question_;  // What comes yet comes too late.
    const bool judging = !session_.credentials().password().empty();
    if (!std::exchange(sought_, std::nullopt)) drop_message();  // A recipient's look-up leaves the envelope as it is.
    last_input_ = now;  // The client has its time again, for what it says next.
    log(LogLevel::kWarning, "no answer from the handler in time");
    answer(judging ? "454 4.7.0 Cannot judge now, try again later" : "451 4.3.0 No answer in time, try again later");
  } else if (now >= last_input_ + limits().idle_time) {
    session_.refuse("421 4.4.2 Idle for too long");
  } else {
    session_.refuse("421 4.4.2 Took too long");
  }
  run();
}

void ListenSession::answer_delayed() {
  last_input_ = now_;
  answer(std::exchange(delayed_reply_, {}));
  run();
}

// ---------------------------------------------------------------------------------------------------------------------
// For people

void ListenSession::consume(std::size_t count) {
  show_said();
  session_.consume(count);
  shown_ -= std::min(shown_, count);
}

void ListenSession::look_who_follows() {
  const std::uint64_t version = shared_.followers->version();
  if (std::exchange(followers_seen_, version) == version) return;
  if (trace_) {
    trace_->look();
  } else if (shared_.followers->active()) {
    const bool own = unmapped(connection_.peer.address) == client_;
    trace_ = std::make_unique<ListenTrace>(
        *shared_.followers, ListenTrace::Connection{.local = endpoint().endpoint,
                                                    .client = own ? connection_.peer : net::Endpoint{client_, 0},
                                                    .may_change = endpoint().proxy || contains(shared_.trusted, client_),
                                                    .open = admitted_,
                                                    .user = identity_.user});
    shown_ = session_.output().size();
  }
  if (trace_ && !trace_->wanted()) trace_.reset();
  session_.tap(trace_ ? this : nullptr);
}

void ListenSession::on_heard(std::string_view bytes) {
  show_said();
  if (!session_.in_transaction()) trace_->between_messages();
  trace_->heard(now_, bytes);
}

void ListenSession::show_said() {
  if (!trace_) return;
  trace_->said(now_, session_.output().substr(shown_));
  shown_ = session_.output().size();
}

void ListenSession::step(std::string_view text) {
  show_said();
  if (trace_) trace_->step(now_, text);
}

void ListenSession::log(LogLevel level, std::string_view line) const {
  const auto& sink = shared_.options.log;
  if (sink && level >= sink->level()) sink->write(level, "smtp", fmt::format("client {}: {}", client_.str(), line));
}

}  // namespace mailsbuddy::smtp

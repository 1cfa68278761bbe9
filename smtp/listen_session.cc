#include "smtp/listen_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "core/mail/mime.h"
#include "smtp/fix_ups.h"
#include "smtp/listen_reply.h"
#include "smtp/proxy_header.h"

namespace mailsbuddy::smtp {
namespace {

constexpr std::size_t kReserveMax = 64 << 10;  // SIZE is a claim: no more than this is believed before it comes.

// RFC 6409 4.2: "example" and "host" are completed by nobody here.
bool qualified(const Address& address) noexcept {
  return address.is_literal() || address.domain().find('.') != std::string_view::npos;
}

}  // namespace

ListenSession::ListenSession(ListenShared& shared, Connection connection, Random& random)
    : shared_(shared),
      connection_(std::move(connection)),
      random_(random),
      session_(shared.server_options[connection_.endpoint]),
      self_(std::make_shared<ListenSession*>(this)),
      client_(unmapped(connection_.peer.address)) {}

ListenSession::~ListenSession() {
  drop_message();
  if (admitted_) shared_.clients.release_connection(client_, exempt_);
}

// ---------------------------------------------------------------------------------------------------------------------
// The connection's beginning: PROXY header, TLS, greeting

void ListenSession::begin(TimePoint now) {
  now_ = begun_ = last_input_ = asked_at_ = now;
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
  if (shared_.handler->pressure() == Pressure::kShutdown) {
    ListenCounters::add(shared_.counters.connections_refused);
    return session_.refuse("421 4.3.2 Shutting down, try again later");
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

void ListenSession::tls_started(TimePoint now) {
  now_ = last_input_ = now;
  ListenCounters::add(shared_.counters.tls_handshakes);
  phase_ = Phase::kSession;
  session_.tls_started();
  identity_ = {};
  if (endpoint().tls == ListenTls::kImplicit) admit();
  run();
}

void ListenSession::tls_failed() {
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
      if (!session_.in_content() && bytes.find('\n') != std::string_view::npos) line_begun_.reset();
      session_.feed(bytes);
      return run();
    case Phase::kHandshake:
    case Phase::kOver:
      return;
  }
}

void ListenSession::run() {
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
// Envelope

void ListenSession::on_mail(std::string_view mail_from) {
  drop_message();
  message_.envelope = {};
  const std::string refusal = refuse_mail(mail_from);
  if (!refusal.empty()) return answer(refusal);
  const MailParameters& parameters = session_.mail_parameters();
  message_.envelope.ret = parameters.ret;
  message_.envelope.envid = parameters.envid;
  message_.envelope.eight_bit = parameters.eight_bit;
  message_.envelope.smtputf8 = parameters.smtputf8;
  message_.data.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(parameters.size, kReserveMax)));
  answer("250 2.1.0 Ok");
}

std::string ListenSession::refuse_mail(std::string_view mail_from) {
  switch (shared_.handler->pressure()) {
    case Pressure::kShutdown:
      return "421 4.3.2 Shutting down, try again later";
    case Pressure::kFull:
      return "452 4.3.1 Insufficient system storage";
    case Pressure::kNone:
      break;
  }
  // A claim that there is no room for is cheaper to refuse now than after the message; one that is false is seen later.
  if (shared_.clients.held() + session_.mail_parameters().size > limits().held_bytes_max)
    return "452 4.3.1 Insufficient memory";
  if (!mail_from.empty()) {
    auto address = Address::parse(mail_from);
    if (!address) return "501 5.1.7 Bad sender address";
    if (!endpoint().inbound && !qualified(*address)) return "550 5.1.8 Sender's domain is not fully qualified";
    if (!may_send_as(*address)) return "550 5.7.1 Not allowed to send as this address";  // RFC 6409 6.1.
    message_.envelope.sender = *std::move(address);
  }
  if (!shared_.clients.take_message(client_, now_)) return "450 4.7.1 Too many messages, slow down";
  return {};
}

bool ListenSession::may_send_as(const Address& sender) const noexcept {
  const auto& senders = identity_.senders;
  return senders.empty() || std::any_of(senders.begin(), senders.end(), [&](const std::string& each) {
           return ascii::iequals(each, sender.str()) || ascii::iequals(each, sender.domain());
         });
}

void ListenSession::on_rcpt(std::string_view recipient) {
  const std::string refusal = refuse_rcpt(recipient);
  if (!refusal.empty()) return answer(refusal);
  EnvelopeRecipient& taken = message_.envelope.recipients.back();
  taken.notify = session_.rcpt_parameters().notify;
  taken.orcpt = session_.rcpt_parameters().orcpt;
  answer("250 2.1.5 Ok");
}

// Empty: the recipient is in the envelope.
std::string ListenSession::refuse_rcpt(std::string_view recipient) {
  const bool postmaster = recipient.find('@') == std::string_view::npos;  // RFC 5321 4.5.1: always, and the only such.
  auto address =
      Address::parse(postmaster ? fmt::format("postmaster@{}", shared_.options.host) : std::string(recipient));
  if (!address) return "501 5.1.3 Bad recipient address";
  if (endpoint().inbound && !postmaster && !shared_.is_inbound(address->domain())) return "550 5.7.1 Relaying denied";
  if (!endpoint().inbound && !qualified(*address)) return "550 5.1.2 Recipient's domain is not fully qualified";
  const Reply reply = shared_.handler->on_recipient(identity_, *address, endpoint().inbound);
  if (reply.code / 100 != 2) return reply_line(reply, "451 4.3.0 Try again later");
  message_.envelope.recipients.push_back({.address = *std::move(address)});
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// Message

void ListenSession::on_content(std::string_view piece) {
  if (no_room_) return;
  if (!shared_.clients.hold(piece.size())) {
    no_room_ = true;
    std::string().swap(message_.data);
    shared_.clients.let_go(std::exchange(held_, 0));
    return;
  }
  held_ += piece.size();
  message_.data.append(piece);
}

void ListenSession::drop_message() noexcept {
  message_.data.clear();
  message_.envelope.recipients.clear();
  message_.envelope.sender.reset();
  shared_.clients.let_go(std::exchange(held_, 0));
  no_room_ = false;
}

std::string ListenSession::refuse_message() {
  if (no_room_) return "452 4.3.1 Insufficient memory";
  switch (shared_.handler->pressure()) {
    case Pressure::kShutdown:
      return "421 4.3.2 Shutting down, try again later";
    case Pressure::kFull:
      return "452 4.3.1 Insufficient system storage";
    case Pressure::kNone:
      break;
  }
  if (read_head(message_.data).received >= kReceivedMax) return "554 5.4.6 Too many Received fields: a loop";
  return {};
}

Submission ListenSession::make_submission() {
  Submission submission;
  std::swap(submission.envelope, message_.envelope);
  std::swap(submission.data, message_.data);
  submission.id = Id128::make(now_, random_);
  submission.identity = identity_;
  submission.inbound = endpoint().inbound;
  submission.client = client_;
  submission.hello = xclient_hello_.empty() ? session_.hello_name() : xclient_hello_;
  submission.tls = session_.tls();
  if (shared_.options.bare_line_ends == BareLineEnds::kNormalise) {
    std::string normal;
    append_crlf(normal, submission.data);
    submission.data = std::move(normal);
  } else if (!submission.data.empty() && !submission.data.ends_with("\r\n")) {
    submission.data += "\r\n";  // The last BDAT chunk may end anywhere.
  }
  apply_fix_ups(submission, shared_.options.fix_ups, shared_.options.host, session_.extended(), now_);
  return submission;
}

void ListenSession::on_message() {
  content_begun_.reset();
  if (const std::string refusal = refuse_message(); !refusal.empty()) {
    ListenCounters::add(shared_.counters.messages_refused);
    drop_message();
    return answer(refusal);
  }
  asked_at_ = now_;
  ++question_;
  Submission submission = make_submission();
  message_.id = submission.id;
  shared_.handler->on_message(std::move(submission), message_answer());
}

void ListenSession::message_answered(std::uint64_t question, const Reply& reply) {
  if (question != question_ || !session_.answer_owed()) return;
  ++question_;
  now_ = last_input_ = connection_.now();
  const std::string line = reply_line(reply, "451 4.3.0 Try again later", message_.id);
  const bool taken = line.front() == '2';
  ListenCounters::add(taken ? shared_.counters.messages : shared_.counters.messages_refused);
  if (taken) ListenCounters::add(shared_.counters.bytes, held_);
  if (shared_.options.log)
    log(taken ? LogLevel::kInfo : LogLevel::kWarning, fmt::format("message {}: {}", message_.id.str(), line));
  drop_message();
  answer(line);
  run();
  connection_.progress();
}

// ---------------------------------------------------------------------------------------------------------------------
// Answers from elsewhere

namespace {

// One answer owed to a session that may be gone by the time it comes.
template <class Value>
class OwedAnswer {
 public:
  using Give = UniqueFunction<void(ListenSession&, Value)>;
  OwedAnswer(std::shared_ptr<ListenHome> home, std::weak_ptr<ListenSession*> to, Give give, Value otherwise)
      : home_(std::move(home)), to_(std::move(to)), give_(std::move(give)), otherwise_(std::move(otherwise)) {}
  ~OwedAnswer() { answer(std::move(otherwise_)); }
  OwedAnswer(const OwedAnswer&) = delete;
  OwedAnswer& operator=(const OwedAnswer&) = delete;

  void answer(Value value) {
    if (!give_) return;
    home_->post([to = to_, give = std::exchange(give_, nullptr), value = std::move(value)]() mutable {
      if (const auto session = to.lock()) give(**session, std::move(value));
    });
  }

 private:
  std::shared_ptr<ListenHome> home_;
  std::weak_ptr<ListenSession*> to_;
  Give give_;  // Empty: it was given.
  Value otherwise_;
};

}  // namespace

ListenHandler::Answered ListenSession::message_answer() {
  auto owed = std::make_unique<OwedAnswer<Reply>>(
      connection_.home, self_,
      [question = question_](ListenSession& session, Reply reply) { session.message_answered(question, reply); },
      Reply{.code = 451, .enhanced = EnhancedCode{4, 3, 0}, .text = "Not handled, try again later"});
  return [owed = std::move(owed)](Reply reply) { owed->answer(std::move(reply)); };
}

struct ListenSession::AuthResult {
  std::optional<Identity> identity;
  bool judged = false;  // False: the handler did not answer.
};

ListenHandler::Authenticated ListenSession::auth_answer() {
  auto owed = std::make_unique<OwedAnswer<AuthResult>>(
      connection_.home, self_,
      [question = question_](ListenSession& session, AuthResult result) {
        session.authenticated(question, std::move(result));
      },
      AuthResult{});
  return [owed = std::move(owed)](std::optional<Identity> identity) { owed->answer({std::move(identity), true}); };
}

// ---------------------------------------------------------------------------------------------------------------------
// AUTH and XCLIENT

void ListenSession::on_auth() {
  if (!shared_.clients.may_authenticate(client_, now_)) {
    log(LogLevel::kWarning, "AUTH not looked at: too many failures before");
    return answer("454 4.7.0 Too many failures, try again later");
  }
  asked_at_ = now_;
  ++question_;
  const AuthExchange& given = session_.credentials();
  shared_.handler->authenticate({.mechanism = given.mechanism() == AuthMechanism::kPlain ? "PLAIN" : "LOGIN",
                                 .user = given.user(),
                                 .password = given.password(),
                                 .authzid = given.authzid(),
                                 .client = client_,
                                 .tls = session_.tls()},
                                auth_answer());
}

void ListenSession::authenticated(std::uint64_t question, AuthResult result) {
  if (question != question_ || !session_.answer_owed()) return;
  ++question_;
  now_ = last_input_ = connection_.now();
  if (!result.judged) {
    answer("454 4.7.0 Cannot judge now, try again later");
  } else if (result.identity) {
    identity_ = *std::move(result.identity);
    ListenCounters::add(shared_.counters.authenticated);
    answer("235 2.7.0 Authenticated");
  } else {
    ListenCounters::add(shared_.counters.auth_failures);
    shared_.clients.authentication_failed(client_, now_);
    log(LogLevel::kWarning, "AUTH failed");
    ++auth_failures_;
    delayed_reply_ = auth_failures_ < limits().auth_failures_max ? "535 5.7.8 Credentials not valid"
                                                                 : "421 4.7.0 Too many failures";
    reply_at_ = now_ + limits().auth_failure_delay;
  }
  run();
  connection_.progress();
}

void ListenSession::on_xclient() {
  const Xclient& xclient = session_.xclient();
  if (!xclient.addr.empty()) {
    const auto address = net::IpAddress::parse(xclient.addr);
    if (!address) return answer("501 5.5.4 Bad ADDR");
    const net::IpAddress client = unmapped(*address);
    if (client != client_ &&
        shared_.clients.rename_connection(client_, exempt_, client, now_) != Verdict::kTaken)
      return answer("421 4.7.0 Too many connections, try again later");
    exempt_ = exempt_ && client == client_;
    client_ = client;
  }
  identity_ = {};
  xclient_hello_ = xclient.helo;
  answer(fmt::format("220 {} ESMTP", shared_.options.host));
}

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
  return std::min(earliest, content_begun_ ? *content_begun_ + limits().message_time
                                           : begun_ + limits().connection_time);
}

void ListenSession::on_timeout(TimePoint now) {
  if (now < deadline()) return;
  now_ = now;
  if (phase_ == Phase::kSession && !delayed_reply_.empty()) return answer_delayed();
  ListenCounters::add(shared_.counters.timeouts);
  if (phase_ != Phase::kSession) return end_silently();
  if (session_.answer_owed()) {
    ++question_;  // What comes yet comes too late.
    drop_message();
    last_input_ = now;  // The client has its time again, for what it says next.
    log(LogLevel::kWarning, "no answer from the handler in time");
    answer("451 4.3.0 No answer in time, try again later");
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

void ListenSession::log(LogLevel level, std::string_view line) const {
  const auto& sink = shared_.options.log;
  if (sink && level >= sink->level()) sink->write(level, "smtp", fmt::format("client {}: {}", client_.str(), line));
}

}  // namespace mailsbuddy::smtp

// The commands by which a client says who it is: EHLO, STARTTLS, AUTH, XCLIENT.
#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "smtp/proto/server_replies.h"
#include "smtp/proto/server_session.h"

namespace mailsbuddy::smtp {

// The refusal where TLS or AUTH must come before `verb`; empty: nothing must.
std::string_view ServerSession::must_come_first(Verb verb) const noexcept {
  switch (verb) {
    case Verb::kEhlo:
    case Verb::kHelo:
    case Verb::kNoop:
    case Verb::kStartTls:
    case Verb::kQuit:
    case Verb::kUnknown:
      return {};
    case Verb::kMail:
    case Verb::kBdat:
    case Verb::kVrfy:
    case Verb::kExpn:
      if (options_->tls_required && !tls_) break;
      return options_->auth_required && !authenticated_ ? "530 5.7.0 Authentication required" : "";  // RFC 4954 6.
    case Verb::kRcpt:
    case Verb::kData:
    case Verb::kRset:
    case Verb::kAuth:
    case Verb::kXclient:
    case Verb::kHelp:
      break;
  }
  return options_->tls_required && !tls_ ? "530 5.7.0 Must issue a STARTTLS command first" : "";  // RFC 3207 4.
}

ServerSession::Event ServerSession::access(const Command& command) {
  switch (command.verb) {
    case Verb::kStartTls:
      return start_tls(command.argument);
    case Verb::kAuth:
      return auth(command.argument);
    case Verb::kXclient:
      return client_behind(command.argument);
    default:
      return hello(command.argument, command.verb == Verb::kEhlo);
  }
}

ServerSession::Event ServerSession::hello(std::string_view argument, bool extended) {
  if (argument.empty()) return error("501 5.5.4 Name missing");
  greeted_ = true;
  extended_ = extended;
  hello_name_.assign(argument);
  if (extended)
    announce();
  else
    output_.append("250 ").append(options_->host).append("\r\n");
  return end_transaction();  // RFC 5321 4.1.4: like RSET.
}

void ServerSession::announce() {
  const auto offer = [this](bool offered, std::string_view keyword) {
    if (offered) output_.append("250-").append(keyword).append("\r\n");
  };
  offer(true, options_->host);
  offer(options_->pipelining, "PIPELINING");
  if (options_->size_max == 0)
    offer(true, "SIZE");
  else
    output_.append("250-SIZE ").append(std::to_string(options_->size_max)).append("\r\n");
  offer(options_->start_tls && !tls_, "STARTTLS");
  offer(auth_open() && !authenticated_, "AUTH PLAIN LOGIN");
  offer(options_->chunking, "CHUNKING");
  offer(options_->smtputf8, "SMTPUTF8");
  offer(options_->dsn, "DSN");
  offer(xclient_trusted_, "XCLIENT NAME ADDR PORT PROTO HELO");
  offer(true, "8BITMIME");
  output_.append("250 ENHANCEDSTATUSCODES\r\n");
}

// ---------------------------------------------------------------------------------------------------------------------
// STARTTLS

ServerSession::Event ServerSession::start_tls(std::string_view argument) {
  if (!options_->start_tls) return error("502 5.5.1 STARTTLS not offered");
  if (tls_) return error("503 5.5.1 TLS is on");
  if (!argument.empty()) return error(kNoParameter);
  // RFC 3207 6: what came in clear behind STARTTLS could be anybody's and must not be read as said under TLS.
  if (!input_.empty()) ++errors_;
  input_ = {};
  say("220 2.0.0 Ready to start TLS");
  end_transaction();
  reading_ = Reading::kNothing;
  return ServerEvent{ServerEvent::Kind::kStartTls};
}

void ServerSession::tls_started() noexcept {
  tls_ = true;
  forget_peer();
  reading_ = Reading::kCommands;
}

// RFC 3207 4.2: knowledge obtained before the handshake is discarded. XCLIENT does the same.
void ServerSession::forget_peer() noexcept {
  greeted_ = extended_ = authenticated_ = false;
  hello_name_.clear();
  line_.clear();
  auth_.wipe();
}

// ---------------------------------------------------------------------------------------------------------------------
// AUTH

ServerSession::Event ServerSession::auth(std::string_view argument) {
  if (options_->auth == AuthOffer::kNever) return error("502 5.5.1 AUTH not offered");
  if (!auth_open()) return error("538 5.7.11 Encryption required");  // RFC 4954 4.
  if (!greeted_ || !extended_) return error("503 5.5.1 Send EHLO first");
  if (authenticated_) return error("503 5.5.1 Authenticated already");
  if (in_mail_) return error("503 5.5.1 AUTH within a transaction");
  const std::string_view word = argument.substr(0, argument.find(' '));
  const std::optional<AuthMechanism> mechanism = parse_mechanism(word);
  if (!mechanism) return error("504 5.5.4 Mechanism not known");
  if (word.size() == argument.size()) return auth_step(auth_.start(*mechanism, std::nullopt));
  const Event event = auth_step(auth_.start(*mechanism, argument.substr(word.size() + 1)));
  wipe(current_);
  return event;
}

ServerSession::Event ServerSession::auth_response(std::string_view line) {
  const Event event = auth_step(auth_.respond(line));
  wipe(current_);
  return event;
}

ServerSession::Event ServerSession::auth_step(AuthExchange::Step step) {
  switch (step) {
    case AuthExchange::Step::kChallenge:
      output_.append("334 ").append(auth_.challenge()).append("\r\n");
      reading_ = Reading::kResponse;
      return {};
    case AuthExchange::Step::kDone:
      return ask(Asked::kAuth, {});
    case AuthExchange::Step::kCancelled:
      auth_.wipe();
      return error("501 5.7.0 Cancelled");
    case AuthExchange::Step::kBad:
      break;
  }
  auth_.wipe();
  return error("501 5.5.2 Bad response");
}

// ---------------------------------------------------------------------------------------------------------------------
// XCLIENT

ServerSession::Event ServerSession::client_behind(std::string_view argument) {
  if (!xclient_trusted_) return error("550 5.7.1 XCLIENT not allowed");
  if (in_mail_) return error("503 5.5.1 XCLIENT within a transaction");
  std::optional<Xclient> xclient = parse_xclient(argument);
  if (!xclient) return error("501 5.5.4 Bad XCLIENT");
  xclient_ = *std::move(xclient);
  return ask(Asked::kXclient, {});
}

}  // namespace mailsbuddy::smtp

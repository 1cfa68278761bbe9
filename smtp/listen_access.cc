// A listener's session: who the client is, by AUTH and by XCLIENT.
#include <fmt/format.h>

#include <utility>

#include "smtp/listen_session.h"
#include "smtp/owed_answer.h"

namespace mailsbuddy::smtp {

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
  // The check counts until it is done, whatever the client does meanwhile: guesses that hang up cost as much.
  return [owed = std::move(owed), check = Quota::Share(shared_.checks, 1)](std::optional<Identity> identity) mutable {
    check.give_back();
    owed->answer({std::move(identity), true});
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// AUTH and XCLIENT

void ListenSession::on_auth() {
  if (!shared_.clients.may_authenticate(client_, now_)) {
    log(LogLevel::kWarning, "AUTH not looked at: too many failures before");
    return answer("454 4.7.0 Too many failures, try again later");
  }
  if (!shared_.checks->take(1)) {
    log(LogLevel::kWarning, "AUTH not looked at: too many are being judged");
    return answer("454 4.7.0 Too many log-ins at once, try again later");
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
    if (trace_) trace_->user(identity_.user);
    ListenCounters::add(shared_.counters.authenticated);
    answer("235 2.7.0 Authenticated");
  } else {
    ListenCounters::add(shared_.counters.auth_failures);
    shared_.clients.authentication_failed(client_, now_);
    log(LogLevel::kWarning, "AUTH failed");
    ++auth_failures_;
    delayed_reply_ =
        auth_failures_ < limits().auth_failures_max ? "535 5.7.8 Credentials not valid" : "421 4.7.0 Too many failures";
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
    if (client != client_ && shared_.clients.rename_connection(client_, exempt_, client, now_) != Verdict::kTaken)
      return answer("421 4.7.0 Too many connections, try again later");
    exempt_ = exempt_ && client == client_;
    client_ = client;
    if (trace_) trace_->client(now_, {client, 0}, "XCLIENT");
  }
  if (trace_) trace_->user({});
  identity_ = {};
  xclient_hello_ = xclient.helo;
  answer(fmt::format("220 {} ESMTP", shared_.options.host));
}

}  // namespace mailsbuddy::smtp

// listen_questions.h - what a listener asks Python: who a client is, which addresses there are, whether a letter is
// kept.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "bindings/python/src/question_queue.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::python {

// Somebody who wants to log in, until answered; who is not is told to try again later. Threads: one owner.
class Login {
 public:
  Login(const smtp::Credentials& given, smtp::ListenHandler::Authenticated done);
  ~Login();
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  const std::string& mechanism() const { return mechanism_; }
  const std::string& user() const { return user_; }
  const std::string& password() const { return password_; }  // Overwritten with the answer.
  std::string client() const { return client_.str(); }
  bool tls() const { return tls_; }
  void answer(std::optional<smtp::Identity> identity);  // The first one counts.
  void leave();                                         // Without an answer.

 private:
  smtp::ListenHandler::Authenticated taken();

  std::string mechanism_, user_, password_;
  net::IpAddress client_;
  bool tls_;
  smtp::ListenHandler::Authenticated done_;
};

// Whether there is an address at an inbound domain, or whether a letter to one has been kept; who is not answered is
// told to try again later. Threads: one owner.
class InboundQuestion {
 public:
  using Answered = UniqueFunction<void(bool)>;
  InboundQuestion(std::variant<Address, smtp::Submission> about, Answered done);

  const Address* recipient() const { return std::get_if<Address>(&about_); }  // Null: it is about a letter.
  const smtp::Submission* letter() const { return std::get_if<smtp::Submission>(&about_); }
  void answer(bool yes);  // The first one counts.
  void leave();           // Without an answer.

 private:
  const std::variant<Address, smtp::Submission> about_;
  Answered done_;
};

using LoginQueue = QuestionQueue<Login>;  // No more than ListenLimits::auth_checks_max.
using InboundQueue = QuestionQueue<InboundQuestion>;

}  // namespace mailsbuddy::python

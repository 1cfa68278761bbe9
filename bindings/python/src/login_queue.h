// login_queue.h - credentials on their way to Python, which judges them on threads of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

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

// A listener's threads never wait for Python: what they ask waits here, no more than ListenLimits::auth_checks_max of
// them. Threads: any.
class LoginQueue {
 public:
  void push(std::shared_ptr<Login> login);                      // Once closed: nothing is judged.
  std::shared_ptr<Login> take(std::chrono::milliseconds wait);  // Null: there was none for so long, or it is closed.
  void close();
  bool closed() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Login>> logins_;
  bool closed_ = false;
};

}  // namespace mailsbuddy::python

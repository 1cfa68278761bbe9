#include "bindings/python/src/listen_questions.h"

#include <openssl/crypto.h>

#include <utility>

namespace mailsbuddy::python {

Login::Login(const smtp::Credentials& given, smtp::ListenHandler::Authenticated done)
    : mechanism_(given.mechanism),
      user_(given.user),
      password_(given.password),
      client_(given.client),
      tls_(given.tls),
      done_(std::move(done)) {}

Login::~Login() { leave(); }

void Login::answer(std::optional<smtp::Identity> identity) {
  if (auto done = taken()) done(std::move(identity));
}

void Login::leave() { static_cast<void>(taken()); }

smtp::ListenHandler::Authenticated Login::taken() {
  OPENSSL_cleanse(password_.data(), password_.size());
  password_.clear();
  return std::exchange(done_, nullptr);
}

InboundQuestion::InboundQuestion(std::variant<Address, smtp::Submission> about, Answered done)
    : about_(std::move(about)), done_(std::move(done)) {}

void InboundQuestion::answer(bool yes) {
  if (auto done = std::exchange(done_, nullptr)) done(yes);
}

void InboundQuestion::leave() { done_ = nullptr; }

}  // namespace mailsbuddy::python

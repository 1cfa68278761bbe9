#include "bindings/python/src/login_queue.h"

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

void LoginQueue::push(std::shared_ptr<Login> login) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  logins_.push_back(std::move(login));
  changed_.notify_one();
}

std::shared_ptr<Login> LoginQueue::take(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return closed_ || !logins_.empty(); });
  if (logins_.empty()) return nullptr;
  auto first = std::move(logins_.front());
  logins_.pop_front();
  return first;
}

void LoginQueue::close() {
  std::deque<std::shared_ptr<Login>> last;  // Their answers go out after the lock is free.
  const std::lock_guard lock(mutex_);
  closed_ = true;
  last.swap(logins_);
  changed_.notify_all();
}

bool LoginQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace mailsbuddy::python

// owed_answer.h - an answer that a handler gives on any thread, on its way back to the session that asked.
#pragma once

#include <memory>
#include <utility>

#include "smtp/listen_session.h"

namespace mailsbuddy::smtp {

// One answer owed to a session that may be gone by the time it comes. Threads: one at a time. Invariants: given once,
// at the latest, as `otherwise`, by the destructor.
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

}  // namespace mailsbuddy::smtp

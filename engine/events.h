// events.h - outcomes on their way from the outbox to the sinks.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// The outbox's form of an Event, and of a decision about somebody's pace. Written and read by this process alone; the
// durable spool's format is its own document.
std::string encode_event(const Event& event);
Result<Event> decode_event(std::string_view bytes);
std::string encode_decision(const warming::Decision& decision);
Result<warming::Decision> decode_decision(std::string_view bytes);
// What it says of whom it was about goes: the address, and the words of servers and reports, which may repeat it.
void erase_recipient(Event& event);
bool is_decision(std::string_view bytes) noexcept;  // Which of the two it is.

// Hands the outbox to the sinks in batches, on the runtime's events executor. Each sink has its own place in it; an
// event leaves the outbox after every sink has taken it; without sinks it leaves at once. Threads: any. Ownership: the
// loop, with which a sink that refused gets its second try, and the executor have ended, or are this one's thread, when
// it is destroyed.
class EventDispatcher {
 public:
  static constexpr std::chrono::seconds kAgain{1};

  // Without `deliver` all stays in the outbox. `log` may be null.
  EventDispatcher(spool::Spool& spool, Executor& executor, net::Loop& loop, LogSink* log, bool deliver)
      : spool_(spool), executor_(executor), loop_(loop), log_(log), deliver_(deliver), again_([this] { try_again(); }) {}

  void subscribe(std::shared_ptr<EventSink> sink);
  void notify();  // The outbox has grown.

 private:
  static constexpr std::size_t kBatch = 1024;
  struct Subscriber {
    std::shared_ptr<EventSink> sink;
    std::uint64_t taken = 0;    // Of the outbox, from its first on.
    std::size_t refused = 0;    // So many behind them were refused. They come again, as many, after kAgain.
    bool events_taken = false;  // Of those that were refused: only the decisions among them were.
    bool resting = false;       // Until kAgain is over.
  };
  struct Records {
    std::uint64_t from = 0;
    std::size_t count = 0;
    std::vector<Event> events;
    std::vector<warming::Decision> decisions;
  };
  void run();
  Records read(const Subscriber& subscriber) const;
  Result<void> hand_over(Subscriber& subscriber, const Records& records);
  void rest(Subscriber& subscriber, std::size_t refused, const Error& error);
  void look_again();
  void try_again();

  spool::Spool& spool_;
  Executor& executor_;
  net::Loop& loop_;
  LogSink* const log_;
  const bool deliver_;
  Timer again_;  // The loop's.
  std::atomic<bool> scheduled_{false};
  std::mutex mutex_;
  std::vector<std::shared_ptr<EventSink>> new_sinks_;
  std::vector<Subscriber> subscribers_;  // The executor's, as all that run() calls.
};

}  // namespace mailsbuddy::engine

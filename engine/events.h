// events.h - outcomes on their way from the outbox to the sinks.
#pragma once

#include <atomic>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// The outbox's form of an Event, and of a decision about somebody's pace. Written and read by this process alone; the durable spool's format is its own document.
std::string encode_event(const Event& event);
Result<Event> decode_event(std::string_view bytes);
std::string encode_decision(const warming::Decision& decision);
Result<warming::Decision> decode_decision(std::string_view bytes);
// What it says of whom it was about goes: the address, and the words of servers and reports, which may repeat it.
void erase_recipient(Event& event);
bool is_decision(std::string_view bytes) noexcept;  // Which of the two it is.

// Hands the outbox to the sinks in batches, on the runtime's events executor. An event leaves the outbox after every sink
// has returned from it; without sinks it leaves at once.
// Threads: any.
class EventDispatcher {
 public:
  // Without `deliver` all stays in the outbox.
  EventDispatcher(spool::Spool& spool, Executor& executor, bool deliver)
      : spool_(spool), executor_(executor), deliver_(deliver) {}

  void subscribe(std::shared_ptr<EventSink> sink);
  void notify();  // The outbox has grown.

 private:
  static constexpr std::size_t kBatch = 1024;
  void run();

  spool::Spool& spool_;
  Executor& executor_;
  const bool deliver_;
  std::atomic<bool> scheduled_{false};
  std::mutex mutex_;
  std::vector<std::shared_ptr<EventSink>> sinks_;
};

}  // namespace mailsbuddy::engine

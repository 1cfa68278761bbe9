// event_hub.h - an engine's events on their way to Python: to callbacks, and to queues that iterators take from.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::python {

namespace py = pybind11;

using SharedEvent = std::shared_ptr<const Event>;  // Of a batch, which its events keep alive together.

// The events of one job, or of all, that somebody iterates over. Bounded: when it is full, the events stay in the
// engine's outbox until there is room. Until it is claimed nobody may ever take them, so then too many are dropped, and
// counted. Threads: push() and close() any; take() one at a time.
class EventQueue {
 public:
  static constexpr std::size_t kEventsMax = 16'384;  // Some 10 MB.

  EventQueue(std::string job, bool claimed) : job_(std::move(job)), claimed_(claimed) {}
  ~EventQueue() {
    if (!has_waker_) return;
    const py::gil_scoped_acquire gil;
    waker_ = {};
  }

  void push(const std::shared_ptr<const std::vector<Event>>& batch);  // Waits while it is full. Without the GIL.
  // Up to `max`, once there are any, or `wait` has passed, or it is closed. Without the GIL.
  std::vector<SharedEvent> take(std::size_t max, std::chrono::milliseconds wait);
  std::uint64_t claim();  // From now on nothing is dropped; how many were.
  void close();
  bool closed() const;
  void wake_once(py::object waker);     // Called once, with the next events or at the end. With the GIL.
  std::optional<py::object> take_waker();  // With the GIL.
  bool has_waker() const { return has_waker_; }

 private:
  bool wants(const Event& event) const { return job_.empty() || event.job == job_; }

  const std::string job_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<SharedEvent> events_;
  bool claimed_;
  bool closed_ = false;
  std::uint64_t dropped_ = 0;
  std::atomic<bool> has_waker_{false};
  py::object waker_;  // Under the GIL, not under the mutex: a destructor of Python's may run anything.
};

// One callback for batches of events, another for decisions; either may be None.
struct Subscription {
  py::object on_events;
  py::object on_decisions;
  py::object on_error;  // Called with what a callback raised; None: sys.unraisablehook.
};

// The engine's one sink. Takes the GIL once a batch, and only if somebody in Python wants it now.
class EventHub final : public EventSink {
 public:
  ~EventHub() override;

  // Takes them all: what a callback raises is told to on_error.
  Result<void> on_events(std::span<const Event> events) override;
  Result<void> on_decisions(std::span<const warming::Decision> decisions) override;

  std::uint64_t subscribe(Subscription subscription);  // With the GIL, as unsubscribe().
  void unsubscribe(std::uint64_t number);
  std::shared_ptr<EventQueue> open_queue(std::string job, bool claimed);
  void close_queue(const std::shared_ptr<EventQueue>& queue);
  void close_queues();   // Nothing waits in on_events() any more. Without the GIL.
  void drop_callbacks();  // With the GIL.

  std::uint64_t handed_over() const { return handed_over_; }  // Events and decisions.
  bool on_its_thread() const { return thread_.load() == std::this_thread::get_id(); }  // In a callback.

 private:
  using Subscriptions = std::vector<std::pair<std::uint64_t, std::shared_ptr<Subscription>>>;
  std::vector<std::shared_ptr<EventQueue>> queues() const;
  Subscriptions subscriptions() const;
  template <class Items, class Pick>
  static void call(const Subscriptions& subscriptions, const Items& items, Pick pick);

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<EventQueue>> queues_;
  Subscriptions subscriptions_;
  std::uint64_t next_number_ = 1;
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> handed_over_{0};
  std::atomic<std::thread::id> thread_{};
};

}  // namespace mailsbuddy::python

#include "bindings/python/src/event_hub.h"

#include <algorithm>

namespace mailsbuddy::python {
namespace {

py::list to_list(const std::shared_ptr<const std::vector<Event>>& batch) {
  py::list list(batch->size());
  for (std::size_t i = 0; i < batch->size(); ++i) {
    list[i] = py::cast(std::const_pointer_cast<Event>(SharedEvent(batch, &(*batch)[i])));
  }
  return list;
}

py::list to_list(std::span<const warming::Decision> decisions) {
  py::list list;
  for (const warming::Decision& each : decisions) list.append(py::cast(each));
  return list;
}

// What a callback raised is reported, and the batch goes on to the others: raising is no way to refuse it.
void report(py::error_already_set& error, const Subscription& subscription) {
  if (!subscription.on_error.is_none()) {
    try {
      subscription.on_error(error.value());
      return;
    } catch (py::error_already_set& again) {
      again.restore();
      PyErr_WriteUnraisable(subscription.on_error.ptr());
    }
  }
  error.restore();
  PyErr_WriteUnraisable(subscription.on_events.ptr());
}

// While it lives. A later thread may get the id of one that has ended.
class OnThisThread {
 public:
  explicit OnThisThread(std::atomic<std::thread::id>& where) : where_(where) { where_ = std::this_thread::get_id(); }
  ~OnThisThread() { where_ = std::thread::id(); }
  OnThisThread(const OnThisThread&) = delete;
  OnThisThread& operator=(const OnThisThread&) = delete;

 private:
  std::atomic<std::thread::id>& where_;
};

}  // namespace

void EventQueue::push(const std::shared_ptr<const std::vector<Event>>& batch) {
  const auto wanted = static_cast<std::size_t>(
      std::count_if(batch->begin(), batch->end(), [this](const Event& event) { return wants(event); }));
  if (wanted == 0) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !claimed_ || events_.size() < kEventsMax; });
  if (closed_) return;
  if (!claimed_ && dropped_ + events_.size() + wanted > kEventsMax) {
    dropped_ += events_.size() + wanted;
    events_.clear();
    return;
  }
  for (const Event& event : *batch) {
    if (!wants(event)) continue;
    // A batch of which little is wanted is not kept whole.
    events_.push_back(wanted * 2 > batch->size() ? SharedEvent(batch, &event) : std::make_shared<const Event>(event));
  }
  changed_.notify_all();
}

std::vector<SharedEvent> EventQueue::take(std::size_t max, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return closed_ || !events_.empty(); });
  const std::size_t count = std::min(max, events_.size());
  const auto end = events_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<SharedEvent> taken(events_.begin(), end);
  events_.erase(events_.begin(), end);
  changed_.notify_all();
  return taken;
}

std::uint64_t EventQueue::claim() {
  const std::lock_guard lock(mutex_);
  claimed_ = true;
  return dropped_;
}

void EventQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool EventQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void EventQueue::wake_once(py::object waker) {
  waker_ = std::move(waker);
  has_waker_ = true;
  bool now = false;
  {
    const std::lock_guard lock(mutex_);
    now = closed_ || !events_.empty();
  }
  if (!now) return;
  if (auto ready = take_waker()) (*ready)();
}

std::optional<py::object> EventQueue::take_waker() {
  if (!has_waker_.exchange(false)) return std::nullopt;
  return std::move(waker_);
}

EventHub::~EventHub() {
  if (subscriptions_.empty()) return;
  const py::gil_scoped_acquire gil;
  subscriptions_.clear();
}

std::vector<std::shared_ptr<EventQueue>> EventHub::queues() const {
  const std::lock_guard lock(mutex_);
  return queues_;
}

EventHub::Subscriptions EventHub::subscriptions() const {
  const std::lock_guard lock(mutex_);
  return subscriptions_;
}

template <class Items, class Pick>
void EventHub::call(const Subscriptions& subscriptions, const Items& items, Pick pick) {
  py::object list;  // Made once, for all.
  for (const auto& [number, subscription] : subscriptions) {
    const py::object& callback = pick(*subscription);
    if (callback.is_none()) continue;
    try {
      if (!list) list = to_list(items);
      callback(list);
    } catch (py::error_already_set& error) {
      report(error, *subscription);
    }
  }
}

Result<void> EventHub::on_events(std::span<const Event> events) {
  const OnThisThread marked(thread_);
  const auto batch = std::make_shared<const std::vector<Event>>(events.begin(), events.end());
  bool wakers = false;
  const auto queues = this->queues();
  for (const auto& queue : queues) {
    queue->push(batch);
    wakers = wakers || queue->has_waker();
  }
  bool callbacks = false;
  {
    const std::lock_guard lock(mutex_);
    callbacks = !subscriptions_.empty();
  }
  handed_over_ += events.size();
  if (!callbacks && !wakers) return {};
  const py::gil_scoped_acquire gil;
  for (const auto& queue : queues) {
    const auto waker = queue->take_waker();
    if (!waker) continue;
    try {
      (*waker)();
    } catch (py::error_already_set& error) {  // Its event loop is gone.
      error.restore();
      PyErr_WriteUnraisable(waker->ptr());
    }
  }
  call(subscriptions(), batch, [](const Subscription& each) -> const py::object& { return each.on_events; });
  return {};
}

Result<void> EventHub::on_decisions(std::span<const warming::Decision> decisions) {
  const OnThisThread marked(thread_);
  handed_over_ += decisions.size();
  {
    const std::lock_guard lock(mutex_);
    if (subscriptions_.empty()) return {};
  }
  const py::gil_scoped_acquire gil;
  call(subscriptions(), decisions, [](const Subscription& each) -> const py::object& { return each.on_decisions; });
  return {};
}

std::uint64_t EventHub::subscribe(Subscription subscription) {
  auto shared = std::make_shared<Subscription>(std::move(subscription));
  const std::lock_guard lock(mutex_);
  subscriptions_.emplace_back(next_number_, std::move(shared));
  return next_number_++;
}

void EventHub::unsubscribe(std::uint64_t number) {
  std::shared_ptr<Subscription> last;  // Dies after the lock is free: a destructor of Python's may run anything.
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                                  [number](const auto& each) { return each.first == number; });
  if (found == subscriptions_.end()) return;
  last = std::move(found->second);
  subscriptions_.erase(found);
}

std::shared_ptr<EventQueue> EventHub::open_queue(std::string job, bool claimed) {
  auto queue = std::make_shared<EventQueue>(std::move(job), claimed);
  if (closed_) queue->close();
  const std::lock_guard lock(mutex_);
  queues_.push_back(queue);
  return queue;
}

void EventHub::close_queue(const std::shared_ptr<EventQueue>& queue) {
  queue->close();
  const std::lock_guard lock(mutex_);
  std::erase(queues_, queue);
}

void EventHub::close_queues() {
  closed_ = true;
  for (const auto& queue : queues()) queue->close();
}

void EventHub::drop_callbacks() {
  Subscriptions last;
  const std::lock_guard lock(mutex_);
  last.swap(subscriptions_);
}

}  // namespace mailsbuddy::python

#include "bindings/python/src/engine_handle.h"

#include <fmt/format.h>

#include <thread>
#include <vector>

namespace mailsbuddy::python {
namespace {

std::mutex reapers_mutex;
std::vector<std::thread> reapers;

}  // namespace

EngineHandle::EngineHandle(std::unique_ptr<Engine> engine, std::shared_ptr<spool::Spool> spool, std::shared_ptr<EventHub> hub)
    : engine_(std::move(engine)), spool_(std::move(spool)), hub_(std::move(hub)) {}

EngineHandle::~EngineHandle() {
  if (engine_ == nullptr) return;
  if (!ours()) {  // Its threads are not in this process: joining them would never end. What it holds is the parent's.
    static_cast<void>(engine_.release());
    new std::shared_ptr<spool::Spool>(std::move(spool_));
    new std::shared_ptr<EventHub>(std::move(hub_));
    return;
  }
  closing_ = true;
  hub_->drop_callbacks();
  if (!hub_->on_its_thread()) {
    without_gil([this] {
      refuse_calls();
      shut_down();
    });
    return;
  }
  hub_->close_queues();
  const std::lock_guard lock(reapers_mutex);
  reapers.emplace_back([engine = std::move(engine_), spool = std::move(spool_), hub = hub_]() mutable {
    engine.reset();
    spool.reset();
  });
}

EngineHandle::Use::Use(EngineHandle& handle) : handle_(handle) {
  if (!handle.ours()) {
    raise(ErrorCode::kUnsupported,
          fmt::format("this engine was opened by process {}, of which this is a fork: open one here, or start processes by "
                      "the \"spawn\" method of multiprocessing",
                      handle.process_));
  }
  const std::lock_guard lock(handle.mutex_);
  if (handle.closing_) raise(ErrorCode::kClosed, "the engine is closed");
  ++handle.users_;
}

EngineHandle::Use::~Use() {
  const std::lock_guard lock(handle_.mutex_);
  if (--handle_.users_ == 0) handle_.idle_.notify_all();
}

void EngineHandle::close() {
  if (!ours()) return;
  refuse_in_callback("close()");
  without_gil([this] { refuse_calls(); });
  if (!Wait::interpreter_ends()) {  // A call may be in a program's iterator, which may take its time: Ctrl-C ends the wait for it.
    wait_until(mutex_, idle_, [this] { return users_ == 0; });
  }
  without_gil([this] { shut_down(); });
  hub_->drop_callbacks();
}

void EngineHandle::refuse_calls() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;  // Calls that wait, or read what a program gives, look at it at short intervals.
  }
  hub_->close_queues();
}

void EngineHandle::shut_down() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return users_ == 0; });
  auto engine = std::move(engine_);
  lock.unlock();
  if (engine == nullptr) return;
  engine.reset();
  spool_.reset();
}

void EngineHandle::refuse_in_callback(const char* what) {
  if (!hub_->on_its_thread()) return;
  raise(ErrorCode::kUnsupported, fmt::format("{} in a callback for events would wait for that callback itself", what));
}

void join_reapers() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(reapers_mutex);
    threads.swap(reapers);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace mailsbuddy::python

#include "bindings/python/src/engine_handle.h"

#include <fmt/format.h>

#include <mutex>
#include <thread>
#include <vector>

namespace mailsbuddy::python {
namespace {

std::mutex reapers_mutex;
std::vector<std::thread> reapers;

}  // namespace

EngineHandle::EngineHandle(std::unique_ptr<Engine> engine, std::shared_ptr<net::Runtime> runtime, std::shared_ptr<spool::Spool> spool,
                           std::shared_ptr<EventHub> hub)
    : runtime_(std::move(runtime)), engine_(std::move(engine)), spool_(std::move(spool)), hub_(std::move(hub)) {}

EngineHandle::~EngineHandle() {
  if (engine_ == nullptr) return;
  if (!gate_->ours()) {  // Its threads are not in this process: joining them would never end. What it holds is the parent's.
    static_cast<void>(engine_.release());
    new std::shared_ptr<net::Runtime>(std::move(runtime_));
    new std::shared_ptr<spool::Spool>(std::move(spool_));
    new std::shared_ptr<EventHub>(std::move(hub_));
    return;
  }
  hub_->drop_callbacks();
  if (!hub_->on_its_thread()) {
    without_gil([this] {
      refuse_calls();
      shut_down();
    });
    return;
  }
  refuse_calls();
  const std::lock_guard lock(reapers_mutex);
  reapers.emplace_back([gate = gate_, runtime = std::move(runtime_), spool = std::move(spool_), hub = hub_,
                        engine = std::move(engine_)]() mutable {
    gate->wait();  // For a listener that feeds it.
    engine.reset();
    spool.reset();
  });
}

void EngineHandle::close() {
  if (!gate_->ours()) return;
  refuse_in_callback("close()");
  without_gil([this] { refuse_calls(); });
  gate_->wait_interruptibly();  // A call may be in a program's iterator, which may take its time.
  without_gil([this] { shut_down(); });
  hub_->drop_callbacks();
}

void EngineHandle::refuse_calls() {
  gate_->close();
  hub_->close_queues();
}

void EngineHandle::shut_down() {
  gate_->wait();
  const std::lock_guard lock(shutting_down_);  // Of two close() the second waits for the first.
  engine_.reset();
  spool_.reset();
  runtime_.reset();
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

// engine_handle.h - an Engine as Python may hold it: closed once, however it comes about, and refused after a fork.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "bindings/python/src/errors.h"
#include "bindings/python/src/event_hub.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::python {

// Threads: any. Ownership: the engine lives until close(), which waits for the calls that are under way.
class EngineHandle {
 public:
  EngineHandle(std::unique_ptr<Engine> engine, std::shared_ptr<spool::Spool> spool, std::shared_ptr<EventHub> hub);
  ~EngineHandle();

  // Keeps the engine open while it lives. Raises Closed, and Unsupported in a process forked from the one that opened it.
  class Use {
   public:
    explicit Use(EngineHandle& handle);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Engine* operator->() const { return handle_.engine_.get(); }
    Engine& operator*() const { return *handle_.engine_; }

   private:
    EngineHandle& handle_;
  };

  // With the GIL. Raises Unsupported in a callback, and what a signal handler raises while it waits for other threads' calls: they
  // are refused by then, and another close() goes on. A second time, and in a forked process, it does nothing.
  void close();
  bool closing() const { return closing_; }
  bool closed_or_foreign() const { return closing_ || !ours(); }
  EventHub& hub() { return *hub_; }
  spool::Spool& spool() { return *spool_; }
  void refuse_in_callback(const char* what);  // Raises Unsupported: it would wait for the callback that calls it.

 private:
  bool ours() const { return getpid() == process_; }
  void refuse_calls();  // Without the GIL, as the next.
  void shut_down();     // Once no call is under way.

  const pid_t process_ = getpid();
  std::mutex mutex_;
  std::condition_variable idle_;
  int users_ = 0;
  std::atomic<bool> closing_{false};
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<spool::Spool> spool_;
  std::shared_ptr<EventHub> hub_;
};

// Waits for the engines that died inside a callback of their own, which threads of their own shut down. Without the GIL.
void join_reapers();

}  // namespace mailsbuddy::python

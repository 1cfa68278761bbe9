// engine_handle.h - an Engine as Python may hold it: closed once, however it comes about, and refused after a fork.
#pragma once

#include <memory>
#include <mutex>

#include "bindings/python/src/event_hub.h"
#include "bindings/python/src/gate.h"
#include "mailsbuddy/engine.h"

namespace mailsbuddy::python {

// Threads: any. Ownership: the engine lives until close(), which waits for the calls that are under way.
class EngineHandle {
 public:
  EngineHandle(std::unique_ptr<Engine> engine, std::shared_ptr<net::Runtime> runtime, std::shared_ptr<spool::Spool> spool,
               std::shared_ptr<EventHub> hub);
  ~EngineHandle();

  // Keeps the engine open while it lives. Raises Closed, and Unsupported in a process forked from the one that opened
  // it.
  class Use {
   public:
    explicit Use(EngineHandle& handle) : handle_(handle) { handle.gate_->enter_or_raise(); }
    ~Use() { handle_.gate_->leave(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Engine* operator->() const { return handle_.engine_.get(); }
    Engine& operator*() const { return *handle_.engine_; }

   private:
    EngineHandle& handle_;
  };

  // With the GIL. Raises Unsupported in a callback, and what a signal handler raises while it waits for other threads'
  // calls: they are refused by then, and another close() goes on. A second time, and in a forked process, it does
  // nothing.
  void close();
  bool closing() const { return gate_->closing(); }
  bool closed_or_foreign() const { return closing() || !gate_->ours(); }
  const std::shared_ptr<Gate>& gate() { return gate_; }  // While somebody is inside it, the next two are there.
  Engine& engine() { return *engine_; }
  net::Runtime& runtime() { return *runtime_; }
  EventHub& hub() { return *hub_; }
  spool::Spool& spool() { return *spool_; }
  void refuse_in_callback(const char* what);  // Raises Unsupported: it would wait for the callback that calls it.

 private:
  void refuse_calls();  // Without the GIL, as the next.
  void shut_down();     // Once no call is under way.

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>("engine");
  std::mutex shutting_down_;
  std::shared_ptr<net::Runtime> runtime_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<spool::Spool> spool_;
  std::shared_ptr<EventHub> hub_;
};

// Waits for the engines that died inside a callback of their own, which threads of their own shut down. Without the
// GIL.
void join_reapers();

}  // namespace mailsbuddy::python

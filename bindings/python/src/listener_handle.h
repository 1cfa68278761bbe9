// listener_handle.h - a smtp::Listener as Python may hold it: closed once, refused after a fork, and its engine may go
// first.
#pragma once

#include <memory>
#include <mutex>

#include "bindings/python/src/engine_handle.h"
#include "bindings/python/src/gate.h"
#include "bindings/python/src/listen_questions.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::python {

// What a listener asks, answered by an engine and by Python.
struct ListenerOptions {
  smtp::ListenOptions listen{};
  std::uint64_t open_rows_max = 0;  // These two: SubmissionOptions.
  std::string account = "default";
  bool finds_addresses = false;  // Python says which inbound addresses there are.
  bool keeps_letters = false;    // It keeps what is no report.
};

struct ListenerQueues {
  std::shared_ptr<LoginQueue> logins;  // Null: nobody can log in.
  std::shared_ptr<InboundQueue> inbound;

  void close() const {
    if (logins != nullptr) logins->close();
    inbound->close();
  }
};

// Threads: any. Ownership: the listener lives until close(), which waits for the calls that are under way.
class ListenerHandle {
 public:
  // Raises what Listener::start() refuses, and Closed.
  static std::shared_ptr<ListenerHandle> start(EngineHandle& engine, ListenerOptions options, ListenerQueues queues);
  ListenerHandle(std::unique_ptr<smtp::Listener> listener, ListenerQueues queues);
  ~ListenerHandle();

  // Keeps it open while it lives. Raises Closed, and Unsupported in a process forked from the one that started it.
  class Use {
   public:
    explicit Use(ListenerHandle& handle) : handle_(handle) { handle.gate_.enter_or_raise(); }
    ~Use() { handle_.gate_.leave(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    smtp::Listener* operator->() const { return handle_.listener_.get(); }

   private:
    ListenerHandle& handle_;
  };

  void close();  // With the GIL. As EngineHandle::close().
  bool closed_or_foreign() const { return gate_.closing() || !gate_.ours(); }
  smtp::ListenCounts counts();  // After close() the last ones.

 private:
  void shut_down();  // Without the GIL.

  Gate gate_{"listener"};
  std::mutex shutting_down_;
  std::unique_ptr<smtp::Listener> listener_;
  ListenerQueues queues_;
  smtp::ListenCounts last_{};
};

}  // namespace mailsbuddy::python

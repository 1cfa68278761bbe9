// uv_loop.h - Loop on libuv, with a thread of its own.
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/mpsc_queue.h"
#include "core/base/timer_wheel.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::net {

// Who owns a libuv handle; every handle's `data` points to one, so that a stopping loop can close what is still open.
class HandleOwner {
 public:
  virtual void loop_stopping() noexcept = 0;  // Close the handle if it is not closing; report nothing.

 protected:
  ~HandleOwner() = default;
};

// A loop and its thread.
// Threads:    post() and stop() from any thread but stop() not the loop's; the rest is the owner's. Before start() and
//             after stop() whoever holds the loop is the owner.
// Ownership:  outlives what lives on it. Objects on it may be destroyed after stop(): their handles are closed by then.
// Invariants: tasks run in order of posting; the thread takes no signals (a write to a closed socket raises SIGPIPE,
//             and a library does not change what signals do to the process).
class UvLoop final : public Loop, private HandleOwner {
 public:
  static Result<std::unique_ptr<UvLoop>> make(const Clock& clock);  // Errors: kIo. `clock` outlives the loop.
  ~UvLoop();                                                        // As stop().
  UvLoop(const UvLoop&) = delete;
  UvLoop& operator=(const UvLoop&) = delete;

  Result<void> start();  // Once. Errors: kIo: no thread to be had.
  // Ends the thread after the tasks posted so far; later ones are dropped. What is open on the loop is closed without a
  // word to its handler. Idempotent.
  void stop();

  void post(Task task) override;
  TimePoint now() const noexcept override;
  TimerWheel& timers() noexcept override { return wheel_; }
  bool is_owner() const noexcept override;

  uv_loop_t* uv() noexcept { return &uv_; }
  bool closed() const noexcept { return closed_; }  // stop() has closed every handle; none may be opened.

 private:
  explicit UvLoop(const Clock& clock);
  int open() noexcept;
  void run() noexcept;
  void run_tasks();
  void arm_timer() noexcept;
  void close_handles() noexcept;
  void loop_stopping() noexcept override;
  void on_prepare();
  void on_timer();

  const Clock& clock_;
  TimerWheel wheel_;
  TimePoint armed_for_ = TimePoint::max();  // What timer_ is set to; max: it is not.
  mutable std::optional<TimePoint> now_;    // This turn's time, once asked for.

  MpscQueue<Task> queue_;
  bool posted_by_owner_ = false;  // queue_ holds tasks for which the loop was not woken.
  std::mutex wake_mutex_;         // Held to set stopping_ and to wake the loop: a stopped loop cannot be woken.
  std::atomic<bool> stopping_{false};

  std::atomic<std::thread::id> owner_{};
  std::thread thread_;
  bool open_ = false;
  bool closed_ = false;
  uv_loop_t uv_{};
  uv_async_t wake_{};
  uv_prepare_t prepare_{};
  uv_check_t check_{};
  uv_timer_t timer_{};
};

}  // namespace mailsbuddy::net

// uv_loop.cc - one turn of the loop: timers, prepare (posted tasks, timer armed), poll, check (posted tasks), closing.
#include "core/net/uv_loop.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace mailsbuddy::net {
namespace {

Error loop_error(std::string_view doing, std::string_view words) {
  return {ErrorCode::kIo, fmt::format("{}: {}", doing, words)};
}

}  // namespace

UvLoop::UvLoop(const Clock& clock) : clock_(clock), wheel_(clock.now()) {}

Result<std::unique_ptr<UvLoop>> UvLoop::make(const Clock& clock) {
  std::unique_ptr<UvLoop> loop(new UvLoop(clock));
  if (const int status = loop->open(); status < 0) return loop_error("making an event loop", uv_strerror(status));
  return loop;
}

int UvLoop::open() noexcept {
  if (const int status = uv_loop_init(&uv_); status < 0) return status;
  if (const int status = uv_async_init(&uv_, &wake_, [](uv_async_t*) {}); status < 0) {
    uv_loop_close(&uv_);
    return status;
  }
  open_ = true;
  uv_prepare_init(&uv_, &prepare_);  // These three cannot fail.
  uv_check_init(&uv_, &check_);
  uv_timer_init(&uv_, &timer_);
  wake_.data = prepare_.data = check_.data = timer_.data = static_cast<HandleOwner*>(this);
  uv_prepare_start(&prepare_, [](uv_prepare_t* handle) noexcept {
    static_cast<UvLoop*>(static_cast<HandleOwner*>(handle->data))->on_prepare();
  });
  uv_check_start(&check_, [](uv_check_t* handle) noexcept {
    static_cast<UvLoop*>(static_cast<HandleOwner*>(handle->data))->run_tasks();
  });
  return 0;
}

UvLoop::~UvLoop() { stop(); }

Result<void> UvLoop::start() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return loop_error("starting an event loop's thread", error.what());
  }
  return {};
}

void UvLoop::run() noexcept {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  owner_.store(std::this_thread::get_id());
  uv_run(&uv_, UV_RUN_DEFAULT);  // Until every handle is closed.
  owner_.store(std::thread::id{});
}

void UvLoop::stop() {
  {
    const std::lock_guard lock(wake_mutex_);
    if (stopping_.exchange(true) || !open_) return;
    uv_async_send(&wake_);
  }
  if (thread_.joinable()) {
    thread_.join();
  } else {
    run_tasks();  // Never started.
    uv_run(&uv_, UV_RUN_DEFAULT);
  }
  uv_loop_close(&uv_);
}

void UvLoop::post(Task task) {
  if (stopping_.load(std::memory_order_relaxed)) return;
  if (!queue_.push(std::move(task))) return;  // Who found it empty has seen to it that it is drained.
  if (is_owner()) {
    posted_by_owner_ = true;  // The loop runs tasks before it polls again: its own cost no system call.
    return;
  }
  const std::lock_guard lock(wake_mutex_);
  if (!stopping_) uv_async_send(&wake_);
}

TimePoint UvLoop::now() const noexcept {
  if (!now_) now_ = clock_.now();
  return *now_;
}

bool UvLoop::is_owner() const noexcept {
  const std::thread::id owner = owner_.load(std::memory_order_relaxed);
  return owner == std::this_thread::get_id();
}

void UvLoop::run_tasks() {
  const bool stopping = stopping_.load();  // First: what was posted before it was set is in the queue.
  posted_by_owner_ = false;
  queue_.drain([](Task task) { task(); });
  if (stopping) close_handles();
}

void UvLoop::on_prepare() {
  run_tasks();
  if (closed_) return;
  arm_timer();
  if (posted_by_owner_) uv_async_send(&wake_);  // By a task just run: do not sleep on it.
  now_.reset();
}

void UvLoop::on_timer() {
  now_.reset();
  armed_for_ = TimePoint::max();
  wheel_.advance(now());
}

void UvLoop::arm_timer() noexcept {
  const TimePoint next = wheel_.next();
  if (next == armed_for_) return;
  armed_for_ = next;
  if (next == TimePoint::max()) {
    uv_timer_stop(&timer_);
    return;
  }
  uv_update_time(&uv_);
  now_.reset();
  const auto wait = std::max(std::chrono::ceil<std::chrono::milliseconds>(next - now()), std::chrono::milliseconds(0));
  uv_timer_start(
      &timer_,
      [](uv_timer_t* handle) noexcept { static_cast<UvLoop*>(static_cast<HandleOwner*>(handle->data))->on_timer(); },
      static_cast<std::uint64_t>(wait.count()), 0);
}

void UvLoop::close_handles() noexcept {
  if (std::exchange(closed_, true)) return;
  uv_walk(
      &uv_, [](uv_handle_t* handle, void*) noexcept { static_cast<HandleOwner*>(handle->data)->loop_stopping(); },
      nullptr);
}

void UvLoop::loop_stopping() noexcept {  // Comes once for each of the four.
  for (uv_handle_t* handle : {reinterpret_cast<uv_handle_t*>(&wake_), reinterpret_cast<uv_handle_t*>(&prepare_),
                              reinterpret_cast<uv_handle_t*>(&check_), reinterpret_cast<uv_handle_t*>(&timer_)})
    if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
}

}  // namespace mailsbuddy::net

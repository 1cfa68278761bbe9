// cpu_pool.h - threads for work that computes and does not wait: rendering and signing.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "mailsbuddy/base.h"

namespace mailsbuddy {

// A fixed number of threads and one queue behind a lock. A task here takes from ten microseconds to a millisecond,
// beside which the lock is nothing; stealing queues would be quicker at it but would lose the order.
//
// Threads:    post() and stop() from any thread; stop() and the destructor not from a task.
// Ownership:  what tasks refer to must outlive stop().
// Invariants: tasks begin in the order of posting; every task posted before stop() runs; those posted later are
// destroyed
//             without having run.
class CpuPool final : public Executor {
 public:
  // 0 threads: one per core. Errors: kInvalidArgument below 0, kIo when the system gives no thread.
  static Result<std::unique_ptr<CpuPool>> make(int threads);
  ~CpuPool() override;  // Stops.

  void post(Task task) override;
  // Returns when everything posted before has run and the threads are gone. Idempotent.
  void stop();
  int threads() const noexcept { return size_; }

 private:
  CpuPool() = default;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::mutex join_mutex_;  // So that every caller of stop() returns after the end, not only the first.
  std::vector<std::thread> threads_;
  int size_ = 0;
};

}  // namespace mailsbuddy

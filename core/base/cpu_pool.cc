#include "core/base/cpu_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace mailsbuddy {

Result<std::unique_ptr<CpuPool>> CpuPool::make(int threads) {
  if (threads < 0) return Error{ErrorCode::kInvalidArgument, fmt::format("{} CPU threads", threads)};
  if (threads == 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::unique_ptr<CpuPool> pool(new CpuPool);
  try {
    for (; pool->size_ < threads; ++pool->size_) pool->threads_.emplace_back([&pool = *pool] { pool.run(); });
  } catch (const std::system_error& error) {
    return Error{ErrorCode::kIo, fmt::format("CPU thread {} of {}: {}", pool->size_ + 1, threads, error.what())};
  }
  return pool;
}

CpuPool::~CpuPool() { stop(); }

void CpuPool::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void CpuPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  const std::lock_guard lock(join_mutex_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void CpuPool::run() {
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;  // Stopping, and nothing is left.
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace mailsbuddy

// question_queue.h - what a listener asks Python, which answers on threads of its own: the listener's never wait for
// it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

namespace mailsbuddy::python {

// Threads: any. Ownership: a question that is destroyed is answered by it.
template <class Question>
class QuestionQueue {
 public:
  // Once closed, and behind `max` others, it is destroyed.
  void push(std::shared_ptr<Question> question, std::size_t max = SIZE_MAX) {
    const std::lock_guard lock(mutex_);
    if (closed_ || questions_.size() >= max) return;
    questions_.push_back(std::move(question));
    changed_.notify_one();
  }
  // Null: there was none for so long, or it is closed.
  std::shared_ptr<Question> take(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [this] { return closed_ || !questions_.empty(); });
    if (questions_.empty()) return nullptr;
    auto first = std::move(questions_.front());
    questions_.pop_front();
    return first;
  }
  void close() {
    std::deque<std::shared_ptr<Question>> last;  // Their answers go out after the lock is free.
    const std::lock_guard lock(mutex_);
    closed_ = true;
    last.swap(questions_);
    changed_.notify_all();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Question>> questions_;
  bool closed_ = false;
};

}  // namespace mailsbuddy::python

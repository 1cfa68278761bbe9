// gate.h - keeps what runs on other threads from reaching into an engine that is gone.
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "mailsbuddy/base.h"

namespace mailsbuddy::engine {

// A spool may outlive the engine and runs what it was given to run once it is durable, then as ever. Threads: any.
class Gate {
 public:
  // `task`, which does nothing once the gate is closed.
  static Task guarded(std::shared_ptr<Gate> gate, Task task) {
    return [gate = std::move(gate), task = std::move(task)]() mutable {
      const std::shared_lock lock(gate->mutex_);
      if (gate->open_) task();
    };
  }

  // Returns when no guarded task runs any more. Not from inside one.
  void close() {
    const std::unique_lock lock(mutex_);
    open_ = false;
  }

 private:
  std::shared_mutex mutex_;
  bool open_ = true;
};

}  // namespace mailsbuddy::engine

// return_watch.h - while a campaign is sent: what comes back to a maildir goes to the engine.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "mailsbuddy/engine.h"
#include "services/cli/maildir_watcher.h"

namespace mailsbuddy::cli {

// Owns a thread that looks into the maildir twice a second. Threads: the methods from one. Ownership: `engine` outlives
// it.
class ReturnWatch {
 public:
  // Errors: those of MaildirWatcher::open().
  static Result<std::unique_ptr<ReturnWatch>> start(const std::string& path, Engine& engine);
  ~ReturnWatch();

  void finish();  // Takes what is there and ends the thread.
  std::uint64_t messages() const noexcept { return messages_; }
  std::uint64_t suppressed() const noexcept { return suppressed_; }

 private:
  explicit ReturnWatch(Engine& engine) : engine_(engine) {}
  Handled take(std::string_view message);
  void run();

  Engine& engine_;
  std::unique_ptr<MaildirWatcher> watcher_;
  std::atomic<std::uint64_t> messages_{0};
  std::atomic<std::uint64_t> suppressed_{0};
  std::mutex mutex_;
  std::condition_variable finish_;
  bool finishing_ = false;
  std::thread thread_;
};

}  // namespace mailsbuddy::cli

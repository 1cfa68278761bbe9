#include "services/cli/return_watch.h"

#include <fmt/format.h>

#include <cstdio>

#include "services/cli/say.h"

namespace mailsbuddy::cli {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(500);

}  // namespace

Result<std::unique_ptr<ReturnWatch>> ReturnWatch::start(const std::string& path, Engine& engine) {
  std::unique_ptr<ReturnWatch> inbound(new ReturnWatch(engine));
  auto watcher = MaildirWatcher::open(
      path, [self = inbound.get()](std::string_view message) { return self->take(message); },
      [](const std::string& word) { say("{}\n", word); });
  if (!watcher) return std::move(watcher).error();
  inbound->watcher_ = std::make_unique<MaildirWatcher>(*std::move(watcher));
  inbound->thread_ = std::thread([self = inbound.get()] { self->run(); });
  return inbound;
}

ReturnWatch::~ReturnWatch() { finish(); }

Handled ReturnWatch::take(std::string_view message) {
  const auto report = engine_.inbound(message, {});
  if (!report) return Handled::kLater;
  ++messages_;
  suppressed_ += report->suppressed.size();
  return report->report.kind == bounce::ReportKind::kNone ? Handled::kUnseen : Handled::kSeen;
}

void ReturnWatch::run() {
  std::unique_lock lock(mutex_);
  while (!finishing_) {
    lock.unlock();
    watcher_->scan();
    lock.lock();
    finish_.wait_for(lock, kLookEvery, [this] { return finishing_; });
  }
}

// Two scans: a file is taken at the second sight of it.
void ReturnWatch::finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  finish_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  watcher_->scan();
  watcher_->scan();
}

}  // namespace mailsbuddy::cli

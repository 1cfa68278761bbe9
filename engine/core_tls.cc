// What the engine is asked about transport security, and what it reports of it.
#include <utility>

#include "engine/core.h"

namespace mailsbuddy {

std::vector<smtp::TlsReport> Engine::Core::take_tls_reports() {
  if (tls_reporting_ != nullptr) return {};
  const std::lock_guard lock(tls_mutex_);
  smtp::TlsReports all;
  for (int i = 0; i < runtime().workers(); ++i) {
    on_worker(i, [&](engine::Worker& worker) { all.merge(std::exchange(worker.tls_reports(), {})); });
  }
  const TimePoint until = now();
  return all.take(std::exchange(tls_reported_, until), until);
}

void Engine::Core::collect_tls_reports(const std::function<void(smtp::TlsReports)>& done) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    runtime().loop(static_cast<int>(i)).post([this, worker = workers_[i].get(), done] {
      runtime().loop(0).post([done, counts = std::exchange(worker->tls_reports(), {})]() mutable { done(std::move(counts)); });
    });
  }
}

void Engine::Core::start_tls_reporting() {
  if (!options_.tls_reporting) return;
  tls_reporting_ = std::make_unique<engine::TlsReporting>(engine::TlsReporting::Context{
      .options = options_,
      .runtime = runtime(),
      .spool = spool(),
      .collect = [this](const auto& done) { collect_tls_reports(done); },
      .submit =
          [this](Message message, spool::Snapshot kept) {
            return submit(std::move(message), {std::move(kept)});
          }});
  runtime().loop(0).post([this] { tls_reporting_->start(); });
}

}  // namespace mailsbuddy

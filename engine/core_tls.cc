// What the engine is asked about transport security.
#include <utility>

#include "engine/core.h"

namespace mailsbuddy {

std::vector<smtp::TlsReport> Engine::Core::take_tls_reports() {
  const std::lock_guard lock(tls_mutex_);
  smtp::TlsReports all;
  for (int i = 0; i < runtime().workers(); ++i) {
    on_worker(i, [&](engine::Worker& worker) { all.merge(std::exchange(worker.tls_reports(), {})); });
  }
  const TimePoint until = now();
  return all.take(std::exchange(tls_reported_, until), until);
}

}  // namespace mailsbuddy

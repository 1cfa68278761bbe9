// worker_tls.h - what one worker knows of transport security: how policies of domains are found, what its sessions came
// to.
#pragma once

#include <memory>
#include <string>

#include "mailsbuddy/engine.h"

namespace mailsbuddy::engine {

// Threads: its worker's. Ownership: what it is made with outlives it.
class WorkerTls {
 public:
  WorkerTls(const EngineOptions& options, net::Runtime& runtime, int worker);
  ~WorkerTls();

  smtp::TlsSources sources() const noexcept;
  net::SecureResolver* secure() const noexcept { return secure_.get(); }

  // MTA-STS policies outlive the process in a snapshot for each worker. All of them are loaded: the domains are dealt
  // out anew by each process.
  void load(const spool::Spool& spool);
  std::optional<spool::Snapshot> save(TimePoint now);  // Empty: nothing new, or not due yet.

  smtp::TlsReports reports;

 private:
  const EngineOptions& options_;
  const int worker_;
  std::unique_ptr<net::SecureResolver> secure_;  // Null: no DANE.
  std::unique_ptr<smtp::StsFinder> sts_;         // Null: no MTA-STS.
  TimePoint save_at_{};
};

}  // namespace mailsbuddy::engine

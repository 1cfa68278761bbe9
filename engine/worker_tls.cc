#include "engine/worker_tls.h"

#include <fmt/format.h>

namespace mailsbuddy::engine {
namespace {

constexpr Duration kSaveEvery = std::chrono::minutes(10);  // What a crash forgets is fetched again.
constexpr int kWorkersMax = 1024;                          // As a runtime has at most.

std::string snapshot_name(int worker) { return fmt::format("tls/sts/{}", worker); }

}  // namespace

WorkerTls::WorkerTls(const EngineOptions& options, net::Runtime& runtime, int worker)
    : options_(options), worker_(worker) {
  if (options.tls == smtp::TlsPolicy::kNone) return;
  net::Loop& loop = runtime.loop(worker);
  net::Resolver& resolver = runtime.resolver(worker);
  if (net::SecureResolver* secure = runtime.secure_resolver(worker); options.tls_policies.dane && secure != nullptr)
    secure_ = smtp::make_probing_resolver(loop, *secure, resolver);
  if (net::HttpsClient* https = runtime.https(worker); options.tls_policies.mta_sts && https != nullptr)
    sts_ = std::make_unique<smtp::StsFinder>(loop, resolver, *https);
}

WorkerTls::~WorkerTls() = default;

smtp::TlsSources WorkerTls::sources() const noexcept {
  return {.policy = options_.tls, .policies = &options_.tls_policies, .secure = secure_.get(), .sts = sts_.get()};
}

void WorkerTls::load(const spool::Spool& spool) {
  if (sts_ == nullptr) return;
  for (int i = 0; i < kWorkersMax; ++i) {
    if (const auto saved = spool.snapshot(snapshot_name(i))) sts_->load(*saved);
  }
}

std::optional<spool::Snapshot> WorkerTls::save(TimePoint now) {
  if (sts_ == nullptr || !sts_->changed() || now < save_at_) return std::nullopt;
  save_at_ = now + kSaveEvery;
  return spool::Snapshot{.name = snapshot_name(worker_), .bytes = sts_->save()};
}

}  // namespace mailsbuddy::engine

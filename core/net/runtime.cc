// runtime.cc - real threads, sockets, DNS and time.
#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/cpu_pool.h"
#include "core/net/caching_resolver.h"
#include "core/net/cares_resolver.h"
#include "core/net/curl_client.h"
#include "core/net/tcp.h"
#include "core/net/unbound_resolver.h"
#include "core/net/uv_loop.h"

namespace mailsbuddy::net {
namespace {

constexpr int kThreadsMax = 1024;  // A slip of the keyboard, rather than a machine.

struct Worker {
  std::unique_ptr<UvLoop> loop;  // First: it outlives what lives on it.
  std::unique_ptr<UvTransport> transport;
  std::unique_ptr<CachingResolver> resolver;
  std::unique_ptr<UnboundResolver> secure_resolver;
  std::unique_ptr<UvHttps> https;
};

class RealRuntime final : public Runtime {
 public:
  explicit RealRuntime(std::uint64_t seed) : seed_(seed) {}
  ~RealRuntime() override { stop(); }
  Result<void> open(const RuntimeOptions& options);

  int workers() const noexcept override { return static_cast<int>(workers_.size()); }
  Loop& loop(int worker) noexcept override { return *at(worker).loop; }
  Transport& transport(int worker) noexcept override { return *at(worker).transport; }
  Resolver& resolver(int worker) noexcept override { return *at(worker).resolver; }
  SecureResolver* secure_resolver(int worker) noexcept override { return at(worker).secure_resolver.get(); }
  HttpsClient* https(int worker) noexcept override { return at(worker).https.get(); }
  Executor& cpu() noexcept override { return *cpu_; }
  Executor& events() noexcept override { return *events_; }
  const Clock& clock() const noexcept override { return clock_; }
  std::uint64_t seed() const noexcept override { return seed_; }
  void stop() override;

 private:
  Worker& at(int worker) noexcept { return workers_[static_cast<std::size_t>(worker)]; }

  SystemClock clock_;
  std::uint64_t seed_;
  std::unique_ptr<CurlThread> curl_;
  std::vector<Worker> workers_;
  std::unique_ptr<CpuPool> cpu_;
  std::unique_ptr<CpuPool> events_;
};

Result<void> RealRuntime::open(const RuntimeOptions& options) {
  SecureResolverOptions secure_options = options.secure_resolver;
  if (secure_options.servers.empty()) secure_options.servers = options.resolver.servers;
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int count = options.workers == 0 ? cores : options.workers;
  curl_ = std::make_unique<CurlThread>(options.https);
  for (int i = 0; i < count; ++i) {
    Worker worker;
    auto loop = UvLoop::make(clock_);
    if (!loop) return loop.error();
    worker.loop = std::move(*loop);
    worker.transport = std::make_unique<UvTransport>(*worker.loop, options.tls_ca);
    auto source = CaresResolver::make(*worker.loop, options.resolver);
    if (!source) return source.error();
    worker.resolver =
        std::make_unique<CachingResolver>(*worker.loop, std::move(*source), options.resolver.cache_entries_max);
    auto secure = UnboundResolver::make(*worker.loop, secure_options);
    if (!secure) return secure.error();
    worker.secure_resolver = std::move(*secure);
    worker.https = std::make_unique<UvHttps>(*worker.loop, *worker.resolver, *curl_);
    workers_.push_back(std::move(worker));
  }
  auto cpu = CpuPool::make(options.cpu_threads == 0 ? cores : options.cpu_threads);
  if (!cpu) return cpu.error();
  cpu_ = std::move(*cpu);
  auto events = CpuPool::make(1);  // One thread keeps the order.
  if (!events) return events.error();
  events_ = std::move(*events);
  for (Worker& worker : workers_)
    if (auto started = worker.loop->start(); !started) return started;
  return {};
}

// In the direction of the work: what is computed still reaches the loops, what they settle still reaches the sinks.
void RealRuntime::stop() {
  if (curl_) curl_->stop();
  if (cpu_) cpu_->stop();
  for (Worker& worker : workers_) worker.loop->stop();
  if (events_) events_->stop();
}

}  // namespace

Result<std::unique_ptr<Runtime>> make_runtime(RuntimeOptions options) {
  for (const int threads : {options.workers, options.cpu_threads})
    if (threads < 0 || threads > kThreadsMax)
      return Error{ErrorCode::kInvalidArgument, fmt::format("{} threads: not from 0 to {}", threads, kThreadsMax)};
  auto runtime = std::make_unique<RealRuntime>(options.seed == 0 ? system_seed() : options.seed);
  if (auto opened = runtime->open(options); !opened) return opened.error();
  return std::unique_ptr<Runtime>(std::move(runtime));
}

}  // namespace mailsbuddy::net

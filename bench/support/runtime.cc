#include "bench/support/runtime.h"

#include <string>
#include <vector>

#include "bench/support/mail.h"

namespace mailsbuddy::bench {
namespace {

constexpr std::chrono::hours kTtl{1};

class LoopbackDns final : public net::Resolver {
 public:
  explicit LoopbackDns(net::Loop& loop) : loop_(loop) {}

  void mx(std::string_view domain, Callback<net::MxRecord> done) override {
    answer(std::move(done), net::MxRecord{.preference = 10, .host = "mx." + std::string(domain)});
  }
  void addresses(std::string_view, Callback<net::IpAddress> done) override {
    answer(std::move(done), net::IpAddress::v4({127, 0, 0, 1}));
  }
  void txt(std::string_view, Callback<std::string> done) override {
    loop_.post([done = std::move(done)]() mutable { done({.status = net::DnsStatus::kNoData, .ttl = kTtl}); });
  }

 private:
  template <class Record>
  void answer(Callback<Record> done, Record record) {
    loop_.post([done = std::move(done), record = std::move(record)]() mutable {
      done({.status = net::DnsStatus::kOk, .records = {std::move(record)}, .ttl = kTtl});
    });
  }

  net::Loop& loop_;
};

class LoopbackRuntime final : public net::Runtime {
 public:
  explicit LoopbackRuntime(std::unique_ptr<net::Runtime> real) : real_(std::move(real)) {
    for (int i = 0; i < real_->workers(); ++i) dns_.push_back(std::make_unique<LoopbackDns>(real_->loop(i)));
  }

  int workers() const noexcept override { return real_->workers(); }
  net::Loop& loop(int worker) noexcept override { return real_->loop(worker); }
  net::Transport& transport(int worker) noexcept override { return real_->transport(worker); }
  net::Resolver& resolver(int worker) noexcept override { return *dns_[static_cast<std::size_t>(worker)]; }
  Executor& cpu() noexcept override { return real_->cpu(); }
  Executor& events() noexcept override { return real_->events(); }
  const Clock& clock() const noexcept override { return real_->clock(); }
  std::uint64_t seed() const noexcept override { return real_->seed(); }
  void stop() override { real_->stop(); }

 private:
  std::vector<std::unique_ptr<LoopbackDns>> dns_;
  std::unique_ptr<net::Runtime> real_;  // Last: its loops may still hold callbacks of the resolvers when they end.
};

}  // namespace

std::shared_ptr<net::Runtime> make_loopback_runtime() {
  return std::make_shared<LoopbackRuntime>(need(net::make_runtime({})));
}

}  // namespace mailsbuddy::bench

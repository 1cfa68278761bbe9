// probing_resolver.cc - DNSSEC where it can be had: a server that leaves signatures out would make all that is signed
// bogus, and stop all mail.
#include <deque>
#include <utility>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/smtp.h"

namespace mailsbuddy::smtp {
namespace {

constexpr Duration kProbeAgain = std::chrono::minutes(5);
constexpr Duration kProbeWait = std::chrono::seconds(5);  // Mail does not wait longer to know.

class ProbingResolver final : public net::SecureResolver {
 public:
  ProbingResolver(net::Loop& loop, net::SecureResolver& secure, net::Resolver& plain)
      : loop_(loop), secure_(secure), plain_(plain) {}

  void mx(std::string_view domain, Callback<net::MxRecord> done) override {
    when_known([this, name = std::string(domain), done = std::move(done)]() mutable {
      if (validates_) return secure_.mx(name, std::move(done));
      plain_.mx(name, wrap(name, std::move(done)));
    });
  }

  void addresses(std::string_view host, Callback<net::IpAddress> done) override {
    when_known([this, name = std::string(host), done = std::move(done)]() mutable {
      if (validates_) return secure_.addresses(name, std::move(done));
      plain_.addresses(name, wrap(name, std::move(done)));
    });
  }

  void tlsa(std::string_view name, Callback<net::TlsaRecord> done) override {
    if_signed(&net::SecureResolver::tlsa, name, std::move(done));
  }

  void cname(std::string_view name, Callback<std::string> done) override {
    if_signed(&net::SecureResolver::cname, name, std::move(done));
  }

  void validates(UniqueFunction<void(bool)> done) override {
    when_known([this, done = std::move(done)]() mutable {
      loop_.post([guard = std::weak_ptr(alive_), done = std::move(done), yes = validates_]() mutable {
        if (!guard.expired()) done(yes);
      });
    });
  }

 private:
  template <class Record>
  static net::Resolver::Callback<Record> wrap(std::string name, Callback<Record> done) {
    return [name = std::move(name), done = std::move(done)](const net::DnsAnswer<Record>& answer) mutable {
      done({.answer = answer, .security = net::DnsSecurity::kInsecure, .owner = name});
    };
  }

  // What counts only where it is signed: else there is none.
  template <class Record>
  void if_signed(void (net::SecureResolver::*look_up)(std::string_view, Callback<Record>), std::string_view asked,
                 Callback<Record> done) {
    when_known([this, look_up, name = std::string(asked), done = std::move(done)]() mutable {
      if (validates_) return (secure_.*look_up)(name, std::move(done));
      loop_.post([guard = std::weak_ptr(alive_), name, done = std::move(done)]() mutable {
        if (!guard.expired()) done({.answer = {.status = net::DnsStatus::kNoData}, .owner = name});
      });
    });
  }

  void when_known(Task ask) {
    if (validates_ || (known_ && loop_.now() < probe_at_)) return ask();
    waiting_.push_back(std::move(ask));
    if (std::exchange(probing_, true)) return;
    secure_.validates([this, guard = std::weak_ptr(alive_)](bool yes) {
      if (guard.expired()) return;
      probing_ = false;
      validates_ = yes;
      known();
    });
    loop_.timers().arm(patience_, loop_.now() + kProbeWait);
  }

  void known() {
    loop_.timers().cancel(patience_);
    known_ = true;
    probe_at_ = loop_.now() + kProbeAgain;
    for (Task& task : std::exchange(waiting_, {})) task();  // They ask; none is answered from inside.
  }

  net::Loop& loop_;
  net::SecureResolver& secure_;
  net::Resolver& plain_;
  bool known_ = false;
  bool validates_ = false;
  bool probing_ = false;
  TimePoint probe_at_{};
  Timer patience_{[this] { known(); }};
  std::deque<Task> waiting_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace

std::unique_ptr<net::SecureResolver> make_probing_resolver(net::Loop& loop, net::SecureResolver& secure,
                                                           net::Resolver& plain) {
  return std::make_unique<ProbingResolver>(loop, secure, plain);
}

}  // namespace mailsbuddy::smtp

#include "services/cli/tls_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <future>
#include <memory>
#include <optional>

#include "services/cli/engine_options.h"
#include "services/cli/say.h"
#include "services/cli/send_command.h"
#include "services/cli/tls_options.h"

namespace mailsbuddy::cli {
namespace {

struct Options {
  std::string domain;
  std::vector<std::string> dns;
  TlsArguments tls;
  bool connect = false;
  std::string ehlo = "localhost.localdomain";
  std::uint16_t port = 25;
  std::vector<std::string> allowed_targets;
};

// What a stranger's DNS or server wrote; a terminal obeys some octets.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 300));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

void state(std::string_view about, std::string_view kind, std::string_view text) {
  fmt::print("{}: {}: {}\n", shown(about), kind, shown(text));
}

// One connection to one host, as a pool opens it.
class Visit final : public smtp::PoolHandler {
 public:
  // Empty: it could not be opened; `said` has why.
  std::optional<smtp::TlsResult> open(net::Runtime& runtime, smtp::PoolOptions options, const smtp::RouteHost& host,
                                      std::string& said) {
    options.on_tls = [this](const smtp::TlsResult& result) { result_ = result; };
    auto ended = said_.get_future();
    runtime.loop(0).post([&] {
      pool_.emplace(runtime.loop(0), runtime.transport(0), runtime.resolver(0), std::move(options), std::vector{host},
                    *this, random_);
      pool_->open();
    });
    said = ended.get();
    std::promise<void> gone;
    runtime.loop(0).post([&] {
      pool_.reset();
      gone.set_value();
    });
    gone.get_future().get();
    return result_;
  }

  void on_ready(smtp::Pool&, smtp::ConnectionId) override { tell(""); }
  void on_open_failed(smtp::Pool&, smtp::ConnectionId, const Outcome& reason) override { tell(reason.str()); }
  void on_closed(smtp::Pool&, smtp::ConnectionId, const Outcome&) override {}
  void on_recipient(smtp::Pool&, smtp::ConnectionId, std::size_t, const Outcome&) override {}
  void on_transaction_done(smtp::Pool&, smtp::ConnectionId) override {}

 private:
  void tell(std::string what) {
    if (!std::exchange(told_, true)) said_.set_value(std::move(what));
  }
  Random random_{1};
  std::optional<smtp::Pool> pool_;
  std::promise<std::string> said_;
  std::optional<smtp::TlsResult> result_;
  bool told_ = false;
};

// Runs `ask(done)` on the loop and waits for what `done` is given.
template <class Answer, class Ask>
Answer wait_on(net::Runtime& runtime, Ask ask) {
  std::promise<Answer> promise;
  auto answered = promise.get_future();
  runtime.loop(0).post([&] { ask([&promise](const Answer& answer) { promise.set_value(answer); }); });
  return answered.get();
}

class Check {
 public:
  explicit Check(const Options& options) : options_(options) {}

  int run() {
    if (auto made = prepare(); !made) {
      say("mailsbuddy tls check: {}\n", made.error().detail);
      return kBadUsage;
    }
    check_dnssec();
    check_sts();
    const auto answer =
        wait_on<smtp::RouteAnswer>(*runtime_, [this](auto done) { router_->route(options_.domain, done); });
    if (answer.route) {
      say_policy(answer.route->tls);
      for (const smtp::RouteHost& host : answer.route->hosts) check_host(*answer.route, host);
    } else {
      bad(options_.domain, answer.failure.str());
    }
    check_reports();
    close();
    return status_;
  }

 private:
  Result<void> prepare() {
    if (auto set = set_policies(options_.tls, engine_); !set) return set;
    auto targets = smtp::TargetRules::make({.allowed = options_.allowed_targets});
    if (!targets) return about("--allow-target", targets.error());
    targets_ = *std::move(targets);
    net::RuntimeOptions options{.workers = 1, .cpu_threads = 1};
    for (const std::string& server : options_.dns) {
      auto endpoint = net::Endpoint::parse(server, 53);
      if (!endpoint) return about("--dns " + server, endpoint.error());
      options.resolver.servers.push_back(*endpoint);
    }
    if (auto set = set_trust(options_.tls, options); !set) return set;
    auto runtime = net::make_runtime(std::move(options));
    if (!runtime) return std::move(runtime).error();
    runtime_ = *std::move(runtime);
    net::Loop& loop = runtime_->loop(0);
    if (engine_.tls_policies.dane)
      secure_ = smtp::make_probing_resolver(loop, *runtime_->secure_resolver(0), runtime_->resolver(0));
    if (engine_.tls_policies.mta_sts)
      sts_ = std::make_unique<smtp::StsFinder>(loop, runtime_->resolver(0), *runtime_->https(0));
    router_ = std::make_unique<smtp::Router>(
        runtime_->resolver(0),
        smtp::TlsSources{
            .policy = engine_.tls, .policies = &engine_.tls_policies, .secure = secure_.get(), .sts = sts_.get()});
    return {};
  }

  void close() {
    runtime_->stop();
    router_.reset();
    sts_.reset();
    secure_.reset();
  }

  void bad(std::string_view about, std::string_view text) {
    state(about, "bad", text);
    status_ = kUnsettled;
  }

  void check_dnssec() {
    if (secure_ == nullptr) return;
    if (!wait_on<bool>(*runtime_, [this](auto done) { secure_->validates(done); }))
      return state("DNSSEC", "note",
                   "nothing validates here: these DNS servers leave signatures out, so there is no DANE");
    const auto mx =
        wait_on<net::SecureAnswer<net::MxRecord>>(*runtime_, [this](auto done) { secure_->mx(options_.domain, done); });
    if (mx.security == net::DnsSecurity::kBogus)
      bad(options_.domain, "its MX records are forged or broken: " + mx.answer.detail);
    if (mx.security == net::DnsSecurity::kInsecure)
      state(options_.domain, "note", "its MX records are not signed: no DANE");
    if (mx.security == net::DnsSecurity::kSecure) state(options_.domain, "good", "its MX records are signed");
  }

  void check_sts() {
    if (sts_ == nullptr) return;
    const auto found =
        wait_on<smtp::StsFinder::Found>(*runtime_, [this](auto done) { sts_->find(options_.domain, done); });
    if (!found.failure.empty()) bad(options_.domain, "MTA-STS: " + found.failure);
    if (found.policy != nullptr) {
      state(options_.domain, "good",
            fmt::format("MTA-STS: {}, for {}, {} s", to_string(found.policy->mode), fmt::join(found.policy->mx, " "),
                        found.policy->max_age.count()));
    } else if (found.failure.empty()) {
      state(options_.domain, "note", "no MTA-STS policy");
    }
  }

  void say_policy(const smtp::RouteTls& tls) {
    static constexpr std::string_view kPolicies[] = {"none", "opportunistic", "required", "verified"};
    state(options_.domain, "policy",
          fmt::format("{} ({}){}", kPolicies[static_cast<int>(tls.policy)], to_string(tls.source),
                      tls.dane ? "; verified by DANE at hosts with TLSA records" : ""));
  }

  void check_host(const smtp::Route& route, const smtp::RouteHost& host) {
    if (route.tls.dane) check_tlsa(host.host);
    if (!options_.connect) return state(host.host, "host", fmt::format("preference {}", host.preference));
    smtp::PoolOptions options{.session = {.ehlo_name = options_.ehlo, .tls = engine_.tls},
                              .port = options_.port,
                              .tls = route.tls,
                              .secure = secure_.get(),
                              .targets = targets_};
    std::string said;
    Visit visit;
    const auto result = visit.open(*runtime_, std::move(options), host, said);
    if (!said.empty()) return bad(host.host, said);
    if (!result || !result->tls) return bad(host.host, "mail goes in clear");
    state(host.host, result->verified ? "good" : "note",
          result->verified
              ? fmt::format("TLS, verified by {}", result->dane && !result->tlsa.empty() ? "DANE" : "the roots")
              : fmt::format("TLS, not verified: {}", to_string(result->failure)));
  }

  // As for a delivery: at what an alias leads to, if that is signed, then at the host's own name (RFC 7672 2.2.2).
  void check_tlsa(const std::string& host) {
    const auto addresses =
        wait_on<net::SecureAnswer<net::IpAddress>>(*runtime_, [&](auto done) { secure_->addresses(host, done); });
    if (addresses.owner != host && !addresses.owner.empty()) {
      state(host, "note", "an alias of " + addresses.owner);
      if (addresses.security == net::DnsSecurity::kSecure && has_tlsa(addresses.owner)) return;
    }
    has_tlsa(host);
  }

  // False: it is known that there are none.
  bool has_tlsa(const std::string& base) {
    const std::string name = fmt::format("_{}._tcp.{}", options_.port, base);
    const auto found =
        wait_on<net::SecureAnswer<net::TlsaRecord>>(*runtime_, [&](auto done) { secure_->tlsa(name, done); });
    if (found.answer.status == net::DnsStatus::kFailed) {
      bad(name, "this host is passed over: " + found.answer.detail);
      return true;
    }
    for (const net::TlsaRecord& record : found.answer.records)
      state(name, found.security == net::DnsSecurity::kSecure && record.usable() ? "good" : "note",
            "TLSA " + record.str());
    if (found.answer.records.empty()) state(name, "note", "no TLSA records");
    return !found.answer.records.empty();
  }

  void check_reports() {
    const auto texts = wait_on<net::DnsAnswer<std::string>>(
        *runtime_, [this](auto done) { runtime_->resolver(0).txt("_smtp._tls." + options_.domain, done); });
    const auto record = smtp::parse_tlsrpt_record(texts.records);
    if (!record) return state(options_.domain, "note", "wants no TLS reports");
    for (const Address& address : record->mailto)
      state(options_.domain, "good", "wants TLS reports at " + address.str());
    for (const std::string& url : record->https) state(options_.domain, "good", "wants TLS reports at " + url);
  }

  const Options& options_;
  EngineOptions engine_{.egress = {}};  // For its policies alone.
  std::unique_ptr<net::Runtime> runtime_;
  std::unique_ptr<net::SecureResolver> secure_;
  std::unique_ptr<smtp::StsFinder> sts_;
  std::unique_ptr<smtp::Router> router_;
  smtp::TargetRules targets_;
  int status_ = kDone;
};

}  // namespace

void add_tls_command(CLI::App& app, std::function<int()>& run) {
  CLI::App* tls = app.add_subcommand("tls", "What is asked of the TLS of a domain's mail hosts");
  tls->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* check = tls->add_subcommand(
      "check", "Which policy applies to a domain, and why; with --connect, whether its hosts keep it");
  check->add_option("DOMAIN", options->domain, "For example example.net")->required();
  check->add_option("--dns", options->dns, "DNS server IP[:PORT]; may be given again. Default: the system's");
  check->add_flag("--connect", options->connect, "Connect to each MX host, say EHLO and STARTTLS, and leave");
  check->add_option("--ehlo", options->ehlo, "The name to say then")->capture_default_str();
  check->add_option("--port", options->port, "Port of every MX host")->capture_default_str();
  check->add_option("--allow-target", options->allowed_targets,
                    "A range that MX hosts may be in although it is loopback or private, for example 127.0.0.0/8");
  add_tls_options(*check, options->tls);
  check->footer(
      "Lines out, each \"NAME: good|note|bad|policy|host: what\".\n\n"
      "Exit status: 0 nothing is bad; 1 something is: mail would wait, or a policy cannot be had; 2 an option or a "
      "file is not as "
      "it must be.\n\n"
      "Example:\n  mailsbuddy tls check example.net --connect --ehlo mx1.brand.example");
  check->callback([options, &run] { run = [options] { return Check(*options).run(); }; });
}

}  // namespace mailsbuddy::cli

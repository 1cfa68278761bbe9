// Transport security on real sockets: certificates made here, zones signed here, NSD and our own sink on loopback.
#include <boost/test/unit_test.hpp>
#include <future>
#include <optional>

#include "mailsbuddy/smtp.h"
#include "tests/net/certificates.h"
#include "tests/net/signed_zones.h"
#include "tests/smtp/client_words.h"

using namespace mailsbuddy;
using namespace mailsbuddy::net::test;
using smtp::TlsPolicy;

namespace {

// A sink for one certificate.
struct Receiver {
  explicit Receiver(const Identity* identity) {
    smtp::SinkOptions options;
    options.listeners = {{.endpoint = {ip("127.0.0.1"), 0}}};
    options.profiles = {{.start_tls = identity != nullptr}};
    if (identity != nullptr) {
      options.tls_certificate_pem = certificate_pem(*identity);
      options.tls_key_pem = key_pem(*identity);
    }
    sink = std::move(smtp::Sink::start(std::move(options)).value());
  }
  std::uint16_t port() const { return sink->endpoints().front().port; }
  std::unique_ptr<smtp::Sink> sink;
};

// Opens one connection on the runtime's first loop. "tls verified", "tls", "clear", or why not.
class Opening final : public smtp::PoolHandler {
 public:
  Opening(net::Runtime& runtime, net::SecureResolver* secure, smtp::RouteTls tls, std::uint16_t port)
      : runtime_(runtime) {
    options_ = {.session = {.ehlo_name = "client.example"},
                .port = port,
                .tls = std::move(tls),
                .secure = secure,
                .targets = smtp::TargetRules::make({.allowed = {"127.0.0.0/8"}}).value()};
    options_.on_tls = [this](const smtp::TlsResult& result) { result_ = result; };
  }
  std::string open(std::vector<smtp::RouteHost> hosts) {
    auto future = said_.get_future();
    runtime_.loop(0).post([this, &hosts] {
      pool_.emplace(runtime_.loop(0), runtime_.transport(0), runtime_.resolver(0), options_, std::move(hosts), *this,
                    random_);
      pool_->open();
    });
    wait_for(future);
    std::promise<void> gone;
    auto ended = gone.get_future();
    runtime_.loop(0).post([&] {
      pool_.reset();
      gone.set_value();
    });
    wait_for(ended);
    return future.get();
  }
  const smtp::TlsResult& result() const { return result_; }

  void on_ready(smtp::Pool& pool, smtp::ConnectionId id) override {
    said_.set_value(!pool.info(id).tls                                ? "clear"
                    : pool.info(id).verified != net::TlsVerify::kNone ? "tls verified"
                                                                      : "tls");
  }
  void on_open_failed(smtp::Pool&, smtp::ConnectionId, const Outcome& reason) override {
    said_.set_value(words(reason));
  }
  void on_recipient(smtp::Pool&, smtp::ConnectionId, std::size_t, const Outcome&) override {}
  void on_transaction_done(smtp::Pool&, smtp::ConnectionId) override {}
  void on_closed(smtp::Pool&, smtp::ConnectionId, const Outcome&) override {}

 private:
  static std::string words(const Outcome& outcome) { return mailsbuddy::test::words(outcome); }

  net::Runtime& runtime_;
  smtp::PoolOptions options_;
  Random random_{1};
  std::optional<smtp::Pool> pool_;
  std::promise<std::string> said_;
  smtp::TlsResult result_;
};

enum class Shows { kGood, kExpired, kOtherName, kOtherIssuer, kSelfSigned, kNothing };

struct Case {
  const char* name;
  Shows shows;
  TlsPolicy policy;
  const char* says;  // What Opening::open() begins with, or has in it.
  net::TlsFailure failure = net::TlsFailure::kNone;
};

using Failure = net::TlsFailure;

constexpr Case kCases[] = {
    {"good, verified", Shows::kGood, TlsPolicy::kVerified, "tls verified"},
    {"good, opportunistic", Shows::kGood, TlsPolicy::kOpportunistic, "tls"},
    {"expired, verified", Shows::kExpired, TlsPolicy::kVerified, "certificate has expired", Failure::kExpired},
    {"expired, required", Shows::kExpired, TlsPolicy::kRequired, "tls", Failure::kExpired},
    {"expired, opportunistic", Shows::kExpired, TlsPolicy::kOpportunistic, "tls", Failure::kExpired},
    {"wrong name, verified", Shows::kOtherName, TlsPolicy::kVerified, "hostname mismatch", Failure::kNameMismatch},
    {"wrong name, opportunistic", Shows::kOtherName, TlsPolicy::kOpportunistic, "tls", Failure::kNameMismatch},
    {"unknown issuer, verified", Shows::kOtherIssuer, TlsPolicy::kVerified, "unable to get local issuer",
     Failure::kUntrusted},
    {"self-signed, verified", Shows::kSelfSigned, TlsPolicy::kVerified, "self-signed certificate",
     Failure::kSelfSigned},
    {"self-signed, opportunistic", Shows::kSelfSigned, TlsPolicy::kOpportunistic, "tls", Failure::kSelfSigned},
    {"no TLS, verified", Shows::kNothing, TlsPolicy::kVerified, "STARTTLS is not offered"},
    {"no TLS, opportunistic", Shows::kNothing, TlsPolicy::kOpportunistic, "clear"},
};

struct World {
  Authority ours;
  Authority other{"Other CA"};
  Identity good = make_identity("mx.secure.example", &ours.identity);
  Identity expired = make_identity("mx.secure.example", &ours.identity, Age::kExpired);
  Identity other_name = make_identity("mx.elsewhere.example", &ours.identity);
  Identity other_issuer = make_identity("mx.secure.example", &other.identity);
  Identity self_signed = make_identity("mx.secure.example", nullptr);

  const Identity* shows(Shows what) const {
    switch (what) {
      case Shows::kGood:
        return &good;
      case Shows::kExpired:
        return &expired;
      case Shows::kOtherName:
        return &other_name;
      case Shows::kOtherIssuer:
        return &other_issuer;
      case Shows::kSelfSigned:
        return &self_signed;
      case Shows::kNothing:
        break;
    }
    return nullptr;
  }
};

bool says(const std::string& said, std::string_view wanted) {
  return said == wanted || (wanted.find(' ') != std::string_view::npos && said.find(wanted) != std::string::npos);
}

// It has no issuer: what is verified is so by TLSA records.
std::unique_ptr<net::Runtime> validating_runtime(const SignedZones& zones) {
  return std::move(
      net::make_runtime({.workers = 1,
                         .cpu_threads = 1,
                         .resolver = {.servers = {zones.endpoint()}},
                         .secure_resolver = {.servers = {zones.endpoint()}, .trust_anchors = zones.anchors()},
                         .tls_ca = "/nonexistent"})
          .value());
}

smtp::RouteAnswer routed(net::Runtime& runtime, smtp::Router& router, std::string_view domain) {
  std::promise<smtp::RouteAnswer> said;
  auto future = said.get_future();
  runtime.loop(0).post([&] { router.route(domain, [&](const smtp::RouteAnswer& answer) { said.set_value(answer); }); });
  wait_for(future);
  return future.get();
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(certificates_by_policy, World) {
  if (!SignedZones::can()) return;
  const SignedZones zones(std::vector<ZoneText>{{.name = "secure.example", .records = "mx A 127.0.0.1\n"}});
  const auto runtime =
      std::move(net::make_runtime(
                    {.workers = 1, .cpu_threads = 1, .resolver = {.servers = {zones.endpoint()}}, .tls_ca = ours.file})
                    .value());
  for (const Case& c : kCases) BOOST_TEST_CONTEXT(c.name) {
      const Receiver receiver(shows(c.shows));
      Opening opening(*runtime, nullptr, {.policy = c.policy}, receiver.port());
      const std::string said = opening.open({{10, "mx.secure.example"}});
      BOOST_TEST(says(said, c.says), said);
      BOOST_TEST(to_string(opening.result().failure) == to_string(c.failure));
    }
  runtime->stop();
}

// The records are in a zone that is signed here, and libunbound validates them. What the certificates' names, dates and
// issuers are does not count for usage 3.
BOOST_FIXTURE_TEST_CASE(dane_against_signed_zones, World) {
  if (!SignedZones::can()) {
    BOOST_TEST_MESSAGE("skipped: nsd or ldnsutils is not installed");
    return;
  }
  struct Dane {
    const char* name;
    Shows shows;
    std::string record;
    const char* says;
    const char* forge = "";  // A word of the record that changes after signing.
  };
  const auto text = [](const Identity& of, int usage, int selector) {
    return tlsa_of(of, static_cast<std::uint8_t>(usage), static_cast<std::uint8_t>(selector), 1).str();
  };
  const Dane cases[] = {
      {"DANE-EE", Shows::kSelfSigned, text(self_signed, 3, 1), "tls verified"},
      {"DANE-EE, expired", Shows::kExpired, text(expired, 3, 1), "tls verified"},
      {"DANE-EE, mismatch", Shows::kGood, text(self_signed, 3, 1), "no matching DANE TLSA records"},
      {"DANE-TA", Shows::kOtherIssuer, "2 0 0 " + tlsa_of(other.identity, 2, 0, 0).str().substr(6), "tls verified"},
      {"DANE-TA, wrong name", Shows::kOtherName, "2 0 0 " + tlsa_of(ours.identity, 2, 0, 0).str().substr(6),
       "hostname mismatch"},
      {"PKIX-EE is not for SMTP", Shows::kSelfSigned, text(self_signed, 1, 1), "tls"},
      {"PKIX-EE, no TLS", Shows::kNothing, text(self_signed, 1, 1), "STARTTLS is not offered"},
      {"records and no TLS", Shows::kNothing, text(self_signed, 3, 1), "STARTTLS is not offered"},
      {"no records", Shows::kSelfSigned, "", "tls"},
      {"no records, no TLS", Shows::kNothing, "", "clear"},
      {"forged", Shows::kSelfSigned, text(self_signed, 3, 1), "route dns_failure", "TLSA"},
  };
  for (const Dane& c : cases) BOOST_TEST_CONTEXT(c.name) {
      const Receiver receiver(shows(c.shows));
      const std::string owner = "_" + std::to_string(receiver.port()) + "._tcp.mx";
      const std::string digits = c.record.empty() ? "" : c.record.substr(c.record.rfind(' ') + 1);
      std::string forged = digits;
      if (!forged.empty()) forged.back() = forged.back() == '0' ? '1' : '0';
      const bool forge = *c.forge != '\0';
      const SignedZones zones(
          {{.name = "secure.example",
            .records = "@ MX 10 mx\nmx A 127.0.0.1\n" + (c.record.empty() ? "" : owner + " TLSA " + c.record + "\n"),
            .forge = forge ? digits : "",
            .forged = forge ? forged : ""}});
      const auto runtime = validating_runtime(zones);
      Opening opening(*runtime, runtime->secure_resolver(0), {.source = smtp::TlsSource::kDane, .dane = true},
                      receiver.port());
      const std::string said = opening.open({{10, "mx.secure.example"}});
      BOOST_TEST(says(said, c.says), said);
      runtime->stop();
    }
}

// Aliases, and whose records count, from the MX record to the handshake.
BOOST_FIXTURE_TEST_CASE(dane_of_aliases_and_of_mx_records_that_are_not_signed, World) {
  if (!SignedZones::can()) return;
  const Receiver receiver(&self_signed);
  const std::string port = "_" + std::to_string(receiver.port()) + "._tcp.";
  const std::string right = " TLSA " + tlsa_of(self_signed, 3, 1, 1).str() + "\n";
  const std::string wrong = " TLSA " + tlsa_of(expired, 3, 1, 1).str() + "\n";
  // A zone, and the records in it and in plain.example, which is not signed.
  struct Alias {
    const char* name;
    const char* domain;
    std::string in_signed, in_plain;
    const char* says;
  };
  const Alias cases[] = {
      {"at the target", "secure.example", "@ MX 10 mx\nmx CNAME host\nhost A 127.0.0.1\n" + port + "host" + right, "",
       "tls verified"},
      {"at the target, before those at the alias", "secure.example",
       "@ MX 10 mx\nmx CNAME host\nhost A 127.0.0.1\n" + port + "host" + wrong + port + "mx" + right, "",
       "no matching DANE TLSA records"},
      {"at the alias", "secure.example", "@ MX 10 mx\nmx CNAME host\nhost A 127.0.0.1\n" + port + "mx" + right, "",
       "tls verified"},
      {"at an alias whose target is not signed", "secure.example",
       "@ MX 10 mx\nmx CNAME host.plain.example.\n" + port + "mx" + right, "host A 127.0.0.1\n" + port + "host" + wrong,
       "tls verified"},
      {"another's, at an alias whose target is not signed", "secure.example",
       "@ MX 10 mx\nmx CNAME host.plain.example.\n" + port + "mx" + wrong, "host A 127.0.0.1\n" + port + "host" + right,
       "no matching DANE TLSA records"},
      {"at the target of an alias that is not signed", "secure.example",
       "@ MX 10 mx.plain.example.\nhost A 127.0.0.1\n" + port + "host" + wrong, "mx CNAME host.secure.example.\n",
       "tls"},
      {"of a host of MX records that are not signed", "plain.example", "mx A 127.0.0.1\n" + port + "mx" + wrong,
       "@ MX 10 mx.secure.example.\n", "tls"},
  };
  for (const Alias& c : cases) BOOST_TEST_CONTEXT(c.name) {
      const SignedZones zones({{.name = "secure.example", .records = c.in_signed},
                               {.name = "plain.example", .records = c.in_plain, .sign = false}});
      const auto runtime = validating_runtime(zones);
      smtp::Router router(runtime->resolver(0), {.secure = runtime->secure_resolver(0)});
      const smtp::RouteAnswer answer = routed(*runtime, router, c.domain);
      BOOST_REQUIRE(answer.route);
      Opening opening(*runtime, runtime->secure_resolver(0), answer.route->tls, receiver.port());
      const std::string said = opening.open(answer.route->hosts);
      BOOST_TEST(says(said, c.says), said);
      runtime->stop();
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// MTA-STS, from the TXT record to the handshake

namespace {

// The policy host: HTTPS with one page.
class PolicyHost {
 public:
  PolicyHost(const Identity& identity, std::string page)
      : page_(std::move(page)), context_(SSL_CTX_new(TLS_server_method())), server_([this](Fd fd) { serve(fd); }) {
    SSL_CTX_use_certificate(context_.get(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), identity.key.get());
  }
  std::uint16_t port() const { return server_.endpoint().port; }

 private:
  void serve(const Fd& fd) const {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    const net::SslPtr ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), fd.get());
    if (SSL_accept(ssl.get()) != 1) return;
    char request[4096];
    SSL_read(ssl.get(), request, sizeof request);
    const std::string reply =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(page_.size()) + "\r\n\r\n" +
        page_;
    SSL_write(ssl.get(), reply.data(), static_cast<int>(reply.size()));
    SSL_shutdown(ssl.get());
  }

  std::string page_;
  net::SslCtxPtr context_;
  Server server_;
};

struct Sts {
  const char* name;
  const char* mode;
  const char* mx;
  Shows shows;
  bool policy_host_trusted;
  const char* says;
};

constexpr Sts kSts[] = {
    {"enforced", "enforce", "mx.secure.example", Shows::kGood, true, "tls verified"},
    {"enforced, expired", "enforce", "*.secure.example", Shows::kExpired, true, "certificate has expired"},
    {"enforced, no TLS", "enforce", "mx.secure.example", Shows::kNothing, true, "STARTTLS is not offered"},
    {"enforced, another host", "enforce", "mx.elsewhere.example", Shows::kGood, true, "no MX host of secure.example"},
    {"tested, expired", "testing", "mx.secure.example", Shows::kExpired, true, "tls"},
    {"tested, no TLS", "testing", "mx.secure.example", Shows::kNothing, true, "clear"},
    {"its host is not trusted", "enforce", "mx.secure.example", Shows::kNothing, false, "clear"},
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(sts_from_the_record_to_the_handshake, World) {
  if (!SignedZones::can()) return;
  const SignedZones zones(std::vector<ZoneText>{{.name = "secure.example",
                                                 .records = "@ MX 10 mx\nmx A 127.0.0.1\nmta-sts A 127.0.0.1\n"
                                                            "_mta-sts TXT \"v=STSv1; id=1\"\n",
                                                 .sign = false}});
  for (const Sts& c : kSts) BOOST_TEST_CONTEXT(c.name) {
      const Receiver receiver(shows(c.shows));
      const PolicyHost host(
          make_identity("mta-sts.secure.example", c.policy_host_trusted ? &ours.identity : &other.identity),
          std::string("version: STSv1\nmode: ") + c.mode + "\nmx: " + c.mx + "\nmax_age: 86400\n");
      net::RuntimeOptions options{
          .workers = 1, .cpu_threads = 1, .resolver = {.servers = {zones.endpoint()}}, .tls_ca = ours.file};
      options.https = {.ca = ours.file, .port = host.port(), .allow_private = true};
      const auto runtime = std::move(net::make_runtime(std::move(options)).value());
      smtp::StsFinder sts(runtime->loop(0), runtime->resolver(0), *runtime->https(0));
      smtp::Router router(runtime->resolver(0), {.sts = &sts});
      const smtp::RouteAnswer answer = routed(*runtime, router, "secure.example");
      std::string said = answer.failure.detail;
      if (answer.route) {
        Opening opening(*runtime, nullptr, answer.route->tls, receiver.port());
        said = opening.open(answer.route->hosts);
      }
      BOOST_TEST(says(said, c.says), said);
      runtime->stop();
    }
}

#include "core/net/unbound_resolver.h"

#include <fmt/ranges.h>

#include <boost/test/unit_test.hpp>

#include "tests/net/signed_zones.h"

namespace mailsbuddy::net {
namespace {

using namespace test;  // NOLINT: the builders are the language of these cases.

const std::string kDigest(64, 'a');

const std::vector<ZoneText> kZones = {
    {.name = "secure.example",
     .records = "@ MX 10 mx\nmx A 192.0.2.1\nmx AAAA 2001:db8::1\n_25._tcp.mx TLSA 3 1 1 " + kDigest +
                "\n_25._tcp.mx TLSA 0 0 1 " + kDigest +
                "\nalias CNAME mx\naway CNAME mx.plain.example.\nsub NS ns.plain.example.\n"},
    {.name = "plain.example",
     .records = "@ MX 10 mx\nmx A 192.0.2.2\n_25._tcp.mx TLSA 3 1 1 " + kDigest + "\n",
     .sign = false},
    {.name = "sub.secure.example", .records = "@ MX 10 mx\nmx A 192.0.2.3\n", .sign = false},
    {.name = "forged.example", .records = "@ MX 10 mx\nmx A 192.0.2.4\n", .forge = "192.0.2.4", .forged = "192.0.2.5"},
    {.name = "expired.example", .records = "@ MX 10 mx\nmx A 192.0.2.6\n", .expired = "20200101000000"},
};

std::string text_of(const MxRecord& record) { return fmt::format("{} {}", record.preference, record.host); }
std::string text_of(const IpAddress& address) { return address.str(); }
std::string text_of(const TlsaRecord& record) { return record.str().substr(0, 12); }

template <class Record>
std::string text_of(const SecureAnswer<Record>& secure) {
  static constexpr const char* kSecurity[] = {"insecure", "secure", "bogus"};
  static constexpr const char* kStatus[] = {"ok", "no data", "no name", "failed"};
  std::string text = kSecurity[static_cast<int>(secure.security)];
  if (secure.answer.status != DnsStatus::kOk)
    return fmt::format("{}, {}", text, kStatus[static_cast<int>(secure.answer.status)]);
  std::vector<std::string> records;
  for (const Record& record : secure.answer.records) records.push_back(text_of(record));
  return fmt::format("{}: {} of {}", text, fmt::join(records, ", "), secure.owner);
}

// A loop with the resolver, asked from the test's thread.
struct Dns : LoopThread {
  explicit Dns(const SecureResolverOptions& options) : resolver(UnboundResolver::make(*loop, options).value()) {}
  ~Dns() {
    run([this] { resolver.reset(); });
    loop->stop();
  }
  template <class Record>
  std::string ask(void (SecureResolver::*what)(std::string_view, SecureResolver::Callback<Record>),
                  std::string_view name) {
    std::promise<std::string> got;
    auto future = got.get_future();
    loop->post([&] { ((*resolver).*what)(name, [&](const SecureAnswer<Record>& a) { got.set_value(text_of(a)); }); });
    wait_for(future);
    return future.get();
  }
  std::string mx(std::string_view name) { return ask(&SecureResolver::mx, name); }
  std::string addresses(std::string_view name) { return ask(&SecureResolver::addresses, name); }
  std::string tlsa(std::string_view name) { return ask(&SecureResolver::tlsa, name); }
  bool validates() {
    std::promise<bool> got;
    auto future = got.get_future();
    loop->post([&] { resolver->validates([&](bool yes) { got.set_value(yes); }); });
    wait_for(future);
    return future.get();
  }
  std::unique_ptr<UnboundResolver> resolver;
};

struct Question {
  const char* name;
  std::string (Dns::*ask)(std::string_view);
  const char* about;
  const char* answer;
};

constexpr Question kQuestions[] = {
    {"signed", &Dns::mx, "secure.example", "secure: 10 mx.secure.example of secure.example"},
    {"other case, trailing dot", &Dns::mx, "Secure.Example.", "secure: 10 mx.secure.example of secure.example"},
    {"both families", &Dns::addresses, "mx.secure.example", "secure: 2001:db8::1, 192.0.2.1 of mx.secure.example"},
    {"TLSA", &Dns::tlsa, "_25._tcp.mx.secure.example",
     "secure: 0 0 1 aaaaaa, 3 1 1 aaaaaa of _25._tcp.mx.secure.example"},
    {"proved not to be", &Dns::tlsa, "_25._tcp.none.secure.example", "secure, no name"},
    {"proved to have none", &Dns::tlsa, "mx.secure.example", "secure, no data"},
    {"alias", &Dns::addresses, "alias.secure.example", "secure: 2001:db8::1, 192.0.2.1 of mx.secure.example"},
    {"alias out of it", &Dns::addresses, "away.secure.example", "insecure: 192.0.2.2 of mx.plain.example"},
    {"not signed", &Dns::mx, "plain.example", "insecure: 10 mx.plain.example of plain.example"},
    {"TLSA, not signed", &Dns::tlsa, "_25._tcp.mx.plain.example",
     "insecure: 3 1 1 aaaaaa of _25._tcp.mx.plain.example"},
    {"not signed, by proof", &Dns::mx, "sub.secure.example",
     "insecure: 10 mx.sub.secure.example of sub.secure.example"},
    {"forged", &Dns::addresses, "mx.forged.example", "bogus, failed"},
    {"beside what is forged", &Dns::mx, "forged.example", "secure: 10 mx.forged.example of forged.example"},
    {"expired", &Dns::mx, "expired.example", "bogus, failed"},
    {"nobody's", &Dns::mx, "elsewhere.example", "insecure, failed"},
};

BOOST_AUTO_TEST_CASE(against_signed_zones) {
  if (!SignedZones::can()) {
    BOOST_TEST_MESSAGE("skipped: nsd or ldnsutils is not installed");
    return;
  }
  const SignedZones zones(kZones);
  Dns dns({.servers = {zones.endpoint()}, .trust_anchors = zones.anchors()});
  BOOST_TEST(dns.validates());
  for (const Question& c : kQuestions) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST((dns.*c.ask)(c.about) == c.answer);
    }
}

BOOST_AUTO_TEST_CASE(without_anchors_that_fit_nothing_validates) {
  if (!SignedZones::can()) return;
  const SignedZones zones({kZones[1]});
  Dns dns({.servers = {zones.endpoint()}});  // The root's, of which this server knows nothing.
  BOOST_TEST(!dns.validates());
}

BOOST_AUTO_TEST_CASE(more_questions_than_are_asked_at_once) {
  if (!SignedZones::can()) return;
  const SignedZones zones({kZones[0]});
  Dns dns({.servers = {zones.endpoint()}, .trust_anchors = zones.anchors()});
  constexpr int kQuestionsAsked = 3 * static_cast<int>(kSecureQuestionsMax);
  std::promise<void> all;
  auto done = all.get_future();
  std::atomic<int> secure = 0, answered = 0;
  dns.run([&] {
    for (int i = 0; i < kQuestionsAsked; ++i)
      dns.resolver->mx(fmt::format("n{}.secure.example", i), [&](const SecureAnswer<MxRecord>& answer) {
        secure += answer.security == DnsSecurity::kSecure && answer.answer.status == DnsStatus::kNxDomain ? 1 : 0;
        if (++answered == kQuestionsAsked) all.set_value();
      });
  });
  wait_for(done);
  BOOST_TEST(secure == kQuestionsAsked);
}

BOOST_AUTO_TEST_CASE(silence_ends_by_time_and_destruction_calls_nobody) {
  const Fd silent(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SockAddr any = to_sockaddr({ip("127.0.0.1"), 0});
  BOOST_REQUIRE(bind(silent.get(), any.get(), any.size) == 0);
  Dns dns({.servers = {bound_to(silent.get())}, .timeout = std::chrono::milliseconds(50)});
  BOOST_TEST(dns.mx("example.net") == "insecure, failed");
  dns.run([&] { dns.resolver->mx("example.org", [](const auto&) { BOOST_ERROR("called after destruction"); }); });
}

struct Refusal {
  const char* name;
  SecureResolverOptions options;
  const char* words;
};

const Refusal kRefusals[] = {
    {"no port", {.servers = {{ip("192.0.2.1"), 0}}}, "\"192.0.2.1:0\" is not a server's address and port"},
    {"no time", {.timeout = Duration(0)}, "timeout: not from 1 ms to 1 h"},
    {"no anchor", {.trust_anchors = "this is no record\n"}, "trust anchor"},
};

BOOST_AUTO_TEST_CASE(options_that_cannot_be) {
  const LoopThread thread;
  for (const Refusal& c : kRefusals) BOOST_TEST_CONTEXT(c.name) {
      const auto made = UnboundResolver::make(*thread.loop, c.options);
      BOOST_REQUIRE(!made.has_value());
      BOOST_TEST((made.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(made.error().detail.find(c.words) != std::string::npos, made.error().detail);
    }
}

}  // namespace
}  // namespace mailsbuddy::net

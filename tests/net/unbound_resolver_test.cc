#include "core/net/unbound_resolver.h"

#include <fmt/ranges.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <map>
#include <thread>

#include "tests/net/signed_zones.h"

namespace mailsbuddy::net {
namespace {

using namespace test;  // NOLINT: the builders are the language of these cases.

const std::string kDigest(64, 'a');

const std::vector<ZoneText> kZones = {
    {.name = "secure.example",
     .records = "@ MX 10 mx\nmx A 192.0.2.1\nmx AAAA 2001:db8::1\n_25._tcp.mx TLSA 3 1 1 " + kDigest +
                "\n_25._tcp.mx TLSA 0 0 1 " + kDigest +
                "\nalias CNAME mx\naway CNAME mx.plain.example.\nfar CNAME away\nsub NS ns.plain.example.\n"},
    {.name = "plain.example",
     .records = "@ MX 10 mx\nmx A 192.0.2.2\nback CNAME mx.secure.example.\n_25._tcp.mx TLSA 3 1 1 " + kDigest + "\n",
     .sign = false},
    {.name = "sub.secure.example", .records = "@ MX 10 mx\nmx A 192.0.2.3\n", .sign = false},
    {.name = "forged.example", .records = "@ MX 10 mx\nmx A 192.0.2.4\n", .forge = "192.0.2.4", .forged = "192.0.2.5"},
    {.name = "twisted.example", .records = "alias CNAME mx.plain.example.\n", .forge = "plain", .forged = "plane"},
    {.name = "expired.example", .records = "@ MX 10 mx\nmx A 192.0.2.6\n", .expired = "20200101000000"},
};

std::string text_of(const MxRecord& record) { return fmt::format("{} {}", record.preference, record.host); }
std::string text_of(const IpAddress& address) { return address.str(); }
std::string text_of(const std::string& name) { return name; }
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
  std::string cname(std::string_view name) { return ask(&SecureResolver::cname, name); }
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
    {"its own record", &Dns::cname, "Away.secure.example", "secure: mx.plain.example of away.secure.example"},
    {"an alias of that", &Dns::cname, "far.secure.example", "secure: away.secure.example of far.secure.example"},
    {"no alias", &Dns::cname, "mx.secure.example", "secure, no data"},
    {"alias into it", &Dns::cname, "back.plain.example", "insecure: mx.secure.example of back.plain.example"},
    {"its addresses", &Dns::addresses, "back.plain.example", "insecure: 2001:db8::1, 192.0.2.1 of mx.secure.example"},
    {"alias, forged", &Dns::cname, "alias.twisted.example", "bogus, failed"},
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

// Contexts change globals of libunbound as they are made, and the first one of the process most: so this is the first
// case. That two threads do so at once is for the thread sanitizer to see.
BOOST_AUTO_TEST_CASE(workers_open_theirs_at_once) {
  constexpr std::size_t kWorkers = 4;
  const SecureResolverOptions options{.servers = {{ip("127.0.0.1"), 9}}, .timeout = std::chrono::milliseconds(50)};
  std::vector<std::unique_ptr<Dns>> workers;
  while (workers.size() < kWorkers) workers.push_back(std::make_unique<Dns>(options));
  std::atomic<std::size_t> at_once = 0, validate = 0;
  std::vector<std::thread> askers;
  for (const auto& worker : workers) askers.emplace_back([&] {
      for (++at_once; at_once < kWorkers;) std::this_thread::yield();
      if (worker->validates()) ++validate;
    });
  for (std::thread& each : askers) each.join();
  BOOST_TEST(validate == 0U);
}

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

// Forwards what it is asked, but for names with "slow" in them: those it never answers.
class Tarpit {
 public:
  explicit Tarpit(const Endpoint& server) : socket_(udp("127.0.0.1", 0)), up_(udp("127.0.0.1", 0)) {
    sockaddr_in to = address("127.0.0.1", server.port);
    connect(up_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    thread_ = std::thread([this] { run(); });
  }
  ~Tarpit() {
    stopping_ = true;
    thread_.join();
    close(socket_);
    close(up_);
  }
  Endpoint endpoint() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&own), &size);
    return {*IpAddress::parse("127.0.0.1"), ntohs(own.sin_port)};
  }
  int slow() const { return slow_; }  // Questions that it kept.

 private:
  static sockaddr_in address(const char* ip, std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    inet_pton(AF_INET, ip, &made.sin_addr);
    return made;
  }
  static int udp(const char* ip, std::uint16_t port) {
    const int made = socket(AF_INET, SOCK_DGRAM, 0);
    const sockaddr_in own = address(ip, port);
    BOOST_REQUIRE(bind(made, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
    return made;
  }
  void run() {
    std::map<std::uint16_t, sockaddr_in> askers;  // By the question's number.
    while (!stopping_) {
      pollfd ready[] = {{socket_, POLLIN, 0}, {up_, POLLIN, 0}};
      poll(ready, 2, 50);
      char buffer[4096];
      const auto id = [&] { return static_cast<std::uint16_t>(static_cast<unsigned char>(buffer[0]) << 8 | static_cast<unsigned char>(buffer[1])); };
      if ((ready[0].revents & POLLIN) != 0) {
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const ssize_t got = recvfrom(socket_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (got > 12 && std::string_view(buffer, static_cast<std::size_t>(got)).find("slow") != std::string_view::npos) {
          ++slow_;
        } else if (got > 12) {
          askers[id()] = from;
          send(up_, buffer, static_cast<std::size_t>(got), 0);
        }
      }
      if ((ready[1].revents & POLLIN) != 0) {
        const ssize_t got = recv(up_, buffer, sizeof buffer, 0);
        const sockaddr_in& to = askers[id()];
        if (got > 12) sendto(socket_, buffer, static_cast<std::size_t>(got), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
      }
    }
  }

  const int socket_, up_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> slow_ = 0;
  std::thread thread_;
};

// They would wait an hour.
struct SlowZones {
  SlowZones(int count, int names) {
    dns.run([&] {
      for (int zone = 0; zone < count; ++zone)
        for (int name = 0; name < names; ++name)
          dns.resolver->mx(fmt::format("n{}.slow{}.example", name, zone), [this](const SecureAnswer<MxRecord>& answer) {
            ended += answer.answer.detail.ends_with("took too long") ? 1 : 0;  // By us: libunbound gives up, too, in time.
          });
    });
    while (tarpit.slow() < std::min(count * names, 10)) std::this_thread::yield();
  }
  const SignedZones zones{{kZones[0]}};
  const Tarpit tarpit{zones.endpoint()};
  std::atomic<int> ended = 0;
  Dns dns{{.servers = {tarpit.endpoint()}, .trust_anchors = zones.anchors(), .timeout = std::chrono::hours(1)}};
};
constexpr const char* kHealthy = "secure: 10 mx.secure.example of secure.example";

BOOST_AUTO_TEST_CASE(a_zone_that_is_slow_holds_up_itself_alone) {
  if (!SignedZones::can()) return;
  SlowZones slow(1, 2 * kSecureQuestionsMax);
  BOOST_TEST(slow.dns.mx("secure.example") == kHealthy);
  BOOST_TEST(slow.dns.tlsa("_25._tcp.none.secure.example") == "secure, no name");
  BOOST_TEST(slow.ended == 0);
}

BOOST_AUTO_TEST_CASE(more_slow_zones_than_may_be_asked_at_once_give_way) {
  if (!SignedZones::can()) return;
  SlowZones slow(kSecureQuestionsMax + 100, 1);
  BOOST_TEST(slow.dns.mx("secure.example") == kHealthy);
  BOOST_TEST(slow.ended > 0);
}

BOOST_AUTO_TEST_CASE(whose_a_name_is) {
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"example.net", "example.net"},      {"_25._tcp.mx1.Example.NET.", "example.net"}, {"net", "net"},
      {"a.b.example.co.uk", "example.co.uk"}, {"example.co.uk", "example.co.uk"},        {"co.uk", "co.uk"},
      {"mx00.gmx.de", "gmx.de"},           {"a.co.example", "co.example"},               {".", ""},
  };
  for (const auto& [name, zone] : kNames) BOOST_TEST(zone_of(name) == zone);
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

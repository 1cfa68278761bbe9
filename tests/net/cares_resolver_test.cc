#include "core/net/cares_resolver.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/net/caching_resolver.h"
#include "tests/net/dns_message.h"
#include "tests/net/support.h"

namespace mailsbuddy::net {
namespace {

using namespace test;  // NOLINT: the builders are the language of these cases.
using std::chrono::milliseconds;

// --------------------------------------------------------------------------------------------------------------------
// A server that answers from a function

// UDP and TCP sockets bound to one free port of 127.0.0.1.
struct PortPair {
  PortPair() : udp(-1), tcp(-1) {
    for (int attempt = 0; attempt < 100; ++attempt) {  // The UDP port may be taken where the TCP port is free.
      tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      const SockAddr any = to_sockaddr({ip("127.0.0.1"), 0});
      BOOST_REQUIRE(bind(tcp, any.get(), any.size) == 0);
      endpoint = bound_to(tcp);
      const SockAddr same = to_sockaddr(endpoint);
      if (bind(udp, same.get(), same.size) == 0) return;
      close(tcp);
      close(udp);
    }
    BOOST_FAIL("no port free for both UDP and TCP");
  }
  int udp;
  int tcp;
  Endpoint endpoint;
};

class DnsServer {
 public:
  using Respond = std::function<Answer(std::string_view name, int type, bool over_tcp)>;

  explicit DnsServer(Respond respond) : respond_(std::move(respond)), udp_(ports_.udp), tcp_(ports_.tcp) {
    BOOST_REQUIRE(listen(tcp_.get(), 16) == 0);
    BOOST_REQUIRE(pipe(stop_) == 0);
    thread_ = std::thread([this] { run(); });
  }
  ~DnsServer() {
    close(stop_[1]);
    thread_.join();
    close(stop_[0]);
  }
  Endpoint endpoint() const { return ports_.endpoint; }
  int questions() const { return questions_; }

 private:
  void run() {
    while (true) {
      pollfd fds[] = {{stop_[0], POLLIN, 0}, {udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
      poll(fds, 3, -1);
      if (fds[0].revents != 0) return;
      if (fds[1].revents != 0) serve_udp();
      if (fds[2].revents != 0) serve_tcp();
    }
  }
  void serve_udp() {
    std::array<char, 4096> buffer{};
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got =
        recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 12) return;
    const std::string reply = answer({buffer.data(), static_cast<std::size_t>(got)}, false);
    if (!reply.empty()) sendto(udp_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
  void serve_tcp() {
    const Fd peer(accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::string length = peer.receive(2);
    if (length.size() < 2) return;
    const std::string query =
        peer.receive((static_cast<unsigned char>(length[0]) << 8U) + static_cast<unsigned char>(length[1]));
    const std::string reply = answer(query, true);
    peer.send(u16(static_cast<unsigned>(reply.size())) + reply);
  }
  std::string answer(std::string_view query, bool over_tcp) {
    ++questions_;
    std::string name;
    std::size_t at = 12;
    while (query[at] != 0) {
      const auto length = static_cast<std::size_t>(query[at]);
      name += (name.empty() ? "" : ".") + std::string(query.substr(at + 1, length));
      at += length + 1;
    }
    const int type = (static_cast<unsigned char>(query[at + 1]) << 8) + static_cast<unsigned char>(query[at + 2]);
    const unsigned id = (static_cast<unsigned char>(query[0]) << 8U) + static_cast<unsigned char>(query[1]);
    const Answer with = respond_(name, type, over_tcp);
    return with.silent ? "" : message(id, name, type, with);
  }

  Respond respond_;
  PortPair ports_;
  Fd udp_;
  Fd tcp_;
  int stop_[2] = {-1, -1};
  std::atomic<int> questions_ = 0;
  std::thread thread_;
};

// --------------------------------------------------------------------------------------------------------------------
// Asking

// A loop with a resolver; asks and waits.
struct Dns : LoopThread {
  explicit Dns(std::vector<Endpoint> servers, Duration timeout = std::chrono::seconds(20), int tries = 3) {
    options.servers = std::move(servers);
    options.timeout = timeout;
    options.tries = tries;
    auto made = CaresResolver::make(*loop, options);
    BOOST_REQUIRE_MESSAGE(made, (made ? "" : made.error().detail));
    resolver = std::move(*made);
  }
  ~Dns() { loop->stop(); }

  template <class Record>
  DnsAnswer<Record> ask(void (Resolver::*what)(std::string_view, Resolver::Callback<Record>), std::string_view name) {
    std::promise<DnsAnswer<Record>> promise;
    auto answer = promise.get_future();
    run([&] {
      bool inside = true;
      (*resolver.*what)(name, [&promise, &inside, this](const DnsAnswer<Record>& a) {
        if (!loop->is_owner()) BOOST_ERROR("called on another thread");
        promise.set_value(a);
      });
      inside = answer.wait_for(milliseconds(0)) == std::future_status::ready;
      BOOST_TEST(!inside);
    });
    wait_for(answer);
    return answer.get();
  }
  std::string mx(std::string_view name) {
    return describe(ask(&Resolver::mx, name),
                    [](const MxRecord& r) { return fmt::format("{} {}", r.preference, r.host); });
  }
  std::string addresses(std::string_view name) {
    return describe(ask(&Resolver::addresses, name), [](const IpAddress& a) { return a.str(); });
  }
  std::string txt(std::string_view name) {
    return describe(ask(&Resolver::txt, name), [](const std::string& text) { return text; });
  }
  template <class Record, class Write>
  static std::string describe(const DnsAnswer<Record>& answer, Write write) {
    if (answer.status == DnsStatus::kFailed) return "failed: " + answer.detail;
    std::string text = answer.status == DnsStatus::kNxDomain ? "no name"
                       : answer.status == DnsStatus::kNoData ? "no data"
                                                             : "";
    for (const Record& record : answer.records) text += (text.empty() ? "" : ", ") + write(record);
    return fmt::format("{} ttl {}", text, answer.ttl.count());
  }

  ResolverOptions options;
  std::unique_ptr<Resolver> resolver;
};

// --------------------------------------------------------------------------------------------------------------------
// Answers

Answer of_zone(std::string_view name, int type, bool over_tcp) {
  const std::vector<Record> negative = {soa("test", 900, 60)};
  if (name == "a.test" && type == ns_t_mx) return {.answer = {mx("a.test", 300, 10, "mx.a.test")}};
  if (name == "mx.a.test" && type == ns_t_a) return {.answer = {address("mx.a.test", 200, "192.0.2.1")}};
  if (name == "mx.a.test" && type == ns_t_aaaa) return {.answer = {address("mx.a.test", 100, "2001:db8::1")}};
  if (name == "half.test" && type == ns_t_a) return {.answer = {address("half.test", 200, "192.0.2.1")}};
  if (name == "half.test") return {.rcode = ns_r_servfail};
  if (name == "a.test" && type == ns_t_txt) return {.answer = {txt("a.test", 300, {"one ", "text"})}};
  if (name == "large.test") {
    if (!over_tcp) return {.truncated = true};
    Answer large;
    for (unsigned i = 0; i < 100; ++i)
      large.answer.push_back(mx("large.test", 300, i, "a-name-of-some-length.large.test"));
    return large;
  }
  if (name == "refused.test") return {.rcode = ns_r_refused};
  if (name == "servfail.test") return {.rcode = ns_r_servfail};
  if (name == "malformed.test") return {.answer = {{"malformed.test", ns_t_mx, 300, "x"}}};
  if (name == "alias.test") return {.answer = {cname("alias.test", 30, "a.test"), mx("a.test", 300, 10, "mx.a.test")}};
  if (name == "silent.test") return {.silent = true};
  if (name == "a.test") return {.authority = negative};
  return {.rcode = ns_r_nxdomain, .authority = negative};
}

struct Question {
  const char* name;
  std::string (Dns::*ask)(std::string_view);
  const char* about;
  std::string answer;  // "@" stands for the server's address.
};

const std::vector<Question> kQuestions = {
    {"MX", &Dns::mx, "a.test", "10 mx.a.test ttl 300"},
    {"with the trailing dot", &Dns::mx, "a.test.", "10 mx.a.test ttl 300"},
    {"alias", &Dns::mx, "alias.test", "10 mx.a.test ttl 30"},
    {"no name", &Dns::mx, "none.test", "no name ttl 60"},
    {"one label: no search domain is tried", &Dns::mx, "none", "no name ttl 60"},
    {"localhost is a name like others", &Dns::addresses, "localhost", "no name ttl 60"},
    {"no data", &Dns::addresses, "a.test", "no data ttl 60"},
    {"addresses, IPv6 first", &Dns::addresses, "mx.a.test", "2001:db8::1, 192.0.2.1 ttl 100"},
    {"one of the two fails", &Dns::addresses, "half.test", "192.0.2.1 ttl 5"},
    {"text", &Dns::txt, "a.test", "one text ttl 300"},
    {"server failure", &Dns::mx, "servfail.test",
     "failed: server @ cannot be reached, or answered SERVFAIL or REFUSED"},
    {"refusal", &Dns::addresses, "refused.test", "failed: server @ cannot be reached, or answered SERVFAIL or REFUSED"},
    {"malformed", &Dns::mx, "malformed.test", "failed: server @: malformed record"},
    {"a label of 64 octets", &Dns::mx, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
     "no name ttl 0"},
    {"an empty label", &Dns::mx, "a..test", "no name ttl 0"},
};

BOOST_AUTO_TEST_CASE(questions_and_answers) {
  DnsServer server(of_zone);
  Dns dns({server.endpoint()});
  for (const Question& c : kQuestions) BOOST_TEST_CONTEXT(c.name) {
      std::string expected = c.answer;
      if (const auto at = expected.find('@'); at != std::string::npos) expected.replace(at, 1, server.endpoint().str());
      BOOST_TEST((dns.*c.ask)(c.about) == expected);
    }
}

BOOST_AUTO_TEST_CASE(a_truncated_answer_comes_by_tcp) {
  DnsServer server(of_zone);
  Dns dns({server.endpoint()});
  const auto answer = dns.ask(&Resolver::mx, "large.test");
  BOOST_TEST((answer.status == DnsStatus::kOk));
  BOOST_TEST(answer.records.size() == 100U);
}

BOOST_AUTO_TEST_CASE(a_silent_server_is_named) {
  DnsServer server(of_zone);
  Dns dns({server.endpoint()}, milliseconds(20), 2);
  BOOST_TEST(dns.mx("silent.test") == "failed: server " + server.endpoint().str() + " did not answer");
  BOOST_TEST(server.questions() == 2);  // As many as tries.
}

BOOST_AUTO_TEST_CASE(a_port_without_a_server_is_named) {
  Endpoint nobody;
  {
    const PortPair pair;
    nobody = pair.endpoint;
    close(pair.udp);
    close(pair.tcp);
  }
  Dns dns({nobody}, milliseconds(20), 2);
  const std::string answer = dns.mx("a.test");
  BOOST_TEST(answer.starts_with("failed: server " + nobody.str() + " "));
}

BOOST_AUTO_TEST_CASE(the_second_server_helps_out) {
  DnsServer broken([](std::string_view, int, bool) { return Answer{.rcode = ns_r_servfail}; });
  DnsServer server(of_zone);
  Dns dns({broken.endpoint(), server.endpoint()});
  BOOST_TEST(dns.mx("a.test") == "10 mx.a.test ttl 300");
  BOOST_TEST(broken.questions() == 1);
  DnsServer silent([](std::string_view, int, bool) { return Answer{.silent = true}; });
  Dns patient({silent.endpoint(), server.endpoint()}, milliseconds(20), 2);
  const std::string answer = patient.mx("silent.test");
  BOOST_TEST(answer ==
             fmt::format("failed: servers {}, {} did not answer", silent.endpoint().str(), server.endpoint().str()));
}

BOOST_AUTO_TEST_CASE(more_questions_than_may_be_on_the_wire_are_all_answered_once) {
  DnsServer server(of_zone);
  constexpr int kCount = 3 * static_cast<int>(kDnsQuestionsMax);
  Dns dns({server.endpoint()}, milliseconds(500), 20);
  std::vector<int> answered(kCount);
  int left = kCount;
  Latch done;
  dns.run([&] {
    for (int i = 0; i < kCount; ++i)
      dns.resolver->mx(i % 2 == 0 ? "a.test" : "none.test", [&, i](const DnsAnswer<MxRecord>& answer) {
        if (answer.status != DnsStatus::kFailed) ++answered[static_cast<std::size_t>(i)];
        if (--left == 0) done.open();
      });
  });
  done.wait();
  dns.run([] {});
  BOOST_TEST(std::all_of(answered.begin(), answered.end(), [](int times) { return times == 1; }));
}

BOOST_AUTO_TEST_CASE(a_destroyed_resolver_calls_nobody) {
  DnsServer server(of_zone);
  Dns dns({server.endpoint()});
  Latch answered;
  dns.run([&] {
    const auto fail = [](const auto&) { BOOST_ERROR("called although the resolver is gone"); };
    dns.resolver->addresses("mx.a.test", fail);
    dns.resolver->mx("silent.test", fail);
    dns.resolver->mx("a..test", fail);  // Its answer is posted already.
    dns.resolver.reset();
  });
  dns.run([] {});
  dns.run([&] {
    auto again = CaresResolver::make(*dns.loop, dns.options);
    dns.resolver = std::move(*again);
    dns.resolver->mx("a.test", [&](const DnsAnswer<MxRecord>&) {
      dns.resolver.reset();  // From inside its own callback.
      answered.open();
    });
    dns.resolver->mx("silent.test", [](const auto&) { BOOST_ERROR("called although the resolver is gone"); });
  });
  answered.wait();
}

BOOST_AUTO_TEST_CASE(a_loop_may_stop_with_questions_open) {
  DnsServer server(of_zone);
  Dns dns({server.endpoint()});
  dns.run(
      [&] { dns.resolver->mx("silent.test", [](const auto&) { BOOST_ERROR("called although the loop is gone"); }); });
  dns.loop->stop();
  dns.resolver->mx("a.test", [](const auto&) { BOOST_ERROR("called although the loop is gone"); });
  dns.resolver.reset();
}

BOOST_AUTO_TEST_CASE(negative_answers_are_asked_for_once_through_the_cache) {
  DnsServer server(of_zone);
  Dns dns({server.endpoint()});
  dns.run([&] { dns.resolver = std::make_unique<CachingResolver>(*dns.loop, std::move(dns.resolver), 100); });
  for (int i = 0; i < 3; ++i) BOOST_TEST(dns.mx("none.test").starts_with("no name ttl "));
  for (int i = 0; i < 3; ++i) BOOST_TEST(dns.txt("mx.a.test").starts_with("no name ttl "));
  BOOST_TEST(server.questions() == 2);
  BOOST_TEST(dns.mx("servfail.test").starts_with("failed: "));
  const int asked = server.questions();  // As often as there are tries.
  for (int i = 0; i < 3; ++i) BOOST_TEST(dns.mx("servfail.test").starts_with("failed: "));
  BOOST_TEST(server.questions() == asked);
}

struct BadOptions {
  const char* name;
  ResolverOptions options;
  const char* detail;
};

const std::vector<BadOptions> kBadOptions = {
    {"no time", {.timeout = Duration(0)}, "resolver timeout: not from 1 ms to 1 h"},
    {"too much time", {.timeout = std::chrono::hours(2)}, "resolver timeout: not from 1 ms to 1 h"},
    {"no tries", {.tries = 0}, "resolver tries: not from 1 to 100"},
    {"no address", {.servers = {Endpoint{}}}, "resolver: \"*:0\" is not a server's address and port"},
    {"no port",
     {.servers = {Endpoint{ip("127.0.0.1"), 0}}},
     "resolver: \"127.0.0.1:0\" is not a server's address and port"},
};

BOOST_AUTO_TEST_CASE(options_that_cannot_be) {
  LoopThread on;
  for (const BadOptions& c : kBadOptions) BOOST_TEST_CONTEXT(c.name) {
      const auto made = CaresResolver::make(*on.loop, c.options);
      BOOST_REQUIRE(!made);
      BOOST_TEST((made.error().code == ErrorCode::kInvalidArgument));
      BOOST_TEST(made.error().detail == c.detail);
    }
}

BOOST_AUTO_TEST_CASE(servers_by_ipv6_address) {
  LoopThread on;
  BOOST_TEST(
      CaresResolver::make(*on.loop, {.servers = {Endpoint::parse("[::1]:5353", 53).value(), {ip("127.0.0.1"), 53}}})
          .has_value());
}

// --------------------------------------------------------------------------------------------------------------------
// Against NSD

class Nsd {
 public:
  static bool there() { return std::filesystem::exists("/usr/sbin/nsd"); }

  Nsd() {
    char pattern[] = "/tmp/mailsbuddy-nsd-XXXXXX";
    dir_ = mkdtemp(pattern);
    {
      const PortPair ports;
      endpoint_ = ports.endpoint;
      close(ports.udp);
      close(ports.tcp);
    }
    std::ofstream(dir_ / "nsd.conf") << fmt::format(
        "server:\n  server-count: 1\n  ip-address: 127.0.0.1@{}\n  username: \"\"\n  zonesdir: \"{}\"\n  database: "
        "\"\"\n"
        "  pidfile: \"{}/nsd.pid\"\n  xfrdfile: \"{}/xfrd\"\n  xfrdir: \"{}\"\n  zonelistfile: \"{}/zones\"\n"
        "remote-control:\n  control-enable: no\nzone:\n  name: example.net\n  zonefile: example.net.zone\n",
        endpoint_.port, dir_.string(), dir_.string(), dir_.string(), dir_.string(), dir_.string());
    std::ofstream zone(dir_ / "example.net.zone");
    zone << "$ORIGIN example.net.\n$TTL 300\n@ SOA ns root 1 3600 900 86400 60\n@ NS ns\nns A 127.0.0.1\n"
            "@ MX 20 MX2\n@ MX 10 mx1\nmx1 A 192.0.2.1\nmx1 120 AAAA 2001:db8::1\nmx2 A 192.0.2.2\n"
            "null MX 0 .\nalias 30 CNAME @\n"
            "s1._domainkey TXT \"v=DKIM1; k=rsa; \" \"p=MIIB\"\n";
    for (int i = 0; i < 200; ++i)
      zone << "large MX " << i << " a-host-with-a-long-name-number-" << i << ".elsewhere.example.\n";
    zone.close();
    const std::string config = (dir_ / "nsd.conf").string();
    const char* arguments[] = {"nsd", "-d", "-c", config.c_str(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, (dir_ / "log").c_str(), O_WRONLY | O_CREAT, 0600);
    BOOST_REQUIRE(posix_spawn(&child_, "/usr/sbin/nsd", &files, nullptr, const_cast<char**>(arguments), environ) == 0);
    posix_spawn_file_actions_destroy(&files);
  }
  ~Nsd() {
    kill(child_, SIGTERM);
    waitpid(child_, nullptr, 0);
    std::filesystem::remove_all(dir_);
  }
  Endpoint endpoint() const { return endpoint_; }

 private:
  std::filesystem::path dir_;
  Endpoint endpoint_;
  pid_t child_ = -1;
};

const std::vector<Question> kOfNsd = {
    {"MX", &Dns::mx, "example.net", "10 mx1.example.net, 20 mx2.example.net ttl 300"},
    {"null MX", &Dns::mx, "null.example.net", "0  ttl 300"},
    {"alias", &Dns::mx, "alias.example.net", "10 mx1.example.net, 20 mx2.example.net ttl 30"},
    {"addresses", &Dns::addresses, "mx1.example.net", "2001:db8::1, 192.0.2.1 ttl 120"},
    {"IPv4 alone", &Dns::addresses, "MX2.example.net", "192.0.2.2 ttl 300"},
    {"text", &Dns::txt, "s1._domainkey.example.net", "v=DKIM1; k=rsa; p=MIIB ttl 300"},
    {"no name", &Dns::mx, "none.example.net", "no name ttl 60"},
    {"no data", &Dns::mx, "mx1.example.net", "no data ttl 60"},
};

BOOST_AUTO_TEST_CASE(against_nsd) {
  if (!Nsd::there()) {
    BOOST_TEST_MESSAGE("skipped: nsd is not installed");
    return;
  }
  const Nsd nsd;
  Dns dns({nsd.endpoint()}, milliseconds(1'000), 5);
  // Until NSD has opened its port.
  for (int i = 0; i < 600 && dns.mx("example.net").starts_with("failed"); ++i)
    std::this_thread::sleep_for(milliseconds(50));
  for (const Question& c : kOfNsd) BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST((dns.*c.ask)(c.about) == c.answer);
    }
  const auto large = dns.ask(&Resolver::mx, "large.example.net");  // By TCP: some 10 KB.
  BOOST_TEST_INFO(large.detail);
  BOOST_TEST(large.records.size() == 200U);
  BOOST_TEST(dns.mx("example.org") ==
             "failed: server " + nsd.endpoint().str() + " cannot be reached, or answered SERVFAIL or REFUSED");
}

}  // namespace
}  // namespace mailsbuddy::net

#include <boost/test/unit_test.hpp>
#include <string>

#include "mailsbuddy/smtp.h"
#include "smtp/proxy_header.h"
#include "smtp/socks5.h"
#include "tests/smtp/fakes.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using namespace std::string_literals;
using smtp::EgressProxy;
using smtp::Socks5Client;
using State = Socks5Client::State;

namespace {

net::Endpoint endpoint(std::string_view text) { return net::Endpoint::parse(text, 0).value(); }

const net::Endpoint kMx = endpoint("198.51.100.7:25");
const std::string kHello = "\x05\x01\x00"s;
const std::string kHelloWithLogin = "\x05\x02\x00\x02"s;
const std::string kLogin =
    "\x01\x03"
    "ann\x06secret"s;
const std::string kConnect = "\x05\x01\x00\x01\xc6\x33\x64\x07\x00\x19"s;
const std::string kNoLogin = "\x05\x00"s, kWantsLogin = "\x05\x02"s, kWelcome = "\x01\x00"s;
const std::string kDone = "\x05\x00\x00\x01\xc0\x00\x02\x01\x12\x34"s;

struct Talk {
  std::string_view name;
  bool login;
  std::vector<std::pair<std::string, std::string>> talk;  // What we say, and what is answered.
  std::string_view ends;                                  // "connected", or the error.
};

const Talk kTalks[] = {
    {"no login", false, {{kHello, kNoLogin}, {kConnect, kDone}}, "connected"},
    {"login", true, {{kHelloWithLogin, kWantsLogin}, {kLogin, kWelcome}, {kConnect, kDone}}, "connected"},
    {"login not wanted", true, {{kHelloWithLogin, kNoLogin}, {kConnect, kDone}}, "connected"},
    {"bound to an IPv6 address",
     false,
     {{kHello, kNoLogin}, {kConnect, "\x05\x00\x00\x04"s + std::string(18, 'x')}},
     "connected"},
    {"bound to a name", false, {{kHello, kNoLogin}, {kConnect, "\x05\x00\x00\x03\x05proxyxx"s}}, "connected"},
    {"bound to an empty name", false, {{kHello, kNoLogin}, {kConnect, "\x05\x00\x00\x03\x00xx"s}}, "connected"},
    {"wants a login that we have not", false, {{kHello, "\x05\xff"s}}, "it wants user and password"},
    {"chooses what was not offered", false, {{kHello, kWantsLogin}}, "no way to log in in common"},
    {"knows neither", true, {{kHelloWithLogin, "\x05\xff"s}}, "no way to log in in common"},
    {"GSSAPI", true, {{kHelloWithLogin, "\x05\x01"s}}, "no way to log in in common"},
    {"login refused", true, {{kHelloWithLogin, kWantsLogin}, {kLogin, "\x01\x01"s}}, "user and password refused"},
    {"SOCKS4", false, {{kHello, "\x04\x00"s}}, "what it says is not SOCKS5"},
    {"HTTP", false, {{kHello, "HTTP/1.1 400 Bad Request\r\n"}}, "what it says is not SOCKS5"},
    {"login of another version",
     true,
     {{kHelloWithLogin, kWantsLogin}, {kLogin, kNoLogin}},
     "what it says is not SOCKS5"},
    {"general failure",
     false,
     {{kHello, kNoLogin}, {kConnect, "\x05\x01\x00\x01"s + std::string(6, 0)}},
     "general failure"},
    {"not allowed",
     false,
     {{kHello, kNoLogin}, {kConnect, "\x05\x02\x00\x01"s + std::string(6, 0)}},
     "not allowed by its rules"},
    {"refused", false, {{kHello, kNoLogin}, {kConnect, "\x05\x05\x00\x01"s + std::string(6, 0)}}, "connection refused"},
    {"an error of the future",
     false,
     {{kHello, kNoLogin}, {kConnect, "\x05\x63\x00\x01"s + std::string(6, 0)}},
     "error 99"},
    {"an address of no kind",
     false,
     {{kHello, kNoLogin}, {kConnect, "\x05\x00\x00\x09"s + std::string(6, 0)}},
     "what it says is not SOCKS5"},
};

Socks5Client client(bool login) { return {kMx, login ? "ann" : "", login ? "secret" : ""}; }

std::string end_of(const Socks5Client& socks) {
  return socks.state() == State::kConnected ? "connected" : socks.state() == State::kFailed ? socks.error() : "talking";
}

}  // namespace

BOOST_AUTO_TEST_CASE(talks) {
  for (const Talk& c : kTalks) {
    for (const bool in_pieces : {false, true}) {
      BOOST_TEST_CONTEXT(c.name) {
        Socks5Client socks = client(c.login);
        for (const auto& [said, answered] : c.talk) {
          BOOST_TEST(end_of(socks) == "talking");
          BOOST_TEST(socks.output() == said);
          if (in_pieces) {
            for (const char octet : answered) socks.feed({&octet, 1});
          } else {
            socks.feed(answered);
          }
        }
        BOOST_TEST(end_of(socks) == c.ends);
        BOOST_TEST(socks.output().empty());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_follows_the_answer_is_not_the_proxys) {
  Socks5Client socks = client(false);
  BOOST_TEST(socks.feed(kNoLogin) == 2U);
  BOOST_TEST(socks.feed(kDone + "220 mx\r\n") == kDone.size());
  BOOST_TEST(end_of(socks) == "connected");
  BOOST_TEST(socks.feed("220") == 0U);
}

BOOST_AUTO_TEST_CASE(ipv6_targets) {
  Socks5Client socks(endpoint("[2001:db8::7]:2525"), "", "");
  socks.output();
  socks.feed(kNoLogin);
  BOOST_TEST(socks.output() == "\x05\x01\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07\x09\xdd"s);
}

// ---------------------------------------------------------------------------------------------------------------------
// The PROXY header that we write, read by what the listener reads it with

BOOST_AUTO_TEST_CASE(headers_written) {
  struct Case {
    std::string_view source, destination, read;
    std::size_t size;
  };
  constexpr Case kCases[] = {
      {"192.0.2.1:0", "198.51.100.7:25", "192.0.2.1:0", 28},
      {"[2001:db8::1]:0", "[2001:db8::7]:25", "[2001:db8::1]:0", 52},
      {"192.0.2.1:0", "[2001:db8::7]:25", "[::ffff:192.0.2.1]:0", 52},
      {"[2001:db8::1]:4321", "198.51.100.7:25", "[2001:db8::1]:4321", 52},
  };
  for (const Case& c : kCases) {
    const std::string header = smtp::make_proxy_header(endpoint(c.source), endpoint(c.destination));
    const auto read = smtp::parse_proxy_header(header);
    BOOST_TEST((read.status == smtp::ProxyHeader::Status::kDone));
    BOOST_TEST(read.size == header.size());
    BOOST_TEST(header.size() == c.size);
    BOOST_REQUIRE(read.source.has_value());
    BOOST_TEST(read.source->str() == c.read);
  }
  BOOST_TEST(smtp::make_proxy_header(endpoint("192.0.2.1:0"), kMx) ==
             "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\0\0\0\x19"s);
  BOOST_TEST(smtp::make_proxy_header({}, kMx).substr(16, 4) == "\0\0\0\0"s);
}

// ---------------------------------------------------------------------------------------------------------------------
// The transport

namespace {

// A connection through a proxy, with the test at both ends. Events: "connected", "data ...", "closed ...".
class Through final : public net::StreamHandler {
 public:
  explicit Through(std::string_view proxy)
      : transport(smtp::make_proxied_transport(direct, EgressProxy::parse(proxy).value())),
        stream(transport->connect(net::IpAddress::parse("192.0.2.1").value(), kMx, *this)) {}

  void on_connected() override { note("connected"); }
  void on_data(std::string_view bytes) override { note("data " + std::string(bytes)); }
  void on_writable() override { note("writable"); }
  void on_tls(const net::TlsInfo&) override { note("tls"); }
  void on_tls_failed(net::TlsFailure failure) override { note("tls failed " + std::string(to_string(failure))); }
  void on_closed(const Error& reason) override { note("closed " + reason.detail); }

  FakePeer& proxy() { return direct.last(); }
  void expect(const std::vector<std::string>& expected) {
    BOOST_TEST(std::exchange(events, {}) == expected, boost::test_tools::per_element());
  }

  FakeTransport direct;
  std::unique_ptr<net::Transport> transport;
  std::unique_ptr<net::Stream> stream;
  std::vector<std::string> events;
  std::string destroy_at;  // The stream is destroyed in this event.

 private:
  void note(std::string event) {
    events.push_back(std::move(event));
    if (events.back() == destroy_at) stream.reset();
  }
};

constexpr std::string_view kSocks = "socks5://192.0.2.200:1080";
constexpr std::string_view kHeader = "proxy://192.0.2.200:2525";

}  // namespace

BOOST_AUTO_TEST_CASE(through_socks5) {
  Through through(kSocks);
  BOOST_TEST(through.proxy().remote.str() == "192.0.2.200:1080");
  BOOST_TEST(through.proxy().local.unspecified());  // The IP is the proxy's.
  BOOST_TEST(through.stream->remote().str() == kMx.str());
  BOOST_TEST(through.stream->write("early") == 0U);
  through.proxy().connected();
  BOOST_TEST(through.proxy().heard() == kHello);
  BOOST_TEST(through.stream->write("early") == 0U);
  through.proxy().says(kNoLogin);
  BOOST_TEST(through.proxy().heard() == kConnect);
  through.expect({});
  through.proxy().says(kDone + "220 mx\r\n");
  through.expect({"connected", "data 220 mx\r\n"});
  BOOST_TEST(through.stream->write("EHLO me\r\n") == 9U);
  BOOST_TEST(through.proxy().heard() == "EHLO me\r\n");
  through.stream->start_tls({.server_name = "mx"});
  through.proxy().shakes_hands();
  through.proxy().closes("gone");
  through.expect({"tls", "closed gone"});
}

BOOST_AUTO_TEST_CASE(why_a_handshake_failed_is_heard_through_a_proxy) {
  Through through(kHeader);
  through.proxy().connected();
  through.stream->start_tls({.server_name = "mx"});
  through.proxy().refuses_hands(net::TlsFailure::kExpired);
  through.expect({"connected", "tls failed expired", "closed certificate verify failed"});
}

BOOST_AUTO_TEST_CASE(through_a_proxy_header) {
  Through through(kHeader);
  through.proxy().connected();
  BOOST_TEST(through.proxy().heard() == smtp::make_proxy_header(endpoint("192.0.2.1:0"), kMx));
  through.expect({"connected"});
  through.proxy().says("220 mx\r\n");
  through.expect({"data 220 mx\r\n"});
}

BOOST_AUTO_TEST_CASE(a_proxy_that_reads_slowly) {
  Through through(kHeader);
  through.proxy().room = 5;
  through.proxy().connected();
  through.expect({});
  through.proxy().makes_room(10);
  through.expect({});
  through.proxy().makes_room(SIZE_MAX);
  through.expect({"connected"});
  BOOST_TEST(through.proxy().heard() == smtp::make_proxy_header(endpoint("192.0.2.1:0"), kMx));
}

BOOST_AUTO_TEST_CASE(through_a_proxy_in_vain) {
  struct Case {
    std::string_view name, proxy;
    std::function<void(FakePeer&)> does;
    std::string_view closed;
  };
  const Case cases[] = {
      {"it is down", kSocks, [](FakePeer& proxy) { proxy.closes("connection refused", ErrorCode::kIo); },
       "closed proxy socks5://192.0.2.200:1080: connection refused"},
      {"it closes", kSocks,
       [](FakePeer& proxy) {
         proxy.connected();
         proxy.closes("192.0.2.200:1080 closed the connection");
       },
       "closed proxy socks5://192.0.2.200:1080: 192.0.2.200:1080 closed the connection"},
      {"it refuses", kSocks,
       [](FakePeer& proxy) {
         proxy.connected();
         proxy.says(kNoLogin);
         proxy.says("\x05\x04\x00\x01"s + std::string(6, 0) + "more");
       },
       "closed connecting to 198.51.100.7:25 through proxy socks5://192.0.2.200:1080: host unreachable"},
      {"it is no proxy", kSocks,
       [](FakePeer& proxy) {
         proxy.connected();
         proxy.says("220 I am a mail server\r\n");
       },
       "closed connecting to 198.51.100.7:25 through proxy socks5://192.0.2.200:1080: what it says is not SOCKS5"},
      {"a header that nobody can connect for", kHeader,
       [](FakePeer& proxy) {
         proxy.connected();
         proxy.closes("192.0.2.200:2525 closed the connection");
       },
       "closed 192.0.2.200:2525 closed the connection"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      Through through(c.proxy);
      c.does(through.proxy());
      BOOST_REQUIRE(!through.events.empty());
      BOOST_TEST(through.events.back() == c.closed);
      BOOST_TEST(std::ranges::count(through.events, c.closed) == 1);
      BOOST_TEST(through.stream->write("x") == 0U);
    }
  }
}

BOOST_AUTO_TEST_CASE(destroyed_inside_its_handler) {
  for (const std::string_view at : {"connected", "data 220 mx\r\n"}) {
    Through through(kSocks);
    through.destroy_at = at;
    through.proxy().connected();
    through.proxy().says(kNoLogin);
    through.proxy().says(kDone + "220 mx\r\n");
    BOOST_TEST(through.events.back() == at);
    BOOST_TEST(!through.proxy().open());
  }
  Through through(kSocks);
  through.destroy_at =
      "closed connecting to 198.51.100.7:25 through proxy socks5://192.0.2.200:1080: it wants user and password";
  through.proxy().connected();
  through.proxy().says("\x05\xff"s);
  BOOST_TEST((through.stream == nullptr));
}

// ---------------------------------------------------------------------------------------------------------------------
// As people write them

BOOST_AUTO_TEST_CASE(proxies_in_words) {
  const EgressProxy plain = EgressProxy::parse("socks5://192.0.2.7:1080").value();
  BOOST_TEST((plain.protocol == EgressProxy::Protocol::kSocks5));
  BOOST_TEST(plain.endpoint.str() == "192.0.2.7:1080");
  BOOST_TEST(plain.user.empty());
  const EgressProxy login = EgressProxy::parse("SOCKS5://a%40b:p%3a%2Fw:@[2001:db8::7]:1080").value();
  BOOST_TEST(login.user == "a@b");
  BOOST_TEST(login.password == "p:/w:");
  BOOST_TEST(login.str() == "socks5://[2001:db8::7]:1080");
  const EgressProxy header = EgressProxy::parse("proxy://192.0.2.7:2525").value();
  BOOST_TEST((header.protocol == EgressProxy::Protocol::kProxyV2));
  BOOST_TEST(header.str() == "proxy://192.0.2.7:2525");
  for (const std::string& bad :
       {""s, "http://192.0.2.7:1080"s, "192.0.2.7:1080"s, "socks5://192.0.2.7"s, "socks5://proxy.example:1080"s,
        "socks5://192.0.2.7:0"s, "socks5://:secret@192.0.2.7:1080"s, "socks5://a%4:secret@192.0.2.7:1080"s,
        "socks5://a%zz:secret@192.0.2.7:1080"s, "proxy://ann:secret@192.0.2.7:2525"s,
        "socks5://ann:" + std::string(256, 'x') + "secret@192.0.2.7:1080"}) {
    BOOST_TEST_CONTEXT(bad) {
      const auto parsed = EgressProxy::parse(bad);
      BOOST_REQUIRE(!parsed);
      BOOST_TEST(parsed.error().detail.starts_with("proxy: "));
      BOOST_TEST(parsed.error().detail.find("secret") == std::string::npos);
    }
  }
}

#include "core/net/curl_client.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/net/certificates.h"
#include "tests/net/support.h"

namespace mailsbuddy::net {
namespace {

using namespace test;  // NOLINT: the builders are the language of these cases.

// Every name is at one address.
class OneAddress final : public Resolver {
 public:
  OneAddress(Loop& loop, std::string_view address) : loop_(loop), address_(address) {}
  void mx(std::string_view, Callback<MxRecord>) override {}
  void txt(std::string_view, Callback<std::string>) override {}
  void addresses(std::string_view, Callback<IpAddress> done) override {
    DnsAnswer<IpAddress> answer{.status = DnsStatus::kNxDomain};
    if (!address_.empty()) answer = {.status = DnsStatus::kOk, .records = {ip(address_)}};
    loop_.post([done = std::move(done), answer]() mutable { done(answer); });
  }

 private:
  Loop& loop_;
  std::string address_;
};

struct Page {
  const char* name;
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
  const char* certificate_for = "mta-sts.example.net";
  Age age = Age::kValid;
  bool trusted = true;
  const char* address = "127.0.0.1";
  bool allow_private = true;
  HttpsFailure failure = HttpsFailure::kNone;
  int status = 200;
  std::string body = "hello";
};

std::vector<Page> pages() {
  const std::string large(20'000, 'x');
  return {
      {.name = "good"},
      {.name = "not found", .answer = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", .status = 404, .body = ""},
      {.name = "a redirect is not followed",
       .answer = "HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
       .status = 301,
       .body = ""},
      {.name = "too large",
       .answer = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + large,
       .failure = HttpsFailure::kTooLarge},
      {.name = "too large, unannounced",
       .answer = "HTTP/1.1 200 OK\r\n\r\n" + large,
       .failure = HttpsFailure::kTooLarge},
      {.name = "header too large",
       .answer = "HTTP/1.1 200 OK\r\nX: " + std::string(90'000, 'x') + "\r\n\r\n",
       .failure = HttpsFailure::kTooLarge},
      {.name = "wrong name", .certificate_for = "www.example.net", .failure = HttpsFailure::kTls},
      {.name = "expired", .age = Age::kExpired, .failure = HttpsFailure::kTls},
      {.name = "unknown issuer", .trusted = false, .failure = HttpsFailure::kTls},
      {.name = "no HTTP", .answer = "220 mx.example.net ESMTP\r\n", .failure = HttpsFailure::kProtocol},
      {.name = "cut off",
       .answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
       .failure = HttpsFailure::kProtocol},
      {.name = "loopback", .allow_private = false, .failure = HttpsFailure::kProhibited},
      {.name = "private", .address = "10.0.0.1", .allow_private = false, .failure = HttpsFailure::kProhibited},
      {.name = "no address", .address = "", .failure = HttpsFailure::kNoAddress},
  };
}

// One exchange: what the server was sent is kept in `request`.
HttpsReply fetch(const Page& page, HttpsRequest what, std::string& request) {
  const Authority ours;
  const Authority other("Other CA");
  const auto identity = make_identity(page.certificate_for, page.trusted ? &ours.identity : &other.identity, page.age);
  SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_use_certificate(context.get(), identity.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
  Server server([&](Fd fd) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    const SslPtr ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd.get());
    if (SSL_accept(ssl.get()) == 1) {
      std::array<char, 4096> buffer{};
      request.clear();
      while (request.find("\r\n\r\n") == std::string::npos ||
             request.starts_with("POST") != request.ends_with("body")) {
        const int got = SSL_read(ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (got <= 0) break;
        request.append(buffer.data(), static_cast<std::size_t>(got));
      }
      SSL_write(ssl.get(), page.answer.data(), static_cast<int>(page.answer.size()));
      SSL_shutdown(ssl.get());
    }
    ERR_clear_error();
  });
  LoopThread thread;
  OneAddress resolver(*thread.loop, page.address);
  CurlThread curl({.ca = ours.file, .port = server.endpoint().port, .allow_private = page.allow_private});
  UvHttps https(*thread.loop, resolver, curl);
  std::promise<HttpsReply> got;
  auto future = got.get_future();
  thread.loop->post([&] { https.send(what, [&](const HttpsReply& reply) { got.set_value(reply); }); });
  wait_for(future);
  const HttpsReply reply = future.get();
  curl.stop();
  thread.loop->stop();
  return reply;
}

BOOST_AUTO_TEST_CASE(pages_and_what_is_wrong_with_them) {
  for (const Page& c : pages()) BOOST_TEST_CONTEXT(c.name) {
      std::string request;
      const HttpsReply reply = fetch(
          c, {.host = "mta-sts.example.net", .path = "/.well-known/mta-sts.txt", .reply_bytes_max = 10'000}, request);
      BOOST_TEST_INFO(reply.detail);
      BOOST_TEST(to_string(reply.failure) == to_string(c.failure));
      BOOST_TEST(reply.detail.empty() == (c.failure == HttpsFailure::kNone));
      if (c.failure != HttpsFailure::kNone) continue;
      BOOST_TEST(reply.status == c.status);
      BOOST_TEST(reply.body == c.body);
      BOOST_TEST(request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.net"));
    }
}

BOOST_AUTO_TEST_CASE(a_body_is_posted) {
  std::string request;
  const Page page{.name = "post"};
  const HttpsReply reply = fetch(page,
                                 {.host = "mta-sts.example.net",
                                  .path = "/v1/tlsrpt",
                                  .body = std::string("a\0body", 6),
                                  .content_type = "application/tlsrpt+gzip"},
                                 request);
  BOOST_TEST(reply.status == 200);
  BOOST_TEST(request.starts_with("POST /v1/tlsrpt HTTP/1.1\r\n"));
  BOOST_TEST(request.find("\r\nContent-Type: application/tlsrpt+gzip\r\n") != std::string::npos);
  BOOST_TEST(request.ends_with(std::string("\r\n\r\na\0body", 10)));
}

BOOST_AUTO_TEST_CASE(silence_ends_by_time) {
  Latch ended;
  Server server([&](Fd) { ended.wait(); });
  LoopThread thread;
  OneAddress resolver(*thread.loop, "127.0.0.1");
  CurlThread curl({.port = server.endpoint().port, .allow_private = true});
  UvHttps https(*thread.loop, resolver, curl);
  std::promise<HttpsReply> got;
  auto future = got.get_future();
  thread.loop->post([&] {
    https.send({.host = "mta-sts.example.net", .path = "/", .timeout = std::chrono::milliseconds(50)},
               [&](const HttpsReply& reply) { got.set_value(reply); });
  });
  wait_for(future);
  BOOST_TEST(to_string(future.get().failure) == "timeout");
  ended.open();
  thread.loop->stop();
}

BOOST_AUTO_TEST_CASE(stopped_under_way_nobody_is_called) {
  Latch ended, accepted;
  Server server([&](Fd) {
    accepted.open();
    ended.wait();
  });
  LoopThread thread;
  OneAddress resolver(*thread.loop, "127.0.0.1");
  CurlThread curl({.port = server.endpoint().port, .allow_private = true});
  UvHttps https(*thread.loop, resolver, curl);
  thread.loop->post([&] {
    https.send({.host = "mta-sts.example.net", .path = "/"}, [](const HttpsReply&) { BOOST_ERROR("called"); });
  });
  accepted.wait();
  curl.stop();
  ended.open();
  thread.loop->stop();
}

// Servers that take connections and say nothing, at 127.0.0.2 and up, beside one at 127.0.0.1 that hangs up.
struct SlowServers {
  SlowServers(int servers, int requests) {
    for (int i = 0; i < servers; ++i) {
      sockaddr_in own{};
      own.sin_family = AF_INET;
      own.sin_port = htons(fast.endpoint().port);
      own.sin_addr.s_addr = htonl(0x7f000002U + static_cast<unsigned>(i));
      Fd& made = silent.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
      BOOST_REQUIRE(::bind(made.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
      BOOST_REQUIRE(::listen(made.get(), 128) == 0);
      for (int k = 0; k < requests; ++k) ask(fmt::format("127.0.0.{}", i + 2), [this](const HttpsReply& reply) {
        BOOST_TEST(to_string(reply.failure) == "timeout");
        if (reply.detail.ends_with("while others wait")) ++gave_way;
        ++ended;
      });
    }
    // Until all that may be are under way.
    const auto most = std::min(kHttpsRequestsMax, static_cast<std::size_t>(servers) * kServerRequestsMax);
    for (std::size_t i = 0; taken.size() < most; ++i) {
      pollfd ready{silent[i % silent.size()].get(), POLLIN, 0};
      if (::poll(&ready, 1, 10) == 1) taken.emplace_back(::accept(ready.fd, nullptr, nullptr));
    }
  }
  void ask(const std::string& address, UniqueFunction<void(HttpsReply)> done,
           const char* host = "mta-sts.example.net") {
    curl.add({.request = {.host = host, .path = "/", .timeout = std::chrono::hours(1)},
              .addresses = {ip(address)},
              .done = std::move(done)});
  }
  void ask_the_fast_one() {
    std::promise<HttpsReply> got;
    auto future = got.get_future();
    ask("127.0.0.1", [&](HttpsReply reply) { got.set_value(std::move(reply)); });
    wait_for(future);
    BOOST_TEST(to_string(future.get().failure) == "tls");
  }

  std::vector<Fd> silent, taken;
  std::atomic<int> ended = 0, gave_way = 0;
  Server fast{[](Fd) {}};
  CurlThread curl{{.port = fast.endpoint().port, .allow_private = true}};
};

BOOST_AUTO_TEST_CASE(a_server_that_is_slow_holds_up_itself_alone) {
  SlowServers slow(1, 2 * kHttpsRequestsMax);
  slow.ask_the_fast_one();
  BOOST_TEST(slow.ended == 0);
}

BOOST_AUTO_TEST_CASE(more_slow_servers_than_may_be_asked_at_once_give_way) {
  SlowServers slow(kHttpsRequestsMax / kServerRequestsMax + 2, kServerRequestsMax);
  slow.ask_the_fast_one();
  BOOST_TEST(slow.ended > 0);
  // One for it, and for each that waited before: not all 64. On a machine that is slow itself their own time is over,
  // too.
  BOOST_TEST(slow.gave_way <= 17);
}

BOOST_AUTO_TEST_CASE(domains_at_one_server_have_a_share_each) {
  SlowServers slow(1, 2 * kServerRequestsMax);
  slow.ask(
      "127.0.0.2", [](const HttpsReply&) {}, "mta-sts.example.org");
  pollfd ready{slow.silent[0].get(), POLLIN, 0};
  BOOST_TEST(::poll(&ready, 1, 30'000) == 1);  // It is under way, though example.net has all of its share.
  BOOST_TEST(slow.ended == 0);
}

struct Place {
  const char* address;
  bool is_public;
};

constexpr Place kPlaces[] = {
    {"8.8.8.8", true},
    {"100.63.255.255", true},
    {"100.64.0.1", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"127.0.0.1", false},
    {"10.255.0.1", false},
    {"172.15.0.1", true},
    {"172.16.0.1", false},
    {"172.31.255.255", false},
    {"172.32.0.1", true},
    {"192.168.0.1", false},
    {"169.254.169.254", false},
    {"0.0.0.0", false},
    {"224.0.0.1", false},
    {"255.255.255.255", false},
    {"192.0.2.1", false},
    {"198.18.0.1", false},
    {"198.20.0.1", true},
    {"203.0.113.9", false},
    {"223.255.255.255", true},
    {"::1", false},
    {"::", false},
    {"fe80::1", false},
    {"fd00::1", false},
    {"ff02::1", false},
    {"2001:db8::1", false},
    {"2606:4700::1111", true},
    {"2a00:1450:400c::1a", true},
    {"::ffff:127.0.0.1", false},
    {"::ffff:8.8.8.8", true},
    {"64:ff9b::7f00:1", false},
    {"64:ff9b::808:808", true},
    {"2002:7f00:1::", false},
    {"2002:808:808::", true},
    {"2001::1", false},
    {"3fff::1", false},
    {"4000::1", false},
    {"64:ff9b:1::1", false},
};

BOOST_AUTO_TEST_CASE(addresses_on_the_internet) {
  for (const Place& c : kPlaces) BOOST_TEST_CONTEXT(c.address) BOOST_TEST(is_public(ip(c.address)) == c.is_public);
  BOOST_TEST(!is_public(IpAddress()));
}

}  // namespace
}  // namespace mailsbuddy::net

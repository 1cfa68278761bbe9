#include <openssl/err.h>

#include <boost/test/unit_test.hpp>

#include "tests/net/certificates.h"
#include "tests/net/support.h"

namespace mailsbuddy::net {
namespace {

using test::Fd;
using test::Latch;
using test::Net;
using test::Recorder;
using test::Server;

using test::Age;
using test::Authority;
using test::Identity;
using test::make_identity;
using test::tlsa_of;

// --------------------------------------------------------------------------------------------------------------------
// Servers

SslCtxPtr server_context(const Identity& identity) {
  SslCtxPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_security_level(context.get(), 0);  // The client is the one to mind.
  SSL_CTX_use_certificate(context.get(), identity.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
  return context;
}

// The server's end of a TLS connection, blocking. `handshake_ok` false: look at nothing else.
struct TlsPeer {
  TlsPeer(SSL_CTX* context, const Fd& fd) : ssl(SSL_new(context)) {
    SSL_set_fd(ssl.get(), fd.get());
    handshake_ok = SSL_accept(ssl.get()) == 1;
    ERR_clear_error();
  }
  void send(std::string_view bytes) const {
    if (!bytes.empty()) SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
  }
  std::string receive(std::size_t count) const {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
      const int got = SSL_read(ssl.get(), bytes.data() + have, static_cast<int>(count - have));
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  bool ended_by_close_notify() const {
    char byte = 0;
    const int got = SSL_read(ssl.get(), &byte, 1);
    return got <= 0 && SSL_get_error(ssl.get(), got) == SSL_ERROR_ZERO_RETURN;
  }
  SslPtr ssl;
  bool handshake_ok = false;
};

// OpenSSL writes with write(2); the server threads of this program do not want to die of it.
void ignore_sigpipe_here() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// "220 go" in clear, then TLS, then `serve`.
Server starttls_server(SSL_CTX* context, std::function<void(TlsPeer&, Fd&)> serve) {
  return Server([context, serve](Fd fd) {
    ignore_sigpipe_here();
    fd.send("220 go\r\n");
    TlsPeer peer(context, fd);
    if (peer.handshake_ok) serve(peer, fd);
  });
}

void start_tls_on_greeting(Recorder& client, const TlsOptions& options) {
  client.when_data = [&client, options, started = false]() mutable {
    if (!std::exchange(started, true)) client.stream->start_tls(options);
  };
}

// --------------------------------------------------------------------------------------------------------------------
// Handshakes

struct Handshake {
  const char* name;
  const char* certificate_for = "mx.example.net";
  Age age = Age::kValid;
  bool trusted = true;
  const char* asked_for = "mx.example.net";
  bool verify = true;
  bool verified = true;           // What on_tls() says,
  const char* refused = nullptr;  // or what on_closed() says.
  TlsFailure failure = TlsFailure::kNone;
};

constexpr Handshake kHandshakes[] = {
    {.name = "good"},
    {.name = "good, trailing dot", .asked_for = "mx.example.net."},
    {.name = "good, other case", .asked_for = "MX.Example.NET"},
    {.name = "good, wildcard", .certificate_for = "*.example.net"},
    {.name = "good, not demanded", .verify = false},
    {.name = "wrong name",
     .asked_for = "mx.example.org",
     .refused = "certificate verify failed: hostname mismatch",
     .failure = TlsFailure::kNameMismatch},
    {.name = "wrong name, not demanded",
     .asked_for = "mx.example.org",
     .verify = false,
     .verified = false,
     .failure = TlsFailure::kNameMismatch},
    {.name = "partial wildcard",
     .certificate_for = "m*.example.net",
     .refused = "hostname mismatch",
     .failure = TlsFailure::kNameMismatch},
    {.name = "expired",
     .age = Age::kExpired,
     .refused = "certificate verify failed: certificate has expired",
     .failure = TlsFailure::kExpired},
    {.name = "expired, not demanded",
     .age = Age::kExpired,
     .verify = false,
     .verified = false,
     .failure = TlsFailure::kExpired},
    {.name = "unknown issuer",
     .trusted = false,
     .refused = "unable to get local issuer certificate",
     .failure = TlsFailure::kUntrusted},
    {.name = "unknown issuer, not demanded",
     .trusted = false,
     .verify = false,
     .verified = false,
     .failure = TlsFailure::kUntrusted},
    {.name = "no name",
     .asked_for = "",
     .refused = "there is no name to check the certificate for",
     .failure = TlsFailure::kNameMismatch},
    {.name = "no name, not demanded",
     .asked_for = "",
     .verify = false,
     .verified = false,
     .failure = TlsFailure::kNameMismatch},
    {.name = "address as name",
     .asked_for = "127.0.0.1",
     .refused = "IP address mismatch",
     .failure = TlsFailure::kNameMismatch},
};

BOOST_AUTO_TEST_CASE(certificates) {
  const Authority ours;
  const Authority other("Other CA");
  for (const Handshake& c : kHandshakes) BOOST_TEST_CONTEXT(c.name) {
      const auto identity = make_identity(c.certificate_for, c.trusted ? &ours.identity : &other.identity, c.age);
      const auto context = server_context(identity);
      Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd&) { peer.receive(1); });
      Recorder client;
      Net net(ours.file);
      start_tls_on_greeting(client,
                            {.server_name = c.asked_for, .verify = c.verify ? TlsVerify::kWebPki : TlsVerify::kNone});
      net.connect(client, server.endpoint());
      client.wait_for(c.refused != nullptr ? "closed" : "tls");
      if (c.refused != nullptr) {
        BOOST_TEST_INFO(client.reason().detail);
        BOOST_TEST(client.reason().detail.find(c.refused) != std::string::npos);
        BOOST_TEST(client.reason().detail.find(server.endpoint().str()) != std::string::npos);
        BOOST_TEST((client.reason().code == ErrorCode::kIo));
        BOOST_TEST(client.events() == "connected data closed");
        BOOST_TEST((client.tls_failure() == c.failure));
      } else {
        BOOST_TEST(client.tls().verified == c.verified);
        BOOST_TEST((client.tls().failure == c.failure));
        BOOST_TEST(client.tls().version == "TLSv1.3");
        BOOST_TEST(client.tls().cipher.starts_with("TLS_"));
        BOOST_TEST(!client.tls().resumed);
      }
      net.let_go(client);
    }
}

struct NoTls {
  const char* name;
  void (*serve)(Fd& fd);
  const char* detail;
};

const NoTls kNoTls[] = {
    {"clear text instead",
     [](Fd& fd) { fd.receive(1), fd.send("454 TLS not available after all\r\n"), fd.receive(10'000); },
     "wrong version number"},
    {"closed", [](Fd& fd) { fd.receive(1); }, ""},  // Unread bytes: a reset.
    {"half closed", [](Fd& fd) { shutdown(fd.get(), SHUT_WR), fd.receive(10'000); },
     "closed the connection during the TLS handshake"},
    {"TLS 1.1 at most",
     [](Fd& fd) {
       const Identity identity = make_identity("mx.example.net", nullptr);
       const auto context = server_context(identity);
       SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
       SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
       SSL_CTX_set_security_level(context.get(), 0);
       const TlsPeer peer(context.get(), fd);
       fd.receive(10'000);
     },
     "alert protocol version"},
};

BOOST_AUTO_TEST_CASE(servers_that_do_not_speak_our_tls) {
  for (const NoTls& c : kNoTls) BOOST_TEST_CONTEXT(c.name) {
      Server server([&](Fd fd) {
        ignore_sigpipe_here();
        fd.send("220 go\r\n");
        c.serve(fd);
      });
      Recorder client;
      Net net;
      start_tls_on_greeting(client, {.server_name = "mx.example.net"});
      net.connect(client, server.endpoint());
      client.wait_for("closed");
      BOOST_TEST(client.events() == "connected data closed");
      BOOST_TEST((client.reason().code == ErrorCode::kIo));
      BOOST_TEST_INFO(client.reason().detail);
      BOOST_TEST(client.reason().detail.find(c.detail) != std::string::npos);
      BOOST_TEST((client.tls_failure() == TlsFailure::kHandshake));
      net.let_go(client);
    }
}

// --------------------------------------------------------------------------------------------------------------------
// DANE

enum class Who { kLeaf, kIssuer, kStranger };

// RFC 7672 3.1: what the records say about the leaf, its issuer, or a certificate that nobody shows.
struct Dane {
  const char* name;
  Who about = Who::kLeaf;
  std::uint8_t usage = 3;
  std::uint8_t selector = 1;
  std::uint8_t matching = 1;
  const char* certificate_for = "mx.example.net";
  std::vector<std::string> names{};
  Age age = Age::kValid;
  bool chain = true;  // The server sends its issuer's certificate too.
  const char* refused = nullptr;
  TlsFailure failure = TlsFailure::kNone;
};

const std::vector<Dane> kDane = {
    {.name = "3 1 1"},
    {.name = "3 0 1", .selector = 0},
    {.name = "3 1 2", .matching = 2},
    {.name = "3 1 0", .matching = 0},
    {.name = "3 0 0", .selector = 0, .matching = 0},
    {.name = "3: no name is looked at", .certificate_for = "other.example.org"},
    {.name = "3: no date is looked at", .age = Age::kExpired},
    {.name = "3: another key",
     .about = Who::kStranger,
     .refused = "no matching DANE TLSA records",
     .failure = TlsFailure::kTlsaMismatch},
    {.name = "3: the issuer is no end entity",
     .about = Who::kIssuer,
     .refused = "no matching DANE TLSA records",
     .failure = TlsFailure::kTlsaMismatch},
    {.name = "2 0 1", .about = Who::kIssuer, .usage = 2, .selector = 0},
    {.name = "2 1 1", .about = Who::kIssuer, .usage = 2},
    {.name = "2 0 0, not sent", .about = Who::kIssuer, .usage = 2, .selector = 0, .matching = 0, .chain = false},
    {.name = "2: wrong name",
     .about = Who::kIssuer,
     .usage = 2,
     .certificate_for = "other.example.org",
     .refused = "hostname mismatch",
     .failure = TlsFailure::kNameMismatch},
    {.name = "2: a further name",
     .about = Who::kIssuer,
     .usage = 2,
     .certificate_for = "example.net",
     .names = {"mx.example.net", "example.net"}},
    {.name = "2: expired",
     .about = Who::kIssuer,
     .usage = 2,
     .age = Age::kExpired,
     .refused = "certificate has expired",
     .failure = TlsFailure::kExpired},
    {.name = "2: another issuer",
     .about = Who::kStranger,
     .usage = 2,
     .refused = "certificate verify failed",
     .failure = TlsFailure::kTlsaMismatch},
    {.name = "1: is not for SMTP",
     .usage = 1,
     .refused = "no TLSA record can be used",
     .failure = TlsFailure::kHandshake},
    {.name = "0: is not for SMTP",
     .about = Who::kIssuer,
     .usage = 0,
     .refused = "no TLSA record can be used",
     .failure = TlsFailure::kHandshake},
};

BOOST_AUTO_TEST_CASE(dane) {
  const Authority issuer;
  const Authority stranger;
  for (const Dane& c : kDane) BOOST_TEST_CONTEXT(c.name) {
      const auto leaf = make_identity(c.certificate_for, &issuer.identity, c.age);
      const auto context = server_context(leaf);
      if (c.chain) SSL_CTX_add1_chain_cert(context.get(), issuer.identity.certificate.get());
      Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd&) { peer.receive(1); });
      const Identity& about = c.about == Who::kLeaf     ? leaf
                              : c.about == Who::kIssuer ? issuer.identity
                                                        : stranger.identity;
      Recorder client;
      Net net("/nonexistent");  // No root is trusted: the records alone are.
      start_tls_on_greeting(client, {.server_name = "mx.example.net",
                                     .verify = TlsVerify::kDane,
                                     .names = c.names,
                                     .tlsa = {tlsa_of(about, c.usage, c.selector, c.matching)}});
      net.connect(client, server.endpoint());
      client.wait_for(c.refused != nullptr ? "closed" : "tls");
      if (c.refused != nullptr) {
        BOOST_TEST(client.reason().detail.find(c.refused) != std::string::npos, client.reason().detail);
        BOOST_TEST(client.events() == "connected data closed");
        BOOST_TEST((client.tls_failure() == c.failure), to_string(client.tls_failure()));
      } else {
        BOOST_TEST(client.tls().verified);
      }
      net.let_go(client);
    }
}

// A session that began under one set of records does not stand in for another: a key that was withdrawn stays
// withdrawn.
BOOST_AUTO_TEST_CASE(a_session_does_not_outlive_its_tlsa_records) {
  const Authority issuer;
  const auto leaf = make_identity("mx.example.net", &issuer.identity);
  const auto context = server_context(leaf);
  Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd&) {
    peer.send("250 ok\r\n");
    peer.receive(1);
  });
  Net net(issuer.file);
  const TlsOptions good{.server_name = "mx.example.net", .verify = TlsVerify::kDane, .tlsa = {tlsa_of(leaf, 3, 1, 1)}};
  TlsOptions changed = good;
  changed.tlsa = {tlsa_of(issuer.identity, 3, 1, 1)};
  TlsOptions named = good;
  named.verify = TlsVerify::kWebPki;
  named.tlsa.clear();
  struct {
    const char* name;
    const TlsOptions& options;
    bool refused;
    bool resumed;
  } const visits[] = {
      {"first", good, false, false}, {"again", good, false, true},      {"changed", changed, true, false},
      {"web", named, false, false},  {"web again", named, false, true}, {"good again", good, false, true},
  };
  for (const auto& c : visits) BOOST_TEST_CONTEXT(c.name) {
      Recorder client;
      start_tls_on_greeting(client, c.options);
      net.connect(client, server.endpoint());
      if (c.refused) {
        client.wait_for("closed");
        BOOST_TEST((client.tls_failure() == TlsFailure::kTlsaMismatch));
      } else {
        client.wait_for_data("220 go\r\n250 ok\r\n");
        BOOST_TEST(client.tls().resumed == c.resumed);
        BOOST_TEST(client.tls().verified);
      }
      net.let_go(client);
    }
}

// A man in the middle appends clear text to the answer to STARTTLS, for it to be read as if it had come encrypted.
BOOST_AUTO_TEST_CASE(clear_text_ahead_of_the_handshake_is_an_injection) {
  Latch greeted;
  Latch injected;
  Server server([&](Fd fd) {
    fd.send("220 go\r\n");
    greeted.wait();
    fd.send("250 injected\r\n");
    injected.open();
    fd.receive(1);
  });
  Recorder client;
  Net net;
  client.when_data = [&] {
    greeted.open();
    injected.wait();
    client.stream->start_tls({.server_name = "mx.example.net"});
    BOOST_TEST(client.events() == "connected data");  // Not from inside the call.
  };
  net.connect(client, server.endpoint());
  client.wait_for("closed");
  BOOST_TEST(client.data() == "220 go\r\n");
  BOOST_TEST(client.reason().detail.find("14 clear-text bytes") == 0U);
  BOOST_TEST(client.reason().detail.find("injected") != std::string::npos);
  net.let_go(client);
}

BOOST_AUTO_TEST_CASE(tls_at_the_wrong_time) {
  Server server([](Fd fd) { fd.receive(1); });
  Recorder client;
  Net net;
  net.run([&] {
    client.stream = net.transport.connect({}, server.endpoint(), client);
    client.stream->start_tls({});
  });
  client.wait_for("closed");
  BOOST_TEST(client.events() == "closed");
  BOOST_TEST(client.reason().detail.find("not a clear-text connection") != std::string::npos);
  net.let_go(client);
}

// --------------------------------------------------------------------------------------------------------------------
// Resumption

struct Visit {
  const char* name;
  const char* server_name;
  bool verify;
  bool resumed;
};

constexpr Visit kVisits[] = {
    {"first", "mx.example.net", true, false},
    {"again", "mx.example.net", true, true},
    {"and again", "mx.example.net", true, true},
    {"opportunistic does not use a verified session", "mx.example.net", false, false},
    {"opportunistic again", "mx.example.net", false, true},
    {"another name at the same endpoint", "mx.example.org", false, false},
};

BOOST_AUTO_TEST_CASE(sessions_are_resumed_by_name_endpoint_and_trust) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Authority ca;
    const auto identity = make_identity("mx.example.net", &ca.identity);
    const auto context = server_context(identity);
    SSL_CTX_set_max_proto_version(context.get(), version);
    Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd&) {
      peer.send("250 ok\r\n");
      peer.receive(1);
    });
    Net net(ca.file);
    for (const Visit& c : kVisits) BOOST_TEST_CONTEXT(version << " " << c.name) {
        Recorder client;
        start_tls_on_greeting(
            client, {.server_name = c.server_name, .verify = c.verify ? TlsVerify::kWebPki : TlsVerify::kNone});
        net.connect(client, server.endpoint());
        client.wait_for_data("220 go\r\n250 ok\r\n");
        BOOST_TEST(client.tls().resumed == c.resumed);
        BOOST_TEST(client.tls().verified == (std::string_view(c.server_name) == "mx.example.net"));
        BOOST_TEST(client.tls().version == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
        net.let_go(client);
      }
  }
}

// A root is trusted for its key: that of an old one, which many servers send along, may be signed by SHA-1.
BOOST_AUTO_TEST_CASE(a_root_is_not_judged_by_its_signature) {
  const Authority ca("Old CA", EVP_sha1());
  const auto identity = make_identity("mx.example.net", &ca.identity);
  const auto context = server_context(identity);
  SSL_CTX_add1_chain_cert(context.get(), ca.identity.certificate.get());
  Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd&) { peer.receive(1); });
  Net net(ca.file);
  for (const TlsVerify verify : {TlsVerify::kNone, TlsVerify::kWebPki}) {
    Recorder client;
    start_tls_on_greeting(client, {.server_name = "mx.example.net", .verify = verify});
    net.connect(client, server.endpoint());
    client.wait_for("tls");
    BOOST_TEST(client.tls().verified);
    BOOST_TEST((client.tls().failure == TlsFailure::kNone));
    net.let_go(client);
  }
}

// RSA of 1024 bits: good enough for encryption that nobody asked for, and not to say who is there.
BOOST_AUTO_TEST_CASE(a_weak_key_verifies_nobody) {
  const Authority ca;
  const auto identity = make_identity("mx.example.net", &ca.identity, Age::kValid, EVP_RSA_gen(1024));
  const auto context = server_context(identity);
  Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd&) {
    peer.send("250 ok\r\n");
    peer.receive(1);
  });
  Net net(ca.file);
  for (int visit = 0; visit < 2; ++visit) {  // The second one is resumed.
    Recorder client;
    start_tls_on_greeting(client, {.server_name = "mx.example.net"});
    net.connect(client, server.endpoint());
    client.wait_for_data("220 go\r\n250 ok\r\n");
    BOOST_TEST(client.tls().resumed == (visit == 1));
    BOOST_TEST(!client.tls().verified);
    BOOST_TEST((client.tls().failure == TlsFailure::kUntrusted));
    net.let_go(client);
  }
}

BOOST_AUTO_TEST_CASE(a_session_ends_with_its_certificates) {
  TlsContext context("");
  const auto keep = [&context](std::time_t until) {
    SslSessionPtr session(SSL_SESSION_new());
    const unsigned char id[] = "session";
    BOOST_REQUIRE(SSL_SESSION_set1_id(session.get(), id, sizeof id) == 1);
    context.keep("mx", {std::move(session), until});
  };
  keep(std::numeric_limits<std::time_t>::max());
  BOOST_TEST(context.session("mx") != nullptr);
  keep(1);  // Expired in 1970.
  BOOST_TEST(context.session("mx") == nullptr);
}

BOOST_AUTO_TEST_CASE(the_session_cache_is_capped_and_keeps_what_is_used) {
  Lru<int> lru(2);
  lru.put("a", 1);
  lru.put("b", 2);
  BOOST_TEST(*lru.find("a") == 1);
  lru.put("c", 3);
  BOOST_TEST(lru.size() == 2U);
  BOOST_TEST(lru.find("b") == nullptr);
  lru.put("a", 10);
  BOOST_TEST(*lru.find("a") == 10);
  lru.erase("a");
  lru.erase("a");
  BOOST_TEST(lru.size() == 1U);
  Lru<int> none(0);
  none.put("a", 1);
  BOOST_TEST(none.find("a") == nullptr);
}

// --------------------------------------------------------------------------------------------------------------------
// After the handshake

struct Fixture {
  Authority ca;
  Identity identity = make_identity("mx.example.net", &ca.identity);
  SslCtxPtr context = server_context(identity);
};

BOOST_FIXTURE_TEST_CASE(megabytes_both_ways_with_a_slow_reader, Fixture) {
  std::string sent(5'000'000, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7 + (i >> 9));
  Latch stuck;
  std::string received;
  Server server = starttls_server(context.get(), [&](TlsPeer& peer, Fd&) {
    stuck.wait();
    received = peer.receive(sent.size());
    peer.send(received);
    SSL_shutdown(peer.ssl.get());
  });
  Recorder client;
  Net net;
  start_tls_on_greeting(client, {.server_name = "mx.example.net"});
  std::size_t at = 0;
  bool waited = false;
  client.when_tls = client.when_writable = [&] {
    std::string_view rest = std::string_view(sent).substr(at);
    std::vector<std::string_view> pieces;  // As a message and an envelope: long ones and short ones.
    for (std::size_t size = 0; !rest.empty(); rest.remove_prefix(pieces.back().size())) {
      size = (size * 7 + 13) % 70'000;
      pieces.push_back(rest.substr(0, size));
    }
    at += client.stream->write_pieces(pieces);
    if (at < sent.size() && !std::exchange(waited, true)) stuck.open();
  };
  net.connect(client, server.endpoint());
  client.wait_for("closed");
  BOOST_TEST(waited);
  BOOST_TEST((received == sent));
  BOOST_TEST((client.data() == "220 go\r\n" + sent));
  BOOST_TEST((client.reason().code == ErrorCode::kClosed));
  net.let_go(client);
}

BOOST_FIXTURE_TEST_CASE(an_end_without_close_notify_is_not_orderly, Fixture) {
  Server server = starttls_server(context.get(), [](TlsPeer& peer, Fd& fd) {
    peer.send("250 ok\r\n");
    fd.close();
  });
  Recorder client;
  Net net;
  start_tls_on_greeting(client, {.server_name = "mx.example.net"});
  net.connect(client, server.endpoint());
  client.wait_for("closed");
  BOOST_TEST(client.data() == "220 go\r\n250 ok\r\n");
  BOOST_TEST((client.reason().code == ErrorCode::kIo));
  BOOST_TEST(client.reason().detail == server.endpoint().str() + " closed the connection without a TLS close_notify");
  net.let_go(client);
}

BOOST_FIXTURE_TEST_CASE(garbage_after_the_handshake, Fixture) {
  Server server = starttls_server(context.get(), [](TlsPeer&, Fd& fd) {
    fd.send("250 this is not TLS, all of a sudden\r\n");
    fd.receive(1'000);
  });
  Recorder client;
  Net net;
  start_tls_on_greeting(client, {.server_name = "mx.example.net"});
  net.connect(client, server.endpoint());
  client.wait_for("closed");
  BOOST_TEST((client.reason().code == ErrorCode::kIo));
  BOOST_TEST(client.reason().detail.find("TLS with mx.example.net (") == 0U);
  net.run([&] { BOOST_TEST(client.stream->write("late") == 0U); });
  net.let_go(client);
}

BOOST_FIXTURE_TEST_CASE(destroying_a_stream_sends_close_notify_also_from_on_tls, Fixture) {
  Latch ended;
  bool orderly = false;
  Server server = starttls_server(context.get(), [&](TlsPeer& peer, Fd&) {
    orderly = peer.ended_by_close_notify();
    ended.open();
  });
  Recorder client;
  Net net;
  start_tls_on_greeting(client, {.server_name = "mx.example.net"});
  client.when_tls = [&] { client.stream.reset(); };
  net.connect(client, server.endpoint());
  ended.wait();
  BOOST_TEST(orderly);
  BOOST_TEST(client.events() == "connected data tls");
}

// The sans-I/O half alone, the peer's bytes coming one at a time.
BOOST_FIXTURE_TEST_CASE(ciphertext_split_at_every_byte, Fixture) {
  TlsContext shared(ca.file);
  TlsClient client(shared, {.server_name = "mx.example.net", .verify = TlsVerify::kWebPki},
                   Endpoint::parse("192.0.2.1:25", 25).value());
  const SslPtr server(SSL_new(context.get()));
  BIO* to_server = BIO_new(BIO_s_mem());
  BIO* from_server = BIO_new(BIO_s_mem());
  SSL_set_bio(server.get(), to_server, from_server);
  SSL_set_accept_state(server.get());
  std::string got;
  std::array<char, 4096> buffer{};
  bool greeted = false;
  for (int turn = 0; turn < 20; ++turn) {
    while (const std::size_t count = client.output(buffer))
      BIO_write(to_server, buffer.data(), static_cast<int>(count));
    if (SSL_do_handshake(server.get()) == 1 && !std::exchange(greeted, true)) {
      SSL_write(server.get(), "hello", 5);
      SSL_shutdown(server.get());
    }
    char byte = 0;
    while (BIO_read(from_server, &byte, 1) == 1) {
      client.feed({&byte, 1});
      while (const std::size_t count = client.read(buffer)) got.append(buffer.data(), count);
    }
  }
  BOOST_TEST(got == "hello");
  BOOST_TEST((client.state() == TlsClient::State::kClosed));
  BOOST_TEST(client.info().verified);
}

}  // namespace
}  // namespace mailsbuddy::net

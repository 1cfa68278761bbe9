#include <boost/test/unit_test.hpp>
#include <functional>
#include <optional>
#include <set>

#include "tests/smtp/client_words.h"
#include "tests/smtp/fakes.h"

using namespace mailsbuddy;
using namespace mailsbuddy::test;
using namespace std::chrono_literals;
using smtp::ConnectionId;
using smtp::Pool;

namespace {

constexpr std::string_view kTo = "you@b.example";

// A pool with everything around it. Events in words: "ready 1", "1 0: final_dot ...", "done 1", "closed 1: ...".
class Lane final : public smtp::PoolHandler {
 public:
  explicit Lane(std::vector<smtp::RouteHost> hosts = {{10, "mx"}}, smtp::PoolOptions options = {}) {
    if (options.session.ehlo_name.empty()) options.session.ehlo_name = "me";
    dns.host("mx", {"192.0.2.1"});
    pool.emplace(loop, transport, dns, std::move(options), std::move(hosts), *this, random);
  }

  void on_ready(Pool&, ConnectionId id) override { note(fmt::format("ready {}", id)); }
  void on_recipient(Pool&, ConnectionId id, std::size_t recipient, const Outcome& outcome) override {
    note(fmt::format("{} {}: {}", id, recipient, words(outcome)));
  }
  void on_transaction_done(Pool&, ConnectionId id) override { note(fmt::format("done {}", id)); }
  void on_sending(Pool&, ConnectionId id) override {
    if (when_sending) when_sending(id);
  }
  void on_closed(Pool&, ConnectionId id, const Outcome& reason) override {
    note(fmt::format("closed {}: {}", id, words(reason)));
  }
  void on_open_failed(Pool&, ConnectionId id, const Outcome& reason) override {
    note(fmt::format("failed {}: {}", id, words(reason)));
  }

  // Calls into the pool, with nothing reported from inside.
  template <class Call>
  auto quietly(Call call) {
    inside_ = true;
    const auto result = call();
    inside_ = false;
    return result;
  }
  ConnectionId open() {
    const ConnectionId id = quietly([&] { return pool->open(); });
    loop.run();
    return id;
  }
  void send(ConnectionId id, std::string_view to = kTo) {
    to_ = to;
    const smtp::Transaction mail{
        .mail_from = "me@a.example", .rcpt_to = {&to_, 1}, .data = "Hi\r\n.\r\n", .message_bytes = 4};
    quietly([&] {
      pool->send(id, mail);
      return 0;
    });
    loop.run();
  }

  // The server's part.
  FakePeer& peer() { return transport.last(); }
  void greet(std::string_view capabilities = "250-mx\r\n250 PIPELINING\r\n") {
    peer().connected();
    peer().says("220 mx\r\n");
    BOOST_TEST(peer().heard() == "EHLO me\r\n");
    peer().says(capabilities);
  }
  void take_message(FakePeer& at) {
    BOOST_TEST(at.heard() == "MAIL FROM:<me@a.example>\r\nRCPT TO:<you@b.example>\r\nDATA\r\n");
    at.says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
    BOOST_TEST(at.heard() == "Hi\r\n.\r\n");
    at.says("250 Queued\r\n");
  }

  void expect(const std::vector<std::string>& expected) {
    BOOST_TEST(std::exchange(events, {}) == expected, boost::test_tools::per_element());
  }

  FakeLoop loop;
  FakeTransport transport;
  FakeResolver dns{loop};
  Random random{1};
  std::optional<Pool> pool;
  std::vector<std::string> events;
  std::function<void(const std::string&)> then;  // Called at each event.
  std::function<void(ConnectionId)> when_sending;

 private:
  void note(std::string event) {
    BOOST_TEST(!inside_);
    events.push_back(event);
    if (then) then(event);
  }

  bool inside_ = false;
  std::string_view to_;
};

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Messages

BOOST_AUTO_TEST_CASE(opens_sends_and_sends_again) {
  Lane lane;
  const ConnectionId id = lane.open();
  BOOST_TEST(lane.pool->open_connections() == 1);
  BOOST_TEST(lane.pool->idle() == 0U);
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.1:25");
  lane.greet();
  lane.expect({"ready 1"});
  BOOST_TEST(lane.pool->idle() == id);
  for (int i = 0; i < 2; ++i) {
    lane.send(id);
    BOOST_TEST(lane.pool->busy_connections() == 1);
    BOOST_TEST(lane.pool->idle() == 0U);
    lane.take_message(lane.peer());
    lane.expect({"1 0: final_dot reply 250 Queued", "done 1", "ready 1"});
    BOOST_TEST(lane.pool->busy_connections() == 0);
  }
  const auto info = lane.pool->info(id);
  BOOST_TEST(info.mx_host == "mx");
  BOOST_TEST(info.remote.str() == "192.0.2.1:25");
  BOOST_TEST(!info.tls);
  BOOST_TEST(lane.transport.peers.size() == 1U);
}

// The next message is sent from inside on_ready(), as an engine does; it leaves in one write.
BOOST_AUTO_TEST_CASE(sends_from_inside_the_handler) {
  Lane lane;
  lane.then = [&](const std::string& event) {
    if (event == "ready 1" && lane.events.size() < 6) {
      static const smtp::Transaction kMail{.mail_from = "me@a.example", .rcpt_to = {&kTo, 1}, .data = "Hi\r\n.\r\n"};
      lane.pool->send(1, kMail);
    }
  };
  lane.open();
  lane.greet();
  lane.take_message(lane.peer());
  lane.take_message(lane.peer());
  lane.expect({"ready 1", "1 0: final_dot reply 250 Queued", "done 1", "ready 1", "1 0: final_dot reply 250 Queued",
               "done 1", "ready 1"});
}

BOOST_AUTO_TEST_CASE(settled_without_the_wire_is_reported_from_the_loop) {
  Lane lane;
  lane.open();
  lane.greet();
  lane.send(1, "bad\r\n@b");  // quietly() checks that nothing comes from inside.
  lane.expect({"ready 1", "1 0: rcpt_to protocol_error (control character in the address)", "done 1", "ready 1"});
  BOOST_TEST(lane.peer().heard().empty());
  lane.send(1);
  lane.take_message(lane.peer());
}

BOOST_AUTO_TEST_CASE(a_slow_peer_takes_the_message_in_pieces) {
  Lane lane;
  lane.open();
  lane.greet();
  lane.peer().room = 10;
  lane.send(1);
  BOOST_TEST(lane.peer().heard() == "MAIL FROM:");
  lane.peer().makes_room(SIZE_MAX);
  BOOST_TEST(lane.peer().heard() == "<me@a.example>\r\nRCPT TO:<you@b.example>\r\nDATA\r\n");
  lane.peer().room = 3;
  lane.peer().says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
  BOOST_TEST(lane.peer().heard() == "Hi\r");
  lane.peer().makes_room(2);
  lane.peer().makes_room(2);
  BOOST_TEST(lane.peer().heard() == "\n.\r\n");
  lane.peer().says("250 Queued\r\n");
  lane.expect({"ready 1", "1 0: final_dot reply 250 Queued", "done 1", "ready 1"});
}

BOOST_AUTO_TEST_CASE(quits_after_so_many_messages) {
  Lane lane({{10, "mx"}}, {.connections_max = 1, .messages_per_connection = 2});
  lane.open();
  lane.greet();
  lane.send(1);
  lane.take_message(lane.peer());
  lane.send(1);
  lane.take_message(lane.peer());
  lane.expect(
      {"ready 1", "1 0: final_dot reply 250 Queued", "done 1", "ready 1", "1 0: final_dot reply 250 Queued", "done 1"});
  BOOST_TEST(lane.peer().heard() == "QUIT\r\n");
  BOOST_TEST(lane.pool->idle() == 0U);
  BOOST_TEST(!lane.pool->can_open());  // The server still counts it.
  lane.peer().says("221 Bye\r\n");
  lane.expect({"closed 1: mail_from reply 221 Bye"});
  BOOST_TEST(!lane.peer().open());
  BOOST_TEST(lane.pool->can_open());
}

// ---------------------------------------------------------------------------------------------------------------------
// Messages that overlap

namespace {

const smtp::Transaction kMail{
    .mail_from = "me@a.example", .rcpt_to = {&kTo, 1}, .data = "Hi\r\n.\r\n", .message_bytes = 4};
constexpr std::string_view kGroup = "MAIL FROM:<me@a.example>\r\nRCPT TO:<you@b.example>\r\nDATA\r\n";

}  // namespace

BOOST_AUTO_TEST_CASE(the_next_envelope_leaves_with_the_message) {
  Lane lane({{10, "mx"}}, {.connections_max = 1, .messages_per_connection = 2});
  int offered = 0;
  lane.when_sending = [&](ConnectionId id) {
    ++offered;
    if (!lane.pool->room(id)) return;
    lane.pool->send(id, kMail);
    BOOST_TEST(!lane.pool->room(id));
    BOOST_TEST(lane.pool->busy_connections() == 1);
  };
  lane.open();
  lane.greet();
  BOOST_TEST(!lane.pool->room(1));  // It is ready, and no message is under way.
  lane.send(1);
  BOOST_TEST(!lane.pool->room(1));
  BOOST_TEST(lane.peer().heard() == kGroup);
  lane.peer().says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
  BOOST_TEST(lane.peer().heard() == "Hi\r\n.\r\n" + std::string(kGroup));
  lane.peer().says("250 Queued\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n");
  lane.expect({"ready 1", "1 0: final_dot reply 250 Queued", "done 1"});  // The third would be one too many.
  BOOST_TEST(offered == 2);
  BOOST_TEST(lane.pool->busy_connections() == 1);
  BOOST_TEST(lane.peer().heard() == "Hi\r\n.\r\n");
  lane.peer().says("250 Queued\r\n");
  lane.expect({"1 0: final_dot reply 250 Queued", "done 1"});
  BOOST_TEST(lane.pool->busy_connections() == 0);
  BOOST_TEST(lane.peer().heard() == "QUIT\r\n");
}

BOOST_AUTO_TEST_CASE(both_have_their_outcome_when_the_connection_ends) {
  Lane lane;
  lane.when_sending = [&](ConnectionId id) { lane.pool->send(id, kMail); };
  lane.open();
  lane.greet();
  lane.send(1);
  lane.peer().says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
  lane.peer().closes("gone");
  lane.expect({"ready 1", "1 0: final_dot connection_lost (gone)", "done 1", "1 0: mail_from connection_lost (gone)",
               "done 1", "closed 1: final_dot connection_lost (gone)"});
  BOOST_TEST(lane.pool->busy_connections() == 0);
  BOOST_TEST(lane.pool->open_connections() == 0);
}

BOOST_AUTO_TEST_CASE(dropped_before_the_message_is_sent) {
  for (const bool destroyed : {false, true}) {
    Lane lane;
    lane.when_sending = [&](ConnectionId id) {
      lane.pool->drop(id);
      if (destroyed) lane.pool.reset();
    };
    lane.open();
    lane.greet();
    lane.send(1);
    BOOST_TEST(lane.peer().heard() == kGroup);
    lane.peer().says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
    BOOST_TEST(lane.peer().heard().empty());
    BOOST_TEST(!lane.peer().open());
    lane.expect({"ready 1"});
    if (destroyed) continue;
    BOOST_TEST(lane.pool->open_connections() == 0);
    BOOST_TEST(lane.pool->busy_connections() == 0);
    BOOST_TEST(!lane.pool->room(1));
    lane.open();
    BOOST_TEST(lane.transport.peers.size() == 2U);
  }
}

BOOST_AUTO_TEST_CASE(a_slow_peer_takes_message_and_envelope_in_pieces) {
  Lane lane;
  bool begun = false;
  lane.when_sending = [&](ConnectionId id) {
    if (!std::exchange(begun, true)) lane.pool->send(id, kMail);
  };
  lane.open();
  lane.greet();
  lane.send(1);
  BOOST_TEST(lane.peer().heard() == kGroup);
  lane.peer().room = 3;
  lane.peer().says("250 Ok\r\n250 Ok\r\n354 Go\r\n");
  BOOST_TEST(lane.peer().heard() == "Hi\r");
  lane.peer().makes_room(5);
  BOOST_TEST(lane.peer().heard() == "\n.\r\nM");
  lane.peer().makes_room(SIZE_MAX);
  BOOST_TEST(lane.peer().heard() == kGroup.substr(1));
  lane.peer().says("250 Queued\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n");
  lane.peer().says("250 Queued\r\n");
  lane.expect(
      {"ready 1", "1 0: final_dot reply 250 Queued", "done 1", "1 0: final_dot reply 250 Queued", "done 1", "ready 1"});
}

// ---------------------------------------------------------------------------------------------------------------------
// Idleness

BOOST_AUTO_TEST_CASE(the_most_recently_used_goes_first_and_the_others_quit) {
  Lane lane;
  std::vector<std::shared_ptr<FakePeer>> peers;
  for (int i = 0; i < 3; ++i) {
    lane.open();
    lane.greet();
    peers.push_back(lane.transport.peers.back());
    lane.loop.advance(1s);
  }
  lane.expect({"ready 1", "ready 2", "ready 3"});
  BOOST_TEST(lane.pool->idle() == 3U);
  lane.send(1);
  lane.take_message(*peers[0]);
  BOOST_TEST(lane.pool->idle() == 1U);
  lane.expect({"1 0: final_dot reply 250 Queued", "done 1", "ready 1"});
  // 2 is idle since second 1, 3 since 2, 1 since 3; five seconds is the limit.
  lane.loop.advance(2999ms);
  BOOST_TEST(peers[1]->heard() == "");
  lane.loop.advance(2ms);
  BOOST_TEST(peers[1]->heard() == "QUIT\r\n");
  BOOST_TEST(peers[2]->heard() == "");
  lane.loop.advance(1s);
  BOOST_TEST(peers[2]->heard() == "QUIT\r\n");
  BOOST_TEST(peers[0]->heard() == "");
  lane.loop.advance(1s);
  BOOST_TEST(peers[0]->heard() == "QUIT\r\n");
  BOOST_TEST(lane.pool->idle() == 0U);
  // The peers' answers: one each way to say goodbye.
  peers[0]->says("221 Bye\r\n");
  peers[1]->closes("gone");
  lane.loop.advance(5s);
  lane.expect({"closed 1: mail_from reply 221 Bye", "closed 2: mail_from cancelled (gone)",
               "closed 3: mail_from cancelled (no reply to QUIT in 5 s)"});
  BOOST_TEST(lane.pool->open_connections() == 0);
}

BOOST_AUTO_TEST_CASE(quit_idle) {
  Lane lane;
  lane.open();
  lane.greet();
  lane.open();
  lane.greet();
  lane.send(1);
  lane.pool->quit_idle();
  BOOST_TEST(lane.transport.peers[1]->heard() == "QUIT\r\n");
  lane.take_message(*lane.transport.peers[0]);
  BOOST_TEST(lane.pool->idle() == 1U);
}

BOOST_AUTO_TEST_CASE(the_server_ends_an_idle_connection) {
  Lane lane;
  lane.open();
  lane.greet();
  lane.peer().says("421 4.4.2 Idle too long\r\n");
  lane.expect({"ready 1", "closed 1: mail_from reply 421 4.4.2 Idle too long"});
  BOOST_TEST(lane.pool->idle() == 0U);
  BOOST_TEST(lane.pool->open_connections() == 0);
}

BOOST_AUTO_TEST_CASE(the_connection_breaks_with_a_message_on_it) {
  Lane lane;
  lane.open();
  lane.greet();
  lane.send(1);
  lane.peer().closes("connection reset by peer", ErrorCode::kIo);
  lane.expect({"ready 1", "1 0: mail_from connection_lost (connection reset by peer)", "done 1",
               "closed 1: mail_from connection_lost (connection reset by peer)"});
  BOOST_TEST(lane.pool->busy_connections() == 0);
}

BOOST_AUTO_TEST_CASE(silence_with_a_message_on_it) {
  Lane lane;
  lane.open();
  lane.greet();
  lane.send(1);
  lane.loop.advance(5min - 1s);
  lane.expect({"ready 1"});
  lane.loop.advance(2s);
  lane.expect({"1 0: mail_from timeout (no reply to MAIL FROM in 300 s)", "done 1",
               "closed 1: mail_from timeout (no reply to MAIL FROM in 300 s)"});
}

// ---------------------------------------------------------------------------------------------------------------------
// Opening

BOOST_AUTO_TEST_CASE(connections_max) {
  Lane lane({{10, "mx"}}, {.connections_max = 2});
  lane.open();
  BOOST_TEST(lane.pool->can_open());
  lane.open();
  BOOST_TEST(!lane.pool->can_open());
  lane.pool->set_connections_max(3);
  BOOST_TEST(lane.pool->can_open());
}

namespace {

// What one address does when it is called.
enum class Does { kTake, kRefuse, kSilent, kGreet554, kGreet421, kSilentGreeting, kEhlo451, kClose, kGarbage };

void act(Lane& lane, FakePeer& peer, Does does) {
  switch (does) {
    case Does::kTake:
      return lane.greet();
    case Does::kRefuse:
      return peer.closes("connection refused", ErrorCode::kIo);
    case Does::kSilent:
      return lane.loop.advance(31s);
    default:
      break;
  }
  peer.connected();
  switch (does) {
    case Does::kGreet554:
      return peer.says("554 5.7.1 Go away\r\n");
    case Does::kGreet421:
      return peer.says("421 4.7.0 Busy\r\n");
    case Does::kSilentGreeting:
      return lane.loop.advance(301s);
    case Does::kEhlo451:
      return peer.says("220 mx\r\n"), peer.says("451 4.3.0 Later\r\n");
    case Does::kClose:
      return peer.closes("gone");
    case Does::kGarbage:
      return peer.says("?\r\n");
    default:
      break;
  }
}

struct Walk {
  std::string_view name;
  std::vector<Does> does;  // The addresses of mx1, mx2, mx3, two each, in the order of trying.
  std::string_view ends;
};

const Walk kWalks[] = {
    {"first takes", {Does::kTake}, "ready 1"},
    {"second address of the first host", {Does::kRefuse, Does::kTake}, "ready 1"},
    {"next host after each failure",
     {Does::kSilent, Does::kGreet554, Does::kGreet421, Does::kEhlo451, Does::kTake},
     "ready 1"},
    {"silent greeting", {Does::kSilentGreeting, Does::kTake}, "ready 1"},
    {"closed and garbage", {Does::kClose, Does::kGarbage, Does::kTake}, "ready 1"},
    {"all refuse the connection",
     {Does::kRefuse, Does::kRefuse, Does::kRefuse, Does::kRefuse, Does::kRefuse},
     "failed 1: connect connect_failed (connection refused)"},
    {"all silent",
     {Does::kSilent, Does::kSilent, Does::kSilent, Does::kSilent, Does::kSilent},
     "failed 1: connect timeout (no connection in 30 s)"},
    {"words say more than silence",
     {Does::kGreet554, Does::kRefuse, Does::kSilent, Does::kClose, Does::kRefuse},
     "failed 1: greeting reply 554 5.7.1 Go away"},
    {"the last words count",
     {Does::kGreet554, Does::kGreet421, Does::kRefuse, Does::kRefuse, Does::kRefuse},
     "failed 1: greeting reply 421 4.7.0 Busy"},
    {"a lost connection says more than none",
     {Does::kClose, Does::kRefuse, Does::kRefuse, Does::kRefuse, Does::kSilent},
     "failed 1: greeting connection_lost (gone)"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(walks_hosts_and_addresses) {
  for (const Walk& c : kWalks) {
    BOOST_TEST_CONTEXT(c.name) {
      Lane lane({{30, "mx3"}, {10, "mx1"}, {20, "mx2"}});
      for (int host = 1; host <= 3; ++host) {
        lane.dns.host(fmt::format("mx{}", host), {fmt::format("192.0.2.{}1", host), fmt::format("192.0.2.{}2", host)});
      }
      lane.open();
      for (std::size_t i = 0; i < c.does.size(); ++i) {
        BOOST_TEST(lane.events.empty());
        BOOST_REQUIRE(lane.transport.peers.size() == i + 1);
        BOOST_TEST(lane.peer().remote.address.str() == fmt::format("192.0.2.{}{}", i / 2 + 1, i % 2 + 1));
        act(lane, lane.peer(), c.does[i]);
        lane.loop.run();
      }
      lane.expect({std::string(c.ends)});
      // Five addresses is the cap; names are looked up when their turn comes.
      BOOST_TEST(lane.dns.asked.size() == (c.does.size() + 1) / 2);
      BOOST_TEST(lane.pool->open_connections() == (c.ends.starts_with("ready") ? 1 : 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(hosts_of_equal_preference_share_the_load) {
  std::set<std::string> first, last;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Lane lane({{10, "a"}, {10, "b"}, {10, "c"}, {20, "d"}});
    for (const char* host : {"a", "b", "c", "d"}) lane.dns.host(host, {"192.0.2.9"});
    lane.random = Random(seed);
    lane.open();
    for (int i = 0; i < 4; ++i) {
      lane.peer().closes("no", ErrorCode::kIo);
      lane.loop.run();
    }
    BOOST_REQUIRE(lane.dns.asked.size() == 4U);
    first.insert(lane.dns.asked.front());
    last.insert(lane.dns.asked.back());
    BOOST_TEST(std::set<std::string>(lane.dns.asked.begin(), lane.dns.asked.end()).size() == 4U);
  }
  BOOST_TEST((first == std::set<std::string>{"a", "b", "c"}));
  BOOST_TEST((last == std::set<std::string>{"d"}));
}

namespace {

struct Family {
  std::string_view name, local;
  std::vector<std::string> addresses;
  std::string_view tried;  // Empty: none.
  std::string_view failure{};
};

const Family kFamilies[] = {
    {"IPv4 only from IPv4", "127.0.0.1", {"2001:db8::1", "192.0.2.1"}, "192.0.2.1"},
    {"IPv6 only from IPv6", "::1", {"2001:db8::1", "192.0.2.1"}, "2001:db8::1"},
    {"none for IPv4", "127.0.0.1", {"2001:db8::1"}, "", "failed 1: connect connect_failed (h has no IPv4 address)"},
    {"none for IPv6", "::1", {"192.0.2.1"}, "", "failed 1: connect connect_failed (h has no IPv6 address)"},
    {"any", "", {"2001:db8::1", "192.0.2.1"}, "2001:db8::1"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(address_families) {
  for (const Family& c : kFamilies) {
    BOOST_TEST_CONTEXT(c.name) {
      smtp::PoolOptions options;
      if (!c.local.empty()) options.local = *net::IpAddress::parse(c.local);
      Lane lane({{10, "h"}}, options);
      lane.dns.host("h", c.addresses);
      lane.open();
      if (c.tried.empty()) {
        lane.expect({std::string(c.failure)});
        BOOST_TEST(lane.transport.peers.empty());
      } else {
        BOOST_TEST(lane.peer().remote.address.str() == c.tried);
        BOOST_TEST((lane.peer().local == options.local));
      }
    }
  }
}

namespace {

struct Names {
  std::string_view name;
  std::vector<smtp::RouteHost> hosts;
  std::string_view failure;
};

const Names kNames[] = {
    {"no hosts", {}, "failed 1: route connect_failed (no host to try)"},
    {"host does not exist", {{10, "gone"}}, "failed 1: route no_such_domain (gone has no address)"},
    {"DNS fails", {{10, "broken"}}, "failed 1: route dns_failure (broken: SERVFAIL)"},
    {"a failure of DNS may be a host that exists",
     {{10, "broken"}, {20, "gone"}},
     "failed 1: route dns_failure (broken: SERVFAIL)"},
    {"literal of the wrong family",
     {{0, "[2001:db8::1]"}},
     "failed 1: connect connect_failed ([2001:db8::1] has no IPv4 address)"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(names_without_addresses) {
  for (const Names& c : kNames) {
    BOOST_TEST_CONTEXT(c.name) {
      Lane lane(c.hosts, {.local = *net::IpAddress::parse("127.0.0.1")});
      lane.dns.hosts["broken"].detail = "SERVFAIL";
      lane.open();
      lane.expect({std::string(c.failure)});
      BOOST_TEST(lane.pool->open_connections() == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(address_literal) {
  Lane lane({{0, "[192.0.2.7]"}}, {.port = 2525});
  lane.open();
  BOOST_TEST(lane.dns.asked.empty());
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.7:2525");
  lane.greet("250-mx\r\n250 STARTTLS\r\n");
  BOOST_TEST(lane.peer().heard() == "STARTTLS\r\n");
  lane.peer().says("220 Go\r\n");
  BOOST_TEST(lane.peer().server_name.empty());
}

// ---------------------------------------------------------------------------------------------------------------------
// What is remembered

BOOST_AUTO_TEST_CASE(pools_share_what_they_learn) {
  smtp::BadHosts bad;
  smtp::PoolOptions options{.session = {.ehlo_name = "me"}, .bad_hosts = &bad};
  Lane lane({{10, "mx"}, {20, "mx2"}}, options);
  lane.dns.host("mx2", {"192.0.2.2"});
  lane.open();
  lane.peer().closes("connection refused", ErrorCode::kIo);
  lane.loop.run();
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.2:25");
  lane.greet();
  // Another lane to the same host: as if it were asked after the first one.
  Pool other(lane.loop, lane.transport, lane.dns, options, {{10, "mx"}, {20, "mx2"}}, lane, lane.random);
  other.open();
  lane.loop.run();
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.2:25");
  lane.greet();
  lane.loop.advance(1min);
  other.open();
  lane.loop.run();
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.1:25");
  lane.greet();
  BOOST_TEST(bad.size() == 0U);
}

// It says that it takes no more connections of ours: it is well, and those that it has go on.
BOOST_AUTO_TEST_CASE(a_host_with_connections_of_ours_is_not_set_aside) {
  smtp::BadHosts bad;
  Lane lane({{10, "mx"}, {20, "mx2"}}, {.session = {.ehlo_name = "me"}, .bad_hosts = &bad});
  lane.dns.host("mx2", {"192.0.2.2"});
  lane.open();
  lane.greet();
  lane.open();
  lane.peer().connected();
  lane.peer().says("421 4.7.0 Too many connections\r\n");
  lane.loop.run();
  BOOST_TEST(bad.size() == 0U);
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.2:25");
  lane.peer().closes("connection refused", ErrorCode::kIo);
  BOOST_TEST(bad.size() == 1U);  // The other one.
}

BOOST_AUTO_TEST_CASE(a_prohibited_host_is_not_called) {
  Lane lane({{10, "mx"}}, {.local = *net::IpAddress::parse("192.0.2.9")});
  lane.dns.hosts.clear();
  lane.dns.host("mx", {"127.0.0.1", "10.0.0.1"});
  lane.open();
  lane.expect({"failed 1: route prohibited_address (mx has the prohibited address 127.0.0.1)"});
  BOOST_TEST(lane.transport.peers.empty());
}

// ---------------------------------------------------------------------------------------------------------------------
// Traced

namespace {

struct Traced final : smtp::Tracer, smtp::Trace {
  std::unique_ptr<smtp::Trace> trace(const smtp::TraceConnection& connection) override {
    asked.push_back(fmt::format("{} {} {}", connection.id, connection.mx_host, connection.remote.str()));
    if (!wanted) return nullptr;
    struct Forward final : smtp::Trace {
      explicit Forward(Traced& traced) : to(traced) {}
      void on_line(const smtp::TraceLine& line) override { to.on_line(line); }
      Traced& to;
    };
    return std::make_unique<Forward>(*this);
  }
  void on_line(const smtp::TraceLine& line) override {
    constexpr std::string_view kWho[] = {"* ", "C ", "S "};
    lines.push_back(std::string(kWho[static_cast<std::size_t>(line.kind)]) + std::string(line.text));
  }
  void expect(const std::vector<std::string>& expected) {
    BOOST_TEST(std::exchange(lines, {}) == expected, boost::test_tools::per_element());
  }

  bool wanted = true;
  std::vector<std::string> asked, lines;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_connection_is_followed) {
  Traced traced;
  Lane lane({{10, "mx"}}, {.tracer = &traced});
  lane.open();
  lane.peer().closes("connection refused", ErrorCode::kIo);
  traced.expect({"* connecting to 192.0.2.1:25", "* closed: connect: connect_failed (connection refused)"});
  lane.open();
  lane.greet("250-mx\r\n250 STARTTLS\r\n");
  lane.peer().says("220 Go\r\n");
  lane.peer().shakes_hands();
  traced.expect({"* connecting to 192.0.2.1:25", "* connected", "S 220 mx", "C EHLO me", "S 250-mx", "S 250 STARTTLS",
                 "C STARTTLS", "S 220 Go", "* TLS handshake", "* TLSv1.3 TLS_AES_256_GCM_SHA384, not verified",
                 "C EHLO me"});
  lane.peer().heard();
  lane.peer().says("250-mx\r\n250 PIPELINING\r\n");
  lane.peer().heard();
  lane.send(2);
  lane.take_message(lane.peer());
  lane.pool->quit_idle();
  lane.peer().says("221 Bye\r\n");
  traced.expect({"S 250-mx", "S 250 PIPELINING", "C MAIL FROM:<me@a.example>", "C RCPT TO:<you@b.example>", "C DATA",
                 "S 250 Ok", "S 250 Ok", "S 354 Go", "C Hi", "C .", "S 250 Queued", "C QUIT", "S 221 Bye", "* closed"});
  BOOST_TEST((traced.asked == std::vector<std::string>{"1 mx 192.0.2.1:25", "2 mx 192.0.2.1:25"}));
}

// One that nobody wanted when it was opened joins between two messages, never within one.
BOOST_AUTO_TEST_CASE(an_open_connection_is_followed_from_its_next_message_on) {
  Traced traced;
  traced.wanted = false;
  Lane lane({{10, "mx"}}, {.tracer = &traced});
  lane.open();
  lane.greet();
  traced.wanted = true;
  lane.send(1);
  lane.pool->trace(1);
  lane.take_message(lane.peer());
  traced.expect({});
  lane.pool->trace(1);
  lane.pool->trace(1);
  lane.pool->trace(77);  // None.
  lane.send(1);
  lane.take_message(lane.peer());
  traced.expect({"C MAIL FROM:<me@a.example>", "C RCPT TO:<you@b.example>", "C DATA", "S 250 Ok", "S 250 Ok",
                 "S 354 Go", "C Hi", "C .", "S 250 Queued"});
  BOOST_TEST(traced.asked.size() == 2U);
}

// ---------------------------------------------------------------------------------------------------------------------
// TLS

namespace {

void start_tls(Lane& lane) {
  lane.greet("250-mx\r\n250 STARTTLS\r\n");
  BOOST_TEST(lane.peer().heard() == "STARTTLS\r\n");
  lane.peer().says("220 Go\r\n");
  BOOST_TEST(lane.peer().handshaking);
  BOOST_TEST(lane.peer().server_name == "mx");
}

smtp::PoolOptions with_tls(smtp::TlsPolicy tls) { return {.session = {.ehlo_name = "me", .tls = tls}}; }

}  // namespace

BOOST_AUTO_TEST_CASE(tls) {
  Lane lane;
  lane.open();
  start_tls(lane);
  lane.peer().shakes_hands();
  BOOST_TEST(lane.peer().heard() == "EHLO me\r\n");
  lane.peer().says("250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n");
  lane.expect({"ready 1"});
  BOOST_TEST(lane.pool->info(1).tls);
  lane.send(1);
  lane.take_message(lane.peer());
}

BOOST_AUTO_TEST_CASE(failed_handshake_then_once_in_clear) {
  Lane lane;
  lane.open();
  start_tls(lane);
  lane.peer().closes("wrong version number", ErrorCode::kIo);
  BOOST_TEST(lane.transport.peers.size() == 2U);
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.1:25");
  lane.greet("250-mx\r\n250 STARTTLS\r\n");
  lane.expect({"ready 1"});
  BOOST_TEST(!lane.pool->info(1).tls);
}

BOOST_AUTO_TEST_CASE(the_next_address_gets_its_own_chance_of_tls) {
  Lane lane({{10, "mx"}});
  lane.dns.hosts["mx"].records.push_back(net::IpAddress::v4({192, 0, 2, 2}));
  lane.open();
  start_tls(lane);
  lane.peer().closes("wrong version number", ErrorCode::kIo);
  lane.peer().closes("connection refused", ErrorCode::kIo);
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.2:25");
  start_tls(lane);
}

BOOST_AUTO_TEST_CASE(required_tls_does_not_go_in_clear) {
  Lane lane({{10, "mx"}}, with_tls(smtp::TlsPolicy::kRequired));
  lane.open();
  start_tls(lane);
  lane.peer().closes("wrong version number", ErrorCode::kIo);
  lane.expect({"failed 1: start_tls tls_failed (wrong version number)"});
  BOOST_TEST(lane.transport.peers.size() == 1U);
}

BOOST_AUTO_TEST_CASE(implicit_tls) {
  Lane lane({{10, "mx", 465}}, {.session = {.ehlo_name = "me", .implicit_tls = true}});
  lane.open();
  BOOST_TEST(lane.peer().remote.str() == "192.0.2.1:465");
  lane.peer().connected();
  BOOST_TEST(lane.peer().handshaking);
  BOOST_TEST(lane.peer().server_name == "mx");
  lane.peer().shakes_hands();
  lane.peer().says("220 mx\r\n");
  BOOST_TEST(lane.peer().heard() == "EHLO me\r\n");
  lane.peer().says("250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n");
  lane.expect({"ready 1"});
  BOOST_TEST(lane.pool->info(1).tls);
  lane.send(1);
  lane.take_message(lane.peer());
}

// Whatever happens to it: never in clear.
BOOST_AUTO_TEST_CASE(implicit_tls_that_fails) {
  struct Case {
    std::string_view name;
    std::function<void(Lane&)> does;
    std::string_view failure;
  };
  const Case cases[] = {
      {"refused", [](Lane& lane) { lane.peer().closes("connection refused", ErrorCode::kIo); },
       "failed 1: connect connect_failed (connection refused)"},
      {"the handshake fails",
       [](Lane& lane) {
         lane.peer().connected();
         lane.peer().closes("wrong version number", ErrorCode::kIo);
       },
       "failed 1: connect tls_failed (wrong version number)"},
      {"no connection", [](Lane& lane) { lane.loop.advance(31s); },
       "failed 1: connect timeout (no connection in 30 s)"},
      {"silent handshake",
       [](Lane& lane) {
         lane.peer().connected();
         lane.loop.advance(121s);
       },
       "failed 1: connect timeout (no TLS handshake in 120 s)"},
      {"silent greeting",
       [](Lane& lane) {
         lane.peer().connected();
         lane.peer().shakes_hands();
         lane.loop.advance(301s);
       },
       "failed 1: greeting timeout (no greeting in 300 s)"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      Lane lane({{10, "mx"}}, {.session = {.ehlo_name = "me", .implicit_tls = true}});
      lane.open();
      c.does(lane);
      lane.expect({std::string(c.failure)});
      BOOST_TEST(lane.transport.peers.size() == 1U);
      BOOST_TEST(lane.peer().received.find("EHLO") == std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(silent_handshake) {
  Lane lane({{10, "mx"}}, with_tls(smtp::TlsPolicy::kRequired));
  lane.open();
  start_tls(lane);
  lane.loop.advance(121s);
  lane.expect({"failed 1: start_tls timeout (no TLS handshake in 120 s)"});
}

// ---------------------------------------------------------------------------------------------------------------------
// Destruction

// The pool may be destroyed at any event, from inside the handler, and when there is something still to come.
BOOST_AUTO_TEST_CASE(destroyed_from_inside_the_handler) {
  for (const std::string_view at : {"ready 1", "1 0: ", "done 1", "closed 1: ", "failed 2: "}) {
    BOOST_TEST_CONTEXT(at) {
      Lane lane;
      std::size_t calls = 0;
      lane.then = [&](const std::string& event) {
        if (!lane.pool) ++calls;
        if (event.starts_with(at)) lane.pool.reset();
      };
      // Everything that happens to a connection, as far as the pool lives.
      lane.open();
      lane.greet();
      if (lane.pool) lane.send(1);
      if (lane.pool) lane.take_message(lane.peer());
      if (lane.pool) lane.peer().closes("gone");
      if (lane.pool) lane.open();
      if (lane.pool) lane.peer().closes("refused", ErrorCode::kIo);
      lane.loop.advance(1h);
      BOOST_TEST(!lane.pool);
      BOOST_TEST(calls == 0U);
      BOOST_TEST(lane.loop.timers().size() == 0U);
      for (const auto& peer : lane.transport.peers) BOOST_TEST(!peer->open());
    }
  }
}

BOOST_AUTO_TEST_CASE(destroyed_while_opening) {
  for (const bool resolving : {true, false}) {
    Lane lane;
    lane.quietly([&] { return lane.pool->open(); });
    if (!resolving) lane.loop.run();
    lane.pool.reset();
    lane.loop.advance(1h);
    lane.expect({});
    for (const auto& peer : lane.transport.peers) BOOST_TEST(!peer->open());
  }
}

BOOST_AUTO_TEST_CASE(destroyed_between_question_and_answer_of_dns) {
  Lane lane;
  lane.pool->open();
  // Only the first task: the question is asked, the answer is posted.
  lane.loop.post([&] { lane.pool.reset(); });
  lane.loop.run();
  BOOST_TEST(lane.dns.asked.size() == 1U);
  lane.expect({});
}

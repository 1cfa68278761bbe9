#include <boost/test/unit_test.hpp>

#include "tests/net/support.h"

namespace mailsbuddy::net {
namespace {

using test::closed_port;
using test::Fd;
using test::ip;
using test::Latch;
using test::Net;
using test::Recorder;
using test::Server;

BOOST_AUTO_TEST_CASE(bytes_go_both_ways) {
  Server server([](Fd peer) {
    peer.send("220 hello\r\n");
    peer.send("you said " + peer.receive(6));
    peer.receive(1);
  });
  Recorder client;
  Net net;
  net.connect(client, server.endpoint());
  client.wait_for_data("220 hello\r\n");
  net.run([&] {
    BOOST_TEST(client.stream->remote().str() == server.endpoint().str());
    BOOST_TEST(client.stream->write("") == 0U);
    BOOST_TEST(client.stream->write("EHLO\r\n") == 6U);
  });
  client.wait_for_data("220 hello\r\nyou said EHLO\r\n");
  net.let_go(client);
  BOOST_TEST(client.events() == "connected data");
}

BOOST_AUTO_TEST_CASE(bytes_written_before_the_connection_stands_are_not_taken_but_invited_later) {
  Server server([](Fd peer) { peer.send(peer.receive(2)); });
  Recorder client;
  Net net;
  client.when_writable = [&] { BOOST_TEST(client.stream->write("hi") == 2U); };
  net.run([&] {
    client.stream = net.transport.connect({}, server.endpoint(), client);
    BOOST_TEST(client.stream->write("hi") == 0U);
  });
  client.wait_for("closed");
  BOOST_TEST(client.data() == "hi");
  BOOST_TEST(client.events() == "connected writable data closed");
}

// --------------------------------------------------------------------------------------------------------------------
// Opening fails

struct Refused {
  const char* name;
  const char* from;  // Empty: unspecified.
  const char* to;    // Null: a port where nobody listens.
  const char* detail;
};

constexpr Refused kRefused[] = {
    {"nobody listens", "", nullptr, "connection refused"},
    {"nobody listens, bound", "127.0.0.2", nullptr, "connection refused"},
    {"not an address of this host", "192.0.2.1", nullptr, "binding to 192.0.2.1: address not available"},
    {"IPv6 address not of this host", "2001:db8::1", "[::1]:25", "binding to 2001:db8::1: address not available"},
    {"families differ", "127.0.0.1", "[::1]:25", "connecting from 127.0.0.1 to [::1]:25: one is IPv4, the other IPv6"},
    {"broadcast", "", "255.255.255.255:25", "connecting to 255.255.255.255:25: "},
};

BOOST_AUTO_TEST_CASE(a_connection_that_fails_says_so_and_never_at_once) {
  for (const Refused& c : kRefused) BOOST_TEST_CONTEXT(c.name) {
      const Endpoint to = c.to == nullptr ? closed_port() : Endpoint::parse(c.to, 25).value();
      const IpAddress from = *c.from == '\0' ? IpAddress() : ip(c.from);
      Recorder client;
      Net net;
      net.run([&] {
        client.stream = net.transport.connect(from, to, client);
        BOOST_TEST(client.events() == "");
      });
      client.wait_for("closed");
      BOOST_TEST(client.events() == "closed");
      BOOST_TEST((client.reason().code == ErrorCode::kIo));
      BOOST_TEST_INFO(client.reason().detail);
      BOOST_TEST(client.reason().detail.find(c.detail) != std::string::npos);
      net.run([&] { BOOST_TEST(client.stream->write("late") == 0U); });
      net.let_go(client);
    }
}

BOOST_AUTO_TEST_CASE(no_remote_address) {
  Recorder client;
  Net net;
  net.connect(client, Endpoint{});
  client.wait_for("closed");
  BOOST_TEST(client.reason().detail == "connecting: no remote address");
}

BOOST_AUTO_TEST_CASE(a_stopped_loop_connects_nothing) {
  Recorder client;
  Net net;
  net.loop->stop();
  client.stream = net.transport.connect({}, closed_port(), client);
  BOOST_TEST(client.stream->write("x") == 0U);
  client.stream.reset();
  BOOST_TEST(client.events() == "");
}

BOOST_AUTO_TEST_CASE(local_addresses) {
  Net net;
  BOOST_TEST(net.transport.check_local({}).has_value());
  BOOST_TEST(net.transport.check_local(ip("127.0.0.3")).has_value());
  const auto foreign = net.transport.check_local(ip("192.0.2.1"));
  BOOST_REQUIRE(!foreign);
  BOOST_TEST((foreign.error().code == ErrorCode::kUnavailable));
  BOOST_TEST(foreign.error().detail == "binding to 192.0.2.1: address not available");
}

BOOST_AUTO_TEST_CASE(the_peer_sees_the_source_address) {
  Server server([](Fd peer) { peer.send(peer.peer().address.str()); });
  Net net;
  for (const char* from : {"127.0.0.1", "127.0.0.2", "127.0.0.3"}) BOOST_TEST_CONTEXT(from) {
      Recorder client;
      net.connect(client, server.endpoint(), ip(from));
      client.wait_for("closed");
      BOOST_TEST(client.data() == from);
      net.let_go(client);
    }
}

// --------------------------------------------------------------------------------------------------------------------
// Ending

struct Ending {
  const char* name;
  void (*serve)(Fd peer);
  ErrorCode code;
  const char* detail;
};

const Ending kEndings[] = {
    {"closed",
     [](Fd peer) {
       peer.send("bye");
       peer.receive(2);  // What is left unread makes the kernel reset the connection.
     },
     ErrorCode::kClosed, " closed the connection"},
    {"half closed",
     [](Fd peer) {
       peer.send("bye");
       shutdown(peer.get(), SHUT_WR);
       peer.receive(3);  // "ok", and then the client's own end.
     },
     ErrorCode::kClosed, " closed the connection"},
    {"reset",
     [](Fd peer) {
       peer.send("bye");
       peer.receive(2);
       peer.reset_connection();
     },
     ErrorCode::kIo, "connection reset by peer"},
};

BOOST_AUTO_TEST_CASE(what_came_before_the_end_is_delivered) {
  for (const Ending& c : kEndings) BOOST_TEST_CONTEXT(c.name) {
      Server server([&](Fd peer) { c.serve(std::move(peer)); });
      Recorder client;
      Net net;
      client.when_data = [&] { client.stream->write("ok"); };
      net.connect(client, server.endpoint());
      client.wait_for("closed");
      BOOST_TEST(client.events() == "connected data closed");
      BOOST_TEST(client.data() == "bye");
      BOOST_TEST((client.reason().code == c.code));
      BOOST_TEST_INFO(client.reason().detail);
      BOOST_TEST(client.reason().detail.find(c.detail) != std::string::npos);
      net.let_go(client);
    }
}

// "554 go away", and the connection is gone while we still write: the words arrive, SIGPIPE does not.
BOOST_AUTO_TEST_CASE(a_refusal_is_read_although_writing_failed) {
  Latch gone;
  Server server([&](Fd peer) {
    peer.send("554 go away\r\n");
    peer.close();
    gone.open();
  });
  Recorder client;
  Net net;
  client.when_connected = [&] {
    gone.wait();
    for (int i = 0; i < 10; ++i)
      client.stream->write("EHLO a.example\r\n");  // The first brings a reset, the next EPIPE.
    BOOST_TEST(client.stream->write("x") == 0U);
  };
  net.connect(client, server.endpoint());
  client.wait_for("closed");
  BOOST_TEST(client.data() == "554 go away\r\n");
  BOOST_TEST(client.events() == "connected data closed");
  BOOST_TEST((client.reason().code == ErrorCode::kIo));
  net.let_go(client);
}

// --------------------------------------------------------------------------------------------------------------------
// Back-pressure

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31) ^ (i >> 8));
  return bytes;
}

BOOST_AUTO_TEST_CASE(a_slow_reader_slows_the_writer_down) {
  const std::string sent = pattern(10'000'000);
  Latch stuck;
  std::string received;
  Latch done;
  Server server(
      [&](Fd peer) {
        stuck.wait();  // Not a byte is read until the client was told to wait.
        received = peer.receive(sent.size());
        done.open();
      },
      16 * 1024);
  Recorder client;
  Net net;
  std::size_t at = 0;
  bool waited = false;
  const auto push = [&] {
    at += client.stream->write(std::string_view(sent).substr(at));
    if (at < sent.size()) {
      BOOST_TEST(client.stream->write(std::string_view(sent).substr(at)) == 0U);  // Full means full.
      if (!std::exchange(waited, true)) stuck.open();
    }
  };
  client.when_connected = client.when_writable = push;
  net.connect(client, server.endpoint());
  done.wait();
  BOOST_TEST((received == sent));
  BOOST_TEST(waited);
  net.let_go(client);
}

// In pieces of many sizes, more of them than one system call takes, to a reader that is slow at first.
BOOST_AUTO_TEST_CASE(pieces_arrive_in_their_order) {
  const std::string sent = pattern(3'000'000);
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0, size = 0; at < sent.size(); at += pieces.back().size()) {
    size = (size * 7 + 13) % 40'000;
    pieces.push_back(std::string_view(sent).substr(at, size));
  }
  Latch stuck;
  std::string received;
  Latch done;
  Server server(
      [&](Fd peer) {
        stuck.wait();
        received = peer.receive(sent.size());
        done.open();
      },
      16 * 1024);
  Recorder client;
  Net net;
  bool first = true;
  const auto push = [&] {
    for (bool full = false; !full && !pieces.empty();) {
      const std::span<const std::string_view> some(pieces.data(), std::min<std::size_t>(pieces.size(), 40));
      std::size_t size = 0;
      for (const std::string_view piece : some) size += piece.size();
      std::size_t taken = client.stream->write_pieces(some);
      full = taken < size;
      while (taken > 0 && taken >= pieces.front().size()) {
        taken -= pieces.front().size();
        pieces.erase(pieces.begin());
      }
      if (taken > 0) pieces.front().remove_prefix(taken);
    }
    if (std::exchange(first, false)) stuck.open();
  };
  client.when_connected = client.when_writable = push;
  net.connect(client, server.endpoint());
  done.wait();
  BOOST_TEST((received == sent));
  net.let_go(client);
}

BOOST_AUTO_TEST_CASE(a_flood_is_read_whole) {
  const std::string sent = pattern(3'000'000);
  Server server([&](Fd peer) { peer.send(sent); });
  Recorder client;
  Net net;
  net.connect(client, server.endpoint());
  client.wait_for("closed");
  BOOST_TEST((client.data() == sent));
}

// --------------------------------------------------------------------------------------------------------------------
// Destroying

struct Destroyed {
  const char* name;
  std::function<void()> Recorder::*when;
  const char* events;
};

const Destroyed kDestroyed[] = {
    {"in on_connected", &Recorder::when_connected, "connected"},
    {"in on_data", &Recorder::when_data, "connected data"},
    {"in on_writable", &Recorder::when_writable, "connected data writable"},
    {"in on_closed", &Recorder::when_closed, "connected data writable closed"},
};

BOOST_AUTO_TEST_CASE(a_stream_may_be_destroyed_in_each_handler_call) {
  const std::string much = pattern(10'000'000);
  for (const Destroyed& c : kDestroyed) BOOST_TEST_CONTEXT(c.name) {
      Latch destroyed;
      Latch full;
      std::size_t taken = 0;
      Server server([&](Fd peer) {
        peer.send("x");
        if (c.when == &Recorder::when_writable || c.when == &Recorder::when_closed) {
          full.wait();
          peer.receive(taken);
        }
        if (c.when == &Recorder::when_closed) return;
        destroyed.wait();
        peer.send("more");
      });
      Recorder client;
      Net net;
      client.when_data = [&] {
        if (taken != 0) return;
        taken = client.stream->write(much);
        full.open();
      };
      client.*c.when = [&] {
        client.stream.reset();
        destroyed.open();
      };
      net.connect(client, server.endpoint());
      destroyed.wait();
      net.run([] {});
      BOOST_TEST(client.events() == c.events);
    }
}

BOOST_AUTO_TEST_CASE(a_stream_destroyed_at_once_reports_nothing) {
  Server server([](Fd peer) { peer.receive(1); });
  Recorder client;
  Net net;
  net.run([&] {
    for (int i = 0; i < 10; ++i) net.transport.connect({}, server.endpoint(), client).reset();
    net.transport.connect(ip("192.0.2.1"), server.endpoint(), client).reset();  // Its failure is on the way already.
  });
  net.run([] {});
  net.run([] {});
  BOOST_TEST(client.events() == "");
}

BOOST_AUTO_TEST_CASE(a_loop_may_stop_with_streams_open_and_streams_may_go_afterwards) {
  Server server([](Fd peer) { peer.receive(1); });
  Recorder client;
  {
    Net net;
    net.connect(client, server.endpoint());
    client.wait_for("connected");
    net.loop->stop();
    BOOST_TEST(client.stream->write("x") == 0U);
    client.stream->start_tls({});
    client.stream.reset();
  }
  BOOST_TEST(client.events() == "connected");
}

BOOST_AUTO_TEST_CASE(many_connections_from_one_address) {
  constexpr int kCount = 300;
  std::atomic<int> accepted = 0;
  std::vector<Fd> held;
  Server server([&](Fd peer) {
    peer.send("x");
    held.push_back(std::move(peer));
    ++accepted;
  });
  std::vector<Recorder> clients(kCount);
  Net net;
  for (Recorder& client : clients) net.connect(client, server.endpoint(), ip("127.0.0.2"));
  for (Recorder& client : clients) client.wait_for_data("x");
  BOOST_TEST(accepted >= kCount - 1);  // The last one may still be being counted.
  for (Recorder& client : clients) net.let_go(client);
}

}  // namespace
}  // namespace mailsbuddy::net

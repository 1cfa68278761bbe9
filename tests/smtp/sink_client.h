// sink_client.h - a blocking SMTP client of few words, for talking to a sink or a listener over loopback.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <string>
#include <string_view>

#include "core/net/sockaddr.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::smtp {

class SinkClient {
 public:
  explicit SinkClient(const net::Endpoint& to)
      : socket_(::socket(to.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, 0)) {
    const timeval limit{60, 0};  // A lost reply fails the test instead of hanging it.
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const net::SockAddr address = net::to_sockaddr(to);
    BOOST_REQUIRE_EQUAL(::connect(socket_, address.get(), address.size), 0);
  }
  ~SinkClient() { ::close(socket_); }
  SinkClient(const SinkClient&) = delete;
  SinkClient& operator=(const SinkClient&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) BOOST_FAIL("sending to the sink");  // No macro otherwise: this may run on a thread of its own.
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // The next reply's last line, without CRLF; empty: the connection has ended.
  std::string reply() {
    for (;;) {
      const std::size_t end = received_.find("\r\n");
      if (end != std::string::npos) {
        const std::string line = received_.substr(0, end);
        received_.erase(0, end + 2);
        if (line.size() < 4 || line[3] != '-') return line;
        continue;
      }
      char buffer[65536];
      const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
      BOOST_REQUIRE(got >= 0);
      if (got == 0) return {};
      received_.append(buffer, static_cast<std::size_t>(got));
    }
  }

  std::string say(std::string_view command) {
    send(std::string(command) + "\r\n");
    return reply();
  }

  std::string code(std::string_view command) { return say(command).substr(0, 3); }

  void hello() {
    BOOST_REQUIRE_EQUAL(reply().substr(0, 3), "220");
    BOOST_REQUIRE_EQUAL(code("EHLO client.example"), "250");
  }

  // The code of the reply to RCPT, or of that to the end of data where RCPT was accepted.
  std::string deliver(std::string_view recipient, std::string_view message = "Subject: x\r\n\r\nx\r\n") {
    if (const std::string mail = code("MAIL FROM:<a@s.example>"); mail != "250") return mail;
    if (const std::string rcpt = code("RCPT TO:<" + std::string(recipient) + ">"); rcpt != "250") {
      BOOST_REQUIRE_EQUAL(code("RSET"), "250");
      return rcpt;
    }
    BOOST_REQUIRE_EQUAL(code("DATA"), "354");
    return code(std::string(message) + ".");
  }

  bool ended() { return reply().empty(); }

  void end() { ::shutdown(socket_, SHUT_WR); }  // It has said all.

  static bool refused(const net::Endpoint& to) {  // Nobody listens there.
    const int socket = ::socket(to.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    const net::SockAddr address = net::to_sockaddr(to);
    const bool none = ::connect(socket, address.get(), address.size) != 0 && errno == ECONNREFUSED;
    ::close(socket);
    return none;
  }

  void reset_on_close() {  // RST instead of FIN.
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

 private:
  int socket_;
  std::string received_;
};

}  // namespace mailsbuddy::smtp

// Our client against our server, without I/O: what the one is given, the other reads.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "smtp/proto/server_session.h"

using namespace mailsbuddy;

namespace {

struct Heard {
  std::string user, password;
  std::string envid;
  smtp::DsnReturn ret = smtp::DsnReturn::kUnspecified;
  std::vector<std::string> orcpt;
  std::vector<std::uint8_t> notify;
  std::vector<Outcome> outcomes;
  Outcome closed;
  bool ready = false;
};

// Talks until neither has anything to say; at kReady the transaction begins, if there is one.
Heard talk(smtp::SessionOptions options, const smtp::Transaction* transaction, std::string_view auth_reply = "235 Ok") {
  const smtp::ServerOptions offered{.host = "mx", .dsn = true, .auth = smtp::AuthOffer::kAlways};
  smtp::ServerSession server(offered);
  smtp::ClientSession client(std::move(options));
  const TimePoint now{std::chrono::hours(24)};
  Heard heard;
  server.greet();
  client.connected(now);
  for (bool more = true; more;) {
    more = !server.output().empty();
    client.feed(server.output(), now);
    server.consume(server.output().size());
    while (const auto event = client.poll()) {
      using Kind = smtp::SessionEvent::Kind;
      if (event->kind == Kind::kRecipient) heard.outcomes.push_back(event->outcome);
      if (event->kind == Kind::kClosed) heard.closed = event->outcome;
      if (event->kind == Kind::kReady && !std::exchange(heard.ready, true) && transaction != nullptr)
        client.begin(*transaction, now);
    }
    while (!client.output().empty()) {
      more = true;
      server.feed(client.output());
      while (const auto event = server.poll()) {
        using Kind = smtp::ServerEvent::Kind;
        if (event->kind == Kind::kAuth) {
          heard.user = server.credentials().user();
          heard.password = server.credentials().password();
        } else if (event->kind == Kind::kMail) {
          heard.envid = server.mail_parameters().envid;
          heard.ret = server.mail_parameters().ret;
        } else if (event->kind == Kind::kRcpt) {
          heard.orcpt.push_back(server.rcpt_parameters().orcpt);
          heard.notify.push_back(server.rcpt_parameters().notify);
        }
        if (server.answer_owed()) server.answer(event->kind == Kind::kAuth ? auth_reply : "250 2.0.0 Ok");
      }
      client.consume(client.output().size(), now);
    }
  }
  return heard;
}

std::string printable(Random& random, std::size_t size) {
  std::string text;
  for (; size > 0; --size) text.push_back(static_cast<char>(0x20 + random.below(0x5f)));
  return text;
}

}  // namespace

// Of any length: what is too long for one command comes after a challenge.
BOOST_AUTO_TEST_CASE(logins_arrive) {
  Random random(2026);
  for (std::size_t size = 1; size <= 255; size += 1 + random.below(9)) {
    std::string password;
    for (std::size_t i = 0; i < size; ++i) password.push_back(static_cast<char>(1 + random.below(255)));
    const smtp::Login login{.user = printable(random, size), .password = password, .in_clear = true};
    const Heard heard = talk({.ehlo_name = "me", .tls = smtp::TlsPolicy::kNone, .login = login}, nullptr);
    BOOST_TEST(heard.ready);
    BOOST_TEST(heard.user == login.user);
    BOOST_TEST(heard.password == login.password);
  }
}

BOOST_AUTO_TEST_CASE(a_refused_login_is_the_server_s_word_and_nothing_of_ours) {
  const smtp::Login login{.user = "ann", .password = "s3cret-word", .in_clear = true};
  const Heard heard = talk({.ehlo_name = "me", .tls = smtp::TlsPolicy::kNone, .login = login}, nullptr, "535 5.7.8 No");
  BOOST_TEST(!heard.ready);
  BOOST_TEST(heard.user == "ann");
  BOOST_TEST(heard.closed.str() == "auth: 535 5.7.8 No");
}

BOOST_AUTO_TEST_CASE(dsn_parameters_arrive) {
  Random random(2026);
  const std::string_view to[] = {"a@b.example", "b@b.example"};
  for (int round = 0; round < 500; ++round) {
    const std::string envid = printable(random, random.below(33));
    const std::string orcpt = "rfc822;" + printable(random, 1 + random.below(160));
    const smtp::RecipientDsn dsn[] = {{.notify = static_cast<std::uint8_t>(random.below(8) << 1U), .orcpt = orcpt},
                                      {.notify = smtp::kNotifyNever}};
    const auto ret = static_cast<smtp::DsnReturn>(random.below(3));
    const smtp::Transaction transaction{.mail_from = "me@a.example",
                                        .rcpt_to = to,
                                        .data = "Hi\r\n.\r\n",
                                        .message_bytes = 4,
                                        .ret = ret,
                                        .envid = envid,
                                        .dsn = dsn};
    const Heard heard = talk({.ehlo_name = "me", .tls = smtp::TlsPolicy::kNone}, &transaction);
    BOOST_TEST_CONTEXT("envid '" << envid << "', orcpt '" << orcpt << "'") {
      BOOST_TEST(heard.envid == envid);
      BOOST_TEST((heard.ret == ret));
      BOOST_REQUIRE(heard.orcpt.size() == 2U);
      BOOST_TEST(heard.orcpt[0] == orcpt);
      BOOST_TEST(heard.orcpt[1] == "");
      BOOST_TEST(heard.notify[0] == dsn[0].notify);
      BOOST_TEST(heard.notify[1] == dsn[1].notify);
      BOOST_REQUIRE(heard.outcomes.size() == 2U);
      BOOST_TEST(heard.outcomes[0].delivered());
    }
  }
}

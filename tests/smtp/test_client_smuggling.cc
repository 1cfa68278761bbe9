// Whatever is in a message, one message arrives: our client against our server at its strictest, by DATA and by BDAT.
#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "smtp/proto/server_session.h"

using namespace mailsbuddy;

namespace {

// The public forms: an end of data that some servers see and others do not, and commands behind it.
constexpr std::string_view kForms[] = {
    "\n.\n",      "\n.\r\n",   "\r.\r",     "\r\n.\r",     "\r\n.\n", "\r.\r\n",        "\r\n\x00.\r\n",
    "\r\n..\r\n", "\r\n.\r\n", "\n\n.\r\n", "\r\n.\r\r\n", "\n.\r",   "\r\n.\r\n.\r\n", ".\r\n",
    ".\n",        ".\r",       "\r",        "\n",          "\r\n.",   "\r\r\n",         "\n\r\n.\n\r\n",
};
constexpr std::string_view kCommands =
    "MAIL FROM:<evil@a.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\nSmuggled\r\n.\r\n";

// Every CR, LF and CRLF a line end; the last line has one. What must arrive.
std::string lines_of(std::string_view message) {
  std::string out;
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] != '\r' && message[i] != '\n') {
      out += message[i];
      continue;
    }
    if (message[i] == '\r' && i + 1 < message.size() && message[i + 1] == '\n') ++i;
    out += "\r\n";
  }
  if (!out.empty() && !out.ends_with("\r\n")) out += "\r\n";
  return out;
}

struct Arrived {
  std::vector<std::string> messages;
  std::vector<std::string> senders;
  std::size_t delivered = 0;
  std::size_t errors = 0;
  std::string wire;  // All that the client sent.
};

class Both {
 public:
  explicit Both(int in_flight)
      : client_({.ehlo_name = "me", .tls = smtp::TlsPolicy::kNone, .messages_in_flight = in_flight}) {
    options_.host = "mx";
    options_.chunking = true;
    options_.bare_line_ends = false;
    server_.greet();
    client_.connected(now_);
  }

  Arrived send(const std::vector<std::string>& messages) {
    for (const std::string& message : messages) smtp::dot_stuff(message, wires_.emplace_back());
    messages_ = &messages;
    for (bool more = true; more;) {
      more = !server_.output().empty();
      client_.feed(server_.output(), now_);
      server_.consume(server_.output().size());
      while (client_.poll(event_)) on_client();
      while (!client_.output().empty()) {
        more = true;
        arrived_.wire += client_.output();
        server_.feed(client_.output());
        while (const auto event = server_.poll()) on_server(*event);
        client_.consume(client_.output().size(), now_);
      }
    }
    arrived_.errors = server_.protocol_errors();
    return arrived_;
  }

 private:
  void on_client() {
    using Kind = smtp::SessionEvent::Kind;
    if (event_.kind == Kind::kRecipient && event_.outcome.delivered()) ++arrived_.delivered;
    while (next_ < wires_.size() && (client_.room() || event_.kind == Kind::kReady)) {
      event_.kind = Kind::kRecipient;
      client_.begin({.mail_from = "me@a.example",
                     .rcpt_to = {&to_, 1},
                     .data = wires_[next_],
                     .message_bytes = (*messages_)[next_].size()},
                    now_);
      ++next_;
    }
  }

  void on_server(const smtp::ServerEvent& event) {
    using Kind = smtp::ServerEvent::Kind;
    if (event.kind == Kind::kMail) arrived_.senders.emplace_back(event.text);
    if (event.kind == Kind::kContent) content_ += event.text;
    if (event.kind == Kind::kReset) content_.clear();
    if (event.kind == Kind::kMessage) arrived_.messages.push_back(std::exchange(content_, {}));
    if (server_.answer_owed()) server_.answer("250 2.0.0 Ok");
  }

  TimePoint now_{std::chrono::hours(24)};
  smtp::ServerOptions options_;
  smtp::ServerSession server_{options_};
  smtp::ClientSession client_;
  smtp::SessionEvent event_;
  const std::vector<std::string>* messages_ = nullptr;
  std::vector<std::string> wires_;
  std::size_t next_ = 0;
  std::string_view to_ = "you@b.example";
  std::string content_;
  Arrived arrived_;
};

bool has_bare_line_end(std::string_view octets) {
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (octets[i] == '\n' && (i == 0 || octets[i - 1] != '\r')) return true;
    if (octets[i] == '\r' && (i + 1 == octets.size() || octets[i + 1] != '\n')) return true;
  }
  return false;
}

void check(const std::vector<std::string>& messages) {
  for (const int in_flight : {1, 2, 4}) {
    const Arrived arrived = Both(in_flight).send(messages);
    BOOST_TEST(!has_bare_line_end(arrived.wire));
    BOOST_TEST(arrived.delivered == messages.size());
    BOOST_TEST(arrived.errors == 0U);
    BOOST_TEST(arrived.senders == std::vector<std::string>(messages.size(), "me@a.example"),
               boost::test_tools::per_element());
    BOOST_REQUIRE(arrived.messages.size() == messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) BOOST_TEST(arrived.messages[i] == lines_of(messages[i]));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_public_forms) {
  for (const std::string_view form : kForms) {
    for (const std::string_view before : {"", "Subject: x\r\n\r\nHello", "Subject: x\r\n\r\nHello\r\n"}) {
      const std::string message = std::string(before) + std::string(form) + std::string(kCommands);
      BOOST_TEST_CONTEXT("form " << &form - kForms << " after " << before.size()) {
        check({message, "Second\r\n", message});
      }
    }
  }
}

// 3,000 messages out of what ends lines and messages, three at a time; every third is clean, so that BDAT is used.
BOOST_AUTO_TEST_CASE(random_octets) {
  Random random(2026);
  const auto piece = [&random]() -> std::string {
    switch (random.below(4)) {
      case 0:
        return std::string(kForms[random.below(std::size(kForms))]);
      case 1:
        return std::string(kCommands);
      case 2:
        return std::string(1, static_cast<char>(random.below(256)));
      default:
        return std::string("\r\n.a").substr(random.below(4), 1);
    }
  };
  for (int round = 0; round < 1'000; ++round) {
    std::vector<std::string> messages(3);
    for (std::size_t i = 0; i < 2; ++i) {
      for (std::uint64_t pieces = random.below(12); pieces > 0; --pieces) messages[i] += piece();
    }
    messages[2] = "Clean\r\n";
    BOOST_TEST_CONTEXT("round " << round) { check(messages); }
  }
}

BOOST_AUTO_TEST_CASE(clean_messages_go_by_bdat) {
  const Arrived arrived = Both(4).send({"One\r\n", "Two\r\n", ".Three\r\n"});
  BOOST_TEST(arrived.wire.find("BDAT 5 LAST\r\nOne\r\n") != std::string::npos);
  BOOST_TEST(arrived.wire.find("BDAT 5 LAST\r\nTwo\r\n") != std::string::npos);
  BOOST_TEST(arrived.wire.find("DATA\r\n..Three\r\n.\r\n") != std::string::npos);
}

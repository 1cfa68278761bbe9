// The listener over loopback sockets: what only sockets and threads can show.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mailsbuddy/smtp.h"
#include "tests/smtp/sink_client.h"

namespace mailsbuddy::smtp {
namespace {

using namespace std::string_literals;

// Answers on a thread of its own, several at once, as a log that syncs once for many does.
class LateHandler final : public ListenHandler {
 public:
  LateHandler() : thread_([this] { run(); }) {}
  ~LateHandler() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void authenticate(const Credentials& credentials, Authenticated done) override {
    if (secrets_equal(credentials.password, "secret")) return done(Identity{.user = std::string(credentials.user)});
    done(std::nullopt);
  }
  void on_message(Submission submission, Answered done) override {
    const std::lock_guard lock(mutex_);
    bytes += submission.data.size();
    owed_.push_back(std::move(done));
    if (!hold) wake_.notify_one();
  }

  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> hold{false};  // Answer nothing.

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      wake_.wait(lock, [this] { return stopping_ || (!owed_.empty() && !hold); });
      std::deque<Answered> batch;
      batch.swap(owed_);
      lock.unlock();
      if (!stopping_)
        for (Answered& each : batch) each({.code = 250, .enhanced = EnhancedCode{2, 6, 0}, .text = "Durable"});
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Answered> owed_;
  bool stopping_ = false;
  std::thread thread_;
};

net::Endpoint loopback() { return {*net::IpAddress::parse("127.0.0.1"), 0}; }

ListenOptions one_endpoint() {
  return {.endpoints = {{.endpoint = loopback()}}, .host = "mx.example", .auth_in_clear = true};
}

std::unique_ptr<Listener> start(ListenOptions options, std::shared_ptr<ListenHandler> handler) {
  auto listener = Listener::start(std::move(options), std::move(handler));
  if (!listener) BOOST_FAIL(listener.error().detail);
  return std::move(*listener);
}

void log_in(SinkClient& client) {
  client.hello();
  BOOST_REQUIRE_EQUAL(client.code("AUTH PLAIN AGFubgBzZWNyZXQ="), "235");
}

constexpr std::string_view kEnvelope = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

}  // namespace

BOOST_AUTO_TEST_CASE(many_clients_on_two_threads) {
  constexpr int kClients = 8, kMessages = 50;
  const auto handler = std::make_shared<LateHandler>();
  ListenOptions options = one_endpoint();
  options.threads = 2;
  const auto listener = start(std::move(options), handler);
  std::vector<std::unique_ptr<SinkClient>> clients;  // Each with a message on its way at the same time.
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<SinkClient>(listener->endpoints()[0]));
    log_in(*clients.back());
  }
  int taken = 0;
  for (int m = 0; m < kMessages; ++m) {
    for (const auto& client : clients) client->send(std::string(kEnvelope) + "DATA\r\n");
    for (const auto& client : clients)
      for (const char* code : {"250", "250", "354"}) BOOST_TEST(client->reply().substr(0, 3) == code);
    for (const auto& client : clients) client->send("x: y\r\n.\r\n");
    for (const auto& client : clients) taken += client->reply() == "250 2.6.0 Durable" ? 1 : 0;
  }
  BOOST_TEST(taken == kClients * kMessages);
  BOOST_TEST(listener->counts().messages == std::uint64_t{kClients * kMessages});
  BOOST_TEST(listener->counts().authenticated == std::uint64_t{kClients});
}

BOOST_AUTO_TEST_CASE(a_window_of_chunked_messages_in_one_write) {
  const auto handler = std::make_shared<LateHandler>();
  const auto listener = start(one_endpoint(), handler);
  SinkClient client(listener->endpoints()[0]);
  log_in(client);
  std::string window;
  for (int i = 0; i < 200; ++i) window += std::string(kEnvelope) + "BDAT 6 LAST\r\nx: y\r\n";
  client.send(window + "QUIT\r\n");
  for (int i = 0; i < 200; ++i) {
    BOOST_TEST(client.reply() == "250 2.1.0 Ok");
    BOOST_TEST(client.reply() == "250 2.1.5 Ok");
    BOOST_TEST(client.reply() == "250 2.6.0 Durable");
  }
  BOOST_TEST(client.reply() == "221 2.0.0 Bye");
  BOOST_TEST(client.ended());
}

BOOST_AUTO_TEST_CASE(a_reset_at_each_stage_leaves_nothing_behind) {
  const auto handler = std::make_shared<LateHandler>();
  const auto listener = start(one_endpoint(), handler);
  const std::string in = "EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n";
  handler->hold = true;
  for (const std::string& said :
       {std::string(), "EHLO"s, "EHLO c\r\nAUTH LOGIN\r\n"s, in, in + "MAIL FROM:<a@b.example>\r\n",
        in + std::string(kEnvelope) + "DATA\r\nhalf", in + std::string(kEnvelope) + "BDAT 100\r\nhalf",
        in + std::string(kEnvelope) + "DATA\r\nx: y\r\n.\r\n"}) {
    SinkClient client(listener->endpoints()[0]);
    BOOST_REQUIRE_EQUAL(client.reply(), "220 mx.example ESMTP");
    client.send(said);
    client.reset_on_close();
  }
  handler->hold = false;
  SinkClient client(listener->endpoints()[0]);
  log_in(client);
  BOOST_TEST(client.deliver("c@d.example") == "250");  // Wakes the handler for those before, too.
  BOOST_TEST(client.code("QUIT") == "221");
  BOOST_TEST(client.ended());
}

BOOST_AUTO_TEST_CASE(a_message_is_not_answered_before_its_handler_has) {
  const auto handler = std::make_shared<LateHandler>();
  handler->hold = true;
  auto listener = start(one_endpoint(), handler);
  SinkClient client(listener->endpoints()[0]);
  log_in(client);
  client.send(std::string(kEnvelope) + "DATA\r\n");
  for (int i = 0; i < 3; ++i) client.reply();
  client.send("x: y\r\n.\r\n");
  SinkClient other(listener->endpoints()[0]);
  log_in(other);  // The loop has had turns enough by now.
  BOOST_TEST(listener->counts().messages == 0U);
  listener.reset();  // Owed answers and all.
  BOOST_TEST(client.ended());
}

BOOST_AUTO_TEST_CASE(draining_cuts_nobody_off) {
  const auto handler = std::make_shared<LateHandler>();
  ListenOptions options = one_endpoint();
  options.threads = 2;
  const auto listener = start(std::move(options), handler);
  const net::Endpoint endpoint = listener->endpoints()[0];
  SinkClient idle(endpoint), writing(endpoint), waiting(endpoint);
  for (SinkClient* client : {&idle, &writing, &waiting}) log_in(*client);
  for (SinkClient* client : {&writing, &waiting}) {
    client->send(std::string(kEnvelope) + "DATA\r\n");
    for (int i = 0; i < 3; ++i) client->reply();
  }
  handler->hold = true;
  waiting.send("x: y\r\n.\r\n");
  writing.send("x: y\r\n");
  BOOST_TEST(!listener->drain(std::chrono::milliseconds(0)));
  BOOST_TEST(idle.reply() == "421 4.3.2 Shutting down, try again later");
  BOOST_TEST(idle.ended());
  handler->hold = false;
  writing.send(".\r\n");  // Wakes the handler for both.
  for (SinkClient* client : {&writing, &waiting}) {
    BOOST_TEST(client->reply() == "250 2.6.0 Durable");
    BOOST_TEST(client->reply() == "421 4.3.2 Shutting down, try again later");
    BOOST_TEST(client->ended());
  }
  for (SinkClient* client : {&idle, &writing, &waiting}) client->end();
  BOOST_TEST(listener->drain(std::chrono::minutes(1)));
  BOOST_TEST(listener->counts().messages == 2U);
  BOOST_TEST(listener->counts().open == 0U);
  BOOST_TEST(SinkClient::refused(endpoint));
  BOOST_TEST(listener->drain(std::chrono::milliseconds(0)));  // Once more is nothing.
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_is_not_read_from) {
  constexpr int kCommands = 300'000;
  const auto listener = start(one_endpoint(), std::make_shared<LateHandler>());
  SinkClient client(listener->endpoints()[0]);
  client.hello();
  std::thread writer([&] {
    std::string commands;
    for (int i = 0; i < kCommands; ++i) commands += "NOOP\r\n";
    client.send(commands);
  });
  int replies = 0;
  while (replies < kCommands && client.reply() == "250 2.0.0 Ok") ++replies;
  writer.join();
  BOOST_TEST(replies == kCommands);
}

BOOST_AUTO_TEST_CASE(a_proxy_header_names_the_client) {
  ListenOptions options = one_endpoint();
  options.endpoints[0].proxy = true;
  options.trusted = {"127.0.0.0/8"};
  const auto listener = start(std::move(options), std::make_shared<LateHandler>());
  SinkClient client(listener->endpoints()[0]);
  client.send("PROXY TCP4 203.0.113.5 127.0.0.1 1 25\r\n");
  log_in(client);
  BOOST_TEST(client.deliver("c@d.example") == "250");
  SinkClient direct(listener->endpoints()[0]);
  direct.send("EHLO c\r\n");
  BOOST_TEST(direct.ended());
}

BOOST_AUTO_TEST_CASE(a_handshake_that_is_none) {
  ListenOptions options = one_endpoint();
  options.endpoints.push_back({.endpoint = loopback(), .tls = ListenTls::kImplicit});
  const auto listener = start(std::move(options), std::make_shared<LateHandler>());
  SinkClient implicit(listener->endpoints()[1]);
  implicit.send("EHLO c\r\nMAIL FROM:<a@b.example>\r\n");
  while (!implicit.ended()) {  // An alert, perhaps.
  }
  SinkClient client(listener->endpoints()[0]);
  client.hello();
  BOOST_TEST(client.code("STARTTLS") == "220");
  client.send("EHLO c\r\n");
  while (!client.ended()) {
  }
  BOOST_TEST(listener->counts().protocol_errors == 2U);
  BOOST_TEST(listener->counts().tls_handshakes == 0U);
}

BOOST_AUTO_TEST_CASE(start_names_what_is_wrong) {
  const auto taken = start(one_endpoint(), std::make_shared<LateHandler>());
  ListenOptions options = one_endpoint();
  options.endpoints[0].endpoint = taken->endpoints()[0];
  const auto second = Listener::start(std::move(options), std::make_shared<LateHandler>());
  BOOST_REQUIRE(!second.has_value());
  BOOST_TEST((second.error().code == ErrorCode::kIo));
  options = one_endpoint();
  options.tls_certificate_pem = "not PEM";
  const auto third = Listener::start(std::move(options), std::make_shared<LateHandler>());
  BOOST_REQUIRE(!third.has_value());
  BOOST_TEST(third.error().detail.starts_with("listener: cannot read the TLS certificate"));
}

}  // namespace mailsbuddy::smtp

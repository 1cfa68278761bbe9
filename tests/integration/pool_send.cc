// pool_send HOST PORT TLS IN_FLIGHT CONNECTIONS < MESSAGES - sends messages through one smtp::Pool, as they are.
//
// TLS: none, opportunistic or required. MESSAGES: a JSON object a line, {"from", "to": [...], "file", "smtputf8"};
// `file` holds the message, any octets. Prints a JSON object a line for each recipient: {"message", "recipient",
// "outcome", "code", "text", "stage", "cause"}. What the engine adds, retries and patience, is not there: each message
// is tried once.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "mailsbuddy/smtp.h"

namespace {

using namespace mailsbuddy;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "pool_send: %s\n", why.c_str());
  std::_Exit(2);  // On whatever thread.
}

struct Mail {
  std::size_t number = 0;
  std::string from;
  std::vector<std::string> to;
  std::vector<std::string_view> recipients;  // Views of `to`.
  std::string data;
  std::uint64_t bytes = 0;
  bool eight_bit = false, smtputf8 = false;
};

std::unique_ptr<Mail> read_mail(const std::string& line, std::size_t number) {
  const auto given = nlohmann::json::parse(line);
  auto mail = std::make_unique<Mail>();
  mail->number = number;
  mail->from = given.at("from");
  mail->to = given.at("to").get<std::vector<std::string>>();
  mail->recipients.assign(mail->to.begin(), mail->to.end());
  mail->smtputf8 = given.value("smtputf8", false);
  std::ifstream file(given.at("file").get<std::string>(), std::ios::binary);
  if (!file) fail("cannot read " + given.at("file").get<std::string>());
  const std::string raw{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  mail->eight_bit = smtp::dot_stuff(raw, mail->data);
  mail->bytes = mail->data.size() - std::string_view(".\r\n").size() - mail->data.starts_with("..");
  for (std::size_t at = 0; (at = mail->data.find("\r\n..", at)) != std::string::npos; ++at) --mail->bytes;
  return mail;
}

// Threads: the loop's, but for waiting().
class Sender final : public smtp::PoolHandler {
 public:
  explicit Sender(std::deque<std::unique_ptr<Mail>> mails) : waiting_(std::move(mails)), left_(waiting_.size()) {}

  std::future<void> done() { return done_.get_future(); }
  void begin(smtp::Pool& pool) {
    while (pool.can_open()) pool.open();
  }

  void on_ready(smtp::Pool& pool, smtp::ConnectionId id) override {
    if (waiting_.empty()) return;
    send(pool, id);
    follow(pool, id);
  }
  void on_sending(smtp::Pool& pool, smtp::ConnectionId id) override { follow(pool, id); }
  void on_room(smtp::Pool& pool, smtp::ConnectionId id) override { follow(pool, id); }

  void on_recipient(smtp::Pool&, smtp::ConnectionId id, std::size_t recipient, const Outcome& outcome) override {
    const Mail& mail = *carried_.at(id).front();
    const nlohmann::json line = {{"message", mail.number},
                                 {"recipient", mail.to.at(recipient)},
                                 {"outcome", outcome.delivered() ? "delivered"
                                             : outcome.unknown() ? "unknown"
                                                                 : "failed"},
                                 {"code", outcome.reply.code},
                                 {"text", outcome.reply.text},
                                 {"stage", to_string(outcome.stage)},
                                 {"cause", to_string(outcome.cause)}};
    std::cout << line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
  }
  void on_transaction_done(smtp::Pool&, smtp::ConnectionId id) override {
    carried_.at(id).pop_front();
    if (--left_ == 0) done_.set_value();
  }
  void on_closed(smtp::Pool& pool, smtp::ConnectionId, const Outcome&) override {
    if (!waiting_.empty()) pool.open();
  }
  void on_open_failed(smtp::Pool&, smtp::ConnectionId, const Outcome& reason) override { fail(reason.str()); }

 private:
  void follow(smtp::Pool& pool, smtp::ConnectionId id) {
    while (pool.room(id) && !waiting_.empty()) send(pool, id);
  }
  void send(smtp::Pool& pool, smtp::ConnectionId id) {
    auto& carried = carried_[id];
    carried.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    const Mail& mail = *carried.back();
    pool.send(id, {.mail_from = mail.from,
                   .rcpt_to = mail.recipients,
                   .data = mail.data,
                   .message_bytes = mail.bytes,
                   .eight_bit = mail.eight_bit,
                   .smtputf8 = mail.smtputf8});
  }

  std::deque<std::unique_ptr<Mail>> waiting_;
  std::map<smtp::ConnectionId, std::deque<std::unique_ptr<Mail>>> carried_;
  std::size_t left_;
  std::promise<void> done_;
};

smtp::PoolOptions options(char** argv) {
  const std::map<std::string, smtp::TlsPolicy> policies = {{"none", smtp::TlsPolicy::kNone},
                                                           {"opportunistic", smtp::TlsPolicy::kOpportunistic},
                                                           {"required", smtp::TlsPolicy::kRequired}};
  const auto policy = policies.find(argv[3]);
  if (policy == policies.end()) fail("TLS is none, opportunistic or required");
  return {
      .session = {.ehlo_name = "mx1.brand.example", .tls = policy->second, .messages_in_flight = std::atoi(argv[4])},
      .port = static_cast<std::uint16_t>(std::atoi(argv[2])),
      .connections_max = std::atoi(argv[5]),
      .messages_per_connection = 100,  // As the engine's. OpenSMTPD refuses the hundred and first.
      .targets = smtp::TargetRules::make({.allowed = {"127.0.0.0/8"}}).value()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) fail("HOST PORT TLS IN_FLIGHT CONNECTIONS");
  std::deque<std::unique_ptr<Mail>> mails;
  for (std::string line; std::getline(std::cin, line);) mails.push_back(read_mail(line, mails.size()));
  if (mails.empty()) fail("no messages");
  auto runtime = net::make_runtime({.workers = 1, .cpu_threads = 1});
  if (!runtime) fail(runtime.error().detail);
  Sender sender(std::move(mails));
  auto done = sender.done();
  Random random(1);
  std::unique_ptr<smtp::Pool> pool;
  (*runtime)->loop(0).post([&] {
    pool = std::make_unique<smtp::Pool>(
        (*runtime)->loop(0), (*runtime)->transport(0), (*runtime)->resolver(0), options(argv),
        std::vector<smtp::RouteHost>{{10, std::string("[") + argv[1] + "]"}}, sender, random);
    sender.begin(*pool);
  });
  done.wait();
  std::promise<void> gone;
  (*runtime)->loop(0).post([&] {
    pool.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  (*runtime)->stop();
  std::cout.flush();
}

// listen_play.h - a ListenSession on a fake clock, with a handler that answers when the test says so.
#pragma once

#include <boost/test/unit_test.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/fix_ups.h"
#include "smtp/listen_session.h"

namespace mailsbuddy::smtp {

inline net::Endpoint endpoint(std::string_view text) { return *net::Endpoint::parse(text, 25); }

// Tasks run when the test says so, as those of a loop do in its next turn.
class TaskQueue final : public Executor {
 public:
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  void run() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }

 private:
  std::deque<Task> tasks_;
};

class PlayedHandler final : public ListenHandler {
 public:
  void authenticate(const Credentials& credentials, Authenticated done) override {
    log += "auth " + std::string(credentials.user) + " " + std::string(credentials.password) + "\n";
    if (silent) return authentications.push_back(std::move(done));
    if (credentials.password != "secret") return done(std::nullopt);
    done(Identity{.user = std::string(credentials.user), .account = "acme", .senders = senders});
  }
  void on_message(Submission submission, Answered done) override {
    submissions.push_back(std::move(submission));
    if (silent) return answers.push_back(std::move(done));
    done(reply);
  }
  Reply on_recipient(const Identity&, const Address& address, bool) override {
    if (address.local() == "nobody") return {.code = 550, .enhanced = EnhancedCode{5, 1, 1}, .text = "No such user"};
    if (address.local() == "somebody") return {};
    return {.code = 250, .enhanced = EnhancedCode{2, 1, 5}, .text = "Ok"};
  }
  void find_recipient(const Address& address, Answered done) override {
    log += "find " + address.str() + "\n";
    answers.push_back(std::move(done));
  }
  Pressure pressure() override { return pressing; }

  bool silent = false;  // Answers wait in the two queues.
  Reply reply{.code = 250, .enhanced = EnhancedCode{2, 0, 0}, .text = "Taken"};
  Pressure pressing = Pressure::kNone;
  std::vector<std::string> senders;
  std::string log;
  std::vector<Submission> submissions;
  std::deque<Authenticated> authentications;
  std::deque<Answered> answers;
};

inline ListenOptions play_options() {
  ListenOptions options{
      .endpoints = {{.endpoint = endpoint("127.0.0.1:0")},
                    {.endpoint = endpoint("127.0.0.1:0"), .inbound = true},
                    {.endpoint = endpoint("127.0.0.1:0"), .proxy = true},
                    {.endpoint = endpoint("127.0.0.1:0"), .tls = ListenTls::kImplicit},
                    {.endpoint = endpoint("127.0.0.1:0"), .tls = ListenTls::kImplicit, .proxy = true}},
      .host = "mx.example",
      .auth_in_clear = true,
      .trusted = {"198.51.100.0/24"},
      .inbound_domains = {"bounce.example"}};
  options.fix_ups = {.add_received = false, .add_date = false, .add_message_id = false};
  return options;
}
enum PlayEndpoint : std::size_t { kSubmissionPort, kInboundPort, kProxyPort, kTlsPort, kTlsProxyPort };

// Everything but the connections.
struct PlayStage {
  explicit PlayStage(ListenOptions options = play_options()) {
    auto made = ListenShared::make(std::move(options), handler, 1);
    if (!made) BOOST_FAIL(made.error().detail);
    shared = *std::move(made);
  }
  ~PlayStage() { home->close(); }

  std::shared_ptr<PlayedHandler> handler = std::make_shared<PlayedHandler>();
  std::unique_ptr<ListenShared> shared;
  TaskQueue loop;
  std::shared_ptr<ListenHome> home = std::make_shared<ListenHome>(loop);
  Random random{1};
  TimePoint now{std::chrono::seconds(1'800'000'000)};
};

class Caller {
 public:
  explicit Caller(PlayStage& stage, std::size_t port = kSubmissionPort, std::string_view peer = "192.0.2.1:1234")
      : stage_(stage),
        session_(std::make_unique<ListenSession>(
            *stage.shared,
            ListenSession::Connection{port, endpoint(peer), stage.home, [] {}, [&stage] { return stage.now; }},
            stage.random)) {
    session_->begin(stage.now);
  }

  // What the server says to it, after what it has said before. While an answer is owed nothing is fed, as on a socket.
  std::string say(std::string_view bytes) {
    if (!bytes.empty()) session_->feed(bytes, stage_.now);
    return heard();
  }
  std::string heard() {
    stage_.loop.run();
    std::string output(session_->output());
    session_->consume(output.size());
    return output;
  }
  // Lets time pass to just before the deadline, when nothing may happen, and on to it.
  std::string wait() {
    const TimePoint deadline = session_->deadline();
    BOOST_REQUIRE((deadline != TimePoint::max()));
    stage_.now = deadline - std::chrono::nanoseconds(1);
    session_->on_timeout(stage_.now);
    BOOST_TEST(heard() == "");
    stage_.now = deadline;
    session_->on_timeout(stage_.now);
    return heard();
  }
  void log_in() {
    say("EHLO c\r\n");
    BOOST_REQUIRE_EQUAL(say("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"), "235 2.7.0 Authenticated\r\n");
  }
  void leave() { session_.reset(); }
  ListenSession& session() { return *session_; }

 private:
  PlayStage& stage_;
  std::unique_ptr<ListenSession> session_;
};

}  // namespace mailsbuddy::smtp

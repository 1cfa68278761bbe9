// fakes.h - a loop, a network and a DNS for one thread, moved by hand: nothing happens but what the test does.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/timer_wheel.h"
#include "mailsbuddy/net.h"

namespace mailsbuddy::test {

class FakeLoop final : public net::Loop {
 public:
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  TimePoint now() const noexcept override { return now_; }
  TimerWheel& timers() noexcept override { return wheel_; }
  bool is_owner() const noexcept override { return true; }

  // Runs what is posted and due until nothing is.
  void run() {
    do {
      while (!tasks_.empty()) {
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
      }
      wheel_.advance(now_);
    } while (!tasks_.empty() || wheel_.next() <= now_);
  }

  void advance(Duration by) {
    const TimePoint end = now_ + by;
    run();
    while (wheel_.next() <= end) {
      now_ = std::max(now_, wheel_.next());
      run();
    }
    now_ = end;
    run();
  }

 private:
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  std::deque<Task> tasks_;
  TimerWheel wheel_{now_};
};

// The test's end of one connection. It stays when the Stream has been destroyed.
struct FakePeer {
  net::IpAddress local;
  net::Endpoint remote;
  net::StreamHandler* handler = nullptr;  // Null: the Stream was destroyed.
  std::string received;
  std::size_t room = SIZE_MAX;  // How much write() still takes.
  bool handshaking = false;
  std::string server_name;

  bool open() const { return handler != nullptr; }
  void connected() { handler->on_connected(); }
  void says(std::string_view bytes) { handler->on_data(bytes); }
  void makes_room(std::size_t bytes) {
    room = bytes;
    handler->on_writable();
  }
  void shakes_hands() {
    handshaking = false;
    handler->on_tls({.version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384", .resumed = false, .verified = false});
  }
  void closes(std::string why, ErrorCode code = ErrorCode::kClosed) { handler->on_closed({code, std::move(why)}); }
  std::string heard() { return std::exchange(received, {}); }
};

class FakeTransport final : public net::Transport {
 public:
  std::unique_ptr<net::Stream> connect(const net::IpAddress& local, const net::Endpoint& remote,
                                       net::StreamHandler& handler) override {
    peers.push_back(std::make_shared<FakePeer>());
    peers.back()->local = local;
    peers.back()->remote = remote;
    peers.back()->handler = &handler;
    return std::make_unique<FakeStream>(peers.back());
  }

  // The connection made last.
  FakePeer& last() {
    BOOST_REQUIRE(!peers.empty());
    return *peers.back();
  }

  std::vector<std::shared_ptr<FakePeer>> peers;

 private:
  class FakeStream final : public net::Stream {
   public:
    explicit FakeStream(std::shared_ptr<FakePeer> peer) : peer_(std::move(peer)) {}
    ~FakeStream() override { peer_->handler = nullptr; }
    std::size_t write(std::string_view bytes) override {
      const std::size_t count = std::min(bytes.size(), peer_->room);
      peer_->received.append(bytes.substr(0, count));
      if (peer_->room != SIZE_MAX) peer_->room -= count;
      return count;
    }
    void start_tls(const net::TlsOptions& options) override {
      peer_->handshaking = true;
      peer_->server_name = options.server_name;
    }
    net::Endpoint remote() const override { return peer_->remote; }

   private:
    std::shared_ptr<FakePeer> peer_;
  };
};

// What is not in the maps does not exist.
class FakeResolver final : public net::Resolver {
 public:
  explicit FakeResolver(net::Loop& loop) : loop_(loop) {}

  void mx(std::string_view domain, Callback<net::MxRecord> done) override { answer(mxs, domain, std::move(done)); }
  void addresses(std::string_view host, Callback<net::IpAddress> done) override {
    answer(hosts, host, std::move(done));
  }
  void txt(std::string_view name, Callback<std::string> done) override { answer(texts, name, std::move(done)); }

  void host(const std::string& name, const std::vector<std::string>& literals) {
    auto& found = hosts[name];
    found.status = net::DnsStatus::kOk;
    for (const std::string& literal : literals) found.records.push_back(*net::IpAddress::parse(literal));
  }

  std::map<std::string, net::DnsAnswer<net::MxRecord>, std::less<>> mxs;
  std::map<std::string, net::DnsAnswer<net::IpAddress>, std::less<>> hosts;
  std::map<std::string, net::DnsAnswer<std::string>, std::less<>> texts;
  std::vector<std::string> asked;

 private:
  template <class Map, class Done>
  void answer(const Map& answers, std::string_view name, Done done) {
    asked.emplace_back(name);
    const auto found = answers.find(name);
    typename Map::mapped_type nothing;
    nothing.status = net::DnsStatus::kNxDomain;
    loop_.post(
        [reply = found == answers.end() ? nothing : found->second, done = std::move(done)]() mutable { done(reply); });
  }

  net::Loop& loop_;
};

}  // namespace mailsbuddy::test

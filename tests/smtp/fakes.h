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
  net::TlsOptions tls;  // Of start_tls().

  bool open() const { return handler != nullptr; }
  void connected() { handler->on_connected(); }
  void says(std::string_view bytes) { handler->on_data(bytes); }
  void makes_room(std::size_t bytes) {
    room = bytes;
    handler->on_writable();
  }
  void shakes_hands(net::TlsFailure failure = net::TlsFailure::kUntrusted) {  // kNone: verified.
    handshaking = false;
    handler->on_tls({.version = "TLSv1.3",
                     .cipher = "TLS_AES_256_GCM_SHA384",
                     .verified = failure == net::TlsFailure::kNone,
                     .failure = failure});
  }
  void refuses_hands(net::TlsFailure failure) {
    handler->on_tls_failed(failure);
    closes("certificate verify failed", ErrorCode::kIo);
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
      peer_->tls = options;
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

// What is not in the maps does not exist, and that is proved.
class FakeSecureResolver final : public net::SecureResolver {
 public:
  explicit FakeSecureResolver(net::Loop& loop) : loop_(loop) {}

  void mx(std::string_view domain, Callback<net::MxRecord> done) override { answer(mxs, domain, std::move(done)); }
  void addresses(std::string_view host, Callback<net::IpAddress> done) override {
    answer(hosts, host, std::move(done));
  }
  void tlsa(std::string_view name, Callback<net::TlsaRecord> done) override { answer(tlsas, name, std::move(done)); }
  void cname(std::string_view name, Callback<std::string> done) override { answer(cnames, name, std::move(done)); }
  void validates(UniqueFunction<void(bool)> done) override {
    ++probes;
    loop_.post([this, done = std::move(done)]() mutable { done(validating); });
  }

  template <class Record>
  static net::SecureAnswer<Record> is(std::vector<Record> records,
                                      net::DnsSecurity security = net::DnsSecurity::kSecure, std::string owner = {}) {
    const auto status = records.empty() ? net::DnsStatus::kNoData : net::DnsStatus::kOk;
    return {
        .answer = {.status = status, .records = std::move(records)}, .security = security, .owner = std::move(owner)};
  }
  template <class Record>
  static net::SecureAnswer<Record> fails(net::DnsSecurity security) {
    return {.answer = {.status = net::DnsStatus::kFailed, .detail = "SERVFAIL"}, .security = security};
  }

  std::map<std::string, net::SecureAnswer<net::MxRecord>, std::less<>> mxs;
  std::map<std::string, net::SecureAnswer<net::IpAddress>, std::less<>> hosts;
  std::map<std::string, net::SecureAnswer<net::TlsaRecord>, std::less<>> tlsas;
  std::map<std::string, net::SecureAnswer<std::string>, std::less<>> cnames;
  std::vector<std::string> asked;
  bool validating = true;
  int probes = 0;

 private:
  template <class Map, class Done>
  void answer(const Map& answers, std::string_view name, Done done) {
    asked.emplace_back(name);
    const auto found = answers.find(name);
    typename Map::mapped_type reply;
    reply.answer.status = net::DnsStatus::kNxDomain;
    reply.security = net::DnsSecurity::kSecure;
    if (found != answers.end()) reply = found->second;
    if (reply.owner.empty()) reply.owner = name;
    loop_.post([reply, done = std::move(done)]() mutable { done(reply); });
  }

  net::Loop& loop_;
};

// Answers when the test says so, or at once what is in `pages`, by host.
class FakeHttps final : public net::HttpsClient {
 public:
  explicit FakeHttps(net::Loop& loop) : loop_(loop) {}
  void send(net::HttpsRequest request, Done done) override {
    asked.push_back(request.host + request.path);
    const auto found = pages.find(request.host);
    if (found == pages.end()) {
      waiting.push_back(std::move(done));
      return;
    }
    loop_.post([reply = found->second, done = std::move(done)]() mutable { done(reply); });
  }

  std::map<std::string, net::HttpsReply, std::less<>> pages;
  std::vector<Done> waiting;
  std::vector<std::string> asked;

 private:
  net::Loop& loop_;
};

inline net::HttpsReply policy_page(std::string body) {
  return {.status = 200, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

}  // namespace mailsbuddy::test

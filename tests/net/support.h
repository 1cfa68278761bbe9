// support.h - a loop with a transport, a handler that remembers, and servers on plain blocking sockets.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/net/sockaddr.h"
#include "core/net/tcp.h"
#include "core/net/uv_loop.h"

namespace mailsbuddy::net::test {

// Nothing passes or fails by time; this ends a test that hangs.
inline constexpr std::chrono::seconds kHang{60};

// Boost.Test is for one thread at a time: while this waits others may use it.
template <class Future>
void wait_for(const Future& future) {
  if (future.wait_for(kHang) != std::future_status::ready) BOOST_FAIL("hangs");
}

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

// A loop on its own thread.
struct LoopThread {
  LoopThread() : loop(UvLoop::make(clock).value()) { BOOST_REQUIRE(loop->start()); }
  ~LoopThread() { loop->stop(); }

  // Runs `call` on the loop and returns what it returns.
  template <class Call>
  auto run(Call call) {
    std::packaged_task<decltype(call())()> task(std::move(call));
    auto result = task.get_future();
    loop->post([&task] { task(); });
    wait_for(result);
    return result.get();
  }

  SystemClock clock;
  std::unique_ptr<UvLoop> loop;
};

// One-shot signal between threads.
class Latch {
 public:
  void open() { promise_.set_value(); }
  void wait() { wait_for(future_); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
};

// Remembers what a stream reports; `on_*` hooks run on the loop's thread after it is remembered.
class Recorder final : public StreamHandler {
 public:
  std::unique_ptr<Stream> stream;  // The loop's thread's.
  std::function<void()> when_connected, when_data, when_writable, when_tls, when_closed;

  void on_connected() override {
    note([] {}, "connected", when_connected);
  }
  void on_data(std::string_view bytes) override {
    note([&] { data_ += bytes; }, "data", when_data);
  }
  void on_writable() override {
    note([] {}, "writable", when_writable);
  }
  void on_tls(const TlsInfo& info) override {
    note([&] { tls_ = info; }, "tls", when_tls);
  }
  void on_tls_failed(TlsFailure failure) override {
    const std::lock_guard lock(mutex_);
    tls_failure_ = failure;
  }
  void on_closed(const Error& reason) override {
    note([&] { reason_ = reason; }, "closed", when_closed);
  }

  void wait_for(std::string_view event) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, kHang, [&] { return count(event) > 0; });
    BOOST_REQUIRE_MESSAGE(came, "no " << event << " after: " << joined());
  }
  void wait_for_data(std::string_view wanted) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, kHang, [&] { return data_ == wanted; });
    BOOST_REQUIRE_MESSAGE(came, "not the data that was wanted after: " << joined());
  }
  std::string events() {  // Repeated ones once: "connected data closed".
    const std::lock_guard lock(mutex_);
    return joined();
  }
  std::string data() {
    const std::lock_guard lock(mutex_);
    return data_;
  }
  Error reason() {
    const std::lock_guard lock(mutex_);
    return reason_;
  }
  TlsFailure tls_failure() {
    const std::lock_guard lock(mutex_);
    return tls_failure_;
  }
  TlsInfo tls() {
    const std::lock_guard lock(mutex_);
    return tls_;
  }

 private:
  template <class Keep>
  void note(Keep keep, const char* event, std::function<void()>& hook) {
    {
      const std::lock_guard lock(mutex_);
      keep();
      events_.emplace_back(event);
    }
    changed_.notify_all();
    if (hook) hook();
  }
  std::ptrdiff_t count(std::string_view event) const { return std::count(events_.begin(), events_.end(), event); }
  std::string joined() const {
    std::string text;
    std::string_view last;
    for (const std::string& event : events_) {
      if (event != last) text += (text.empty() ? "" : " ") + event;
      last = event;
    }
    return text;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::string data_;
  Error reason_;
  TlsInfo tls_;
  TlsFailure tls_failure_ = TlsFailure::kNone;
};

// A file descriptor that closes.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Fd() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset_connection() {  // Closes with RST.
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  std::string receive(std::size_t count) const {  // Less at the end of the connection.
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
      const ssize_t got = ::recv(fd_, bytes.data() + have, count - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  Endpoint peer() const {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    getpeername(fd_, reinterpret_cast<sockaddr*>(&storage), &size);
    return from_sockaddr(storage);
  }

 private:
  int fd_;
};

inline Endpoint bound_to(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return from_sockaddr(storage);
}

// Accepts connections one after the other and runs `serve` for each, on a thread of its own.
class Server {
 public:
  explicit Server(std::function<void(Fd)> serve, int receive_buffer = 0)
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), serve_(std::move(serve)) {
    if (receive_buffer > 0) setsockopt(listener_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const SockAddr any = to_sockaddr({ip("127.0.0.1"), 0});
    BOOST_REQUIRE(bind(listener_.get(), any.get(), any.size) == 0);
    BOOST_REQUIRE(listen(listener_.get(), 128) == 0);
    endpoint_ = bound_to(listener_.get());
    thread_ = std::thread([this] {
      while (true) {
        Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (connection.get() < 0) return;
        serve_(std::move(connection));
      }
    });
  }
  ~Server() {
    shutdown(listener_.get(), SHUT_RDWR);  // Wakes accept().
    thread_.join();
  }
  Endpoint endpoint() const { return endpoint_; }

 private:
  Fd listener_;
  std::function<void(Fd)> serve_;
  Endpoint endpoint_;
  std::thread thread_;
};

// A port where nobody listens.
inline Endpoint closed_port() {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SockAddr any = to_sockaddr({ip("127.0.0.1"), 0});
  BOOST_REQUIRE(bind(fd.get(), any.get(), any.size) == 0);
  return bound_to(fd.get());
}

// A loop with a transport. Recorders must outlive it or have let go of their streams.
struct Net : LoopThread {
  explicit Net(std::string ca_file = {}) : transport(*loop, std::move(ca_file)) {}
  ~Net() { loop->stop(); }

  void connect(Recorder& recorder, const Endpoint& to, const IpAddress& from = {}) {
    run([&] { recorder.stream = transport.connect(from, to, recorder); });
  }
  void let_go(Recorder& recorder) {
    run([&] { recorder.stream.reset(); });
  }
  UvTransport transport;
};

}  // namespace mailsbuddy::net::test
